"""Edit distances against a slow twin and jiwer."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.errors import TokaudioError
from tokaudio.metrics.error_rates import EditCounts, edit_counts, edit_distance, error_rate
from tokaudio.metrics.intelligibility import word_errors

LINE = st.lists(st.integers(0, 2), max_size=7)


def slow(first: Sequence[int], second: Sequence[int]) -> int:
    @functools.cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        change = distance(i - 1, j - 1) + (first[i - 1] != second[j - 1])
        return min(change, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(first), len(second))


@given(LINE, LINE)
def test_the_distance_is_that_of_the_definition(first: list[int], second: list[int]) -> None:
    assert edit_distance(first, second) == slow(first, second) == edit_distance(second, first)


@given(LINE, LINE, LINE)
def test_the_distance_is_a_metric(a: list[int], b: list[int], c: list[int]) -> None:
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert (edit_distance(a, b) == 0) == (a == b)


@pytest.mark.parametrize("seed", range(5))
def test_rates_equal_those_of_jiwer(seed: int) -> None:
    random = np.random.default_rng(seed)

    def texts() -> list[str]:
        return [" ".join(random.choice(["on", "off", "the", "light"], random.integers(1, 12))) for _ in range(20)]

    said, read = texts(), texts()
    assert error_rate(edit_counts(said, read)) == pytest.approx(jiwer.wer(said, read), abs=1e-12)
    assert error_rate(edit_counts(said, read, unit="character")) == pytest.approx(jiwer.cer(said, read), abs=1e-12)
    # Words that need no normalising: the pooled rate of the other module is the same.
    assert error_rate(edit_counts(said, read)) == word_errors(said, read).rate


def test_counts_are_kept_by_recording() -> None:
    assert edit_counts(["a  b", ""], ["a b", "x y"]) == [EditCounts(0, 2), EditCounts(2, 0)]
    assert edit_counts(["a  b"], ["a b "], unit="character") == [EditCounts(0, 3)]


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(TokaudioError, match="2 texts for 1 references"):
        edit_counts(["a"], ["a", "b"])
    with pytest.raises(TokaudioError, match="give word or character"):
        edit_counts(["a"], ["a"], unit="phone")  # type: ignore[arg-type]
    with pytest.raises(TokaudioError, match="nothing that was said"):
        error_rate(edit_counts([""], ["a"]))
