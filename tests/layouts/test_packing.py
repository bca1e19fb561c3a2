"""Packing: nothing lost, nothing too long, few rows; and a mask that keeps sequences apart."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.errors import TokensError
from tokaudio.layouts import block_mask, pack


@settings(deadline=None)
@given(st.lists(st.integers(0, 20), max_size=12))
def test_every_sequence_is_in_one_row_that_holds_it(lengths):
    rows = pack(lengths, 20)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(sum(lengths[n] for n in row) <= 20 for row in rows)
    assert rows == sorted(rows) and all(row == sorted(row) for row in rows)
    # At most one row is half empty, or two would have been one.
    assert sum(2 * sum(lengths[n] for n in row) <= 20 for row in rows) <= 1


def test_a_sequence_that_is_too_long_is_refused():
    with pytest.raises(TokensError, match="sequence 1 has 9 ids, a row 8"):
        pack([8, 9], 8)


def test_the_mask_is_that_of_the_slow_twin():
    documents = torch.tensor([[0, 0, 2, 2, 2, -1], [1, -1, -1, -1, -1, -1]])
    mask = block_mask(documents)
    for row, numbers in enumerate(documents.tolist()):
        for i, own in enumerate(numbers):
            for j, other in enumerate(numbers):
                assert bool(mask[row, 0, i, j]) == (i == j or (own == other != -1 and j < i))
