"""Values in bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.analysis.frames.attributes import binned
from tokaudio.analysis.statistics.contingency import AnalysisError


def test_bins_are_equally_full() -> None:
    values = np.random.default_rng(2).normal(size=4_000)
    values[::10] = np.nan
    counts = np.bincount(binned(values, bins=16) + 1)
    assert counts[0] == 400 and counts[1:].tolist() == [225] * 16


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-9, 9), max_size=60), st.integers(2, 8))
def test_bins_keep_the_order_and_equal_values_together(values: list[int], bins: int) -> None:
    found = binned(np.array(values, dtype=float), bins=bins)
    assert len(set(found.tolist())) <= bins
    for one, its in zip(values, found, strict=True):
        for other, other_bin in zip(values, found, strict=True):
            assert its <= other_bin if one <= other else its >= other_bin


def test_one_bin_is_refused() -> None:
    with pytest.raises(AnalysisError, match="give 2 or more"):
        binned([1.0], bins=1)
