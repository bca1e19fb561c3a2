"""Frames that belong together, and how their codes are compared."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.analysis.robustness.alignments import compare, edit_distance, frames_of, runs
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.spec import CodebookSpec, TokenizerSpec

PLAIN = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
SEGMENTED = TokenizerSpec(
    "toy", "compression", 48_000, 320, (CodebookSpec(8),), segment_length=48_000, segment_stride=47_520
)
sequences = st.lists(st.integers(0, 3), max_size=9)


def slow_distance(one: list[int], other: list[int]) -> int:
    @cache
    def left(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(left(i - 1, j) + 1, left(i, j - 1) + 1, left(i - 1, j - 1) + (one[i - 1] != other[j - 1]))

    return left(len(one), len(other))


@given(sequences, sequences)
def test_edit_distance_equals_its_recursion(one: list[int], other: list[int]) -> None:
    assert edit_distance(one, other) == slow_distance(one, other) == edit_distance(other, one)


@given(sequences, sequences, sequences)
def test_edit_distance_is_a_distance(one: list[int], two: list[int], three: list[int]) -> None:
    assert edit_distance(one, three) <= edit_distance(one, two) + edit_distance(two, three)
    assert (edit_distance(one, two) == 0) == (one == two)


@given(st.lists(st.integers(-1, 3), max_size=12))
def test_runs_are_groups_of_what_is_there(codes: list[int]) -> None:
    wanted = [code for code, _ in itertools.groupby(code for code in codes if code >= 0)]
    assert runs(np.array(codes, dtype=np.int64)).tolist() == wanted


@pytest.mark.parametrize(
    ("start", "wanted"), [(0, [0, 1, 2]), (1, [0, 1, 2]), (159, [0, 1, 2]), (160, [1, 2, 3]), (-320, [-1, 0, 1])]
)
def test_frames_go_to_the_nearest(start: int, wanted: list[int]) -> None:
    assert frames_of(PLAIN, 3, start=start).tolist() == wanted


def test_faster_sounds_skip_frames() -> None:
    assert frames_of(PLAIN, 4, speed=1.5).tolist() == [0, 2, 3, 5]
    assert frames_of(PLAIN, 4, speed=0.5).tolist() == [0, 0, 1, 1]


def test_segments_are_counted_whole() -> None:
    # The last frames of a segment begin after the first ones of the next.
    assert frames_of(SEGMENTED, 300).tolist() == list(range(300))
    assert frames_of(SEGMENTED, 3, start=47_520).tolist() == [150, 151, 152]
    assert frames_of(SEGMENTED, 3, start=1).tolist() == [0, 1, 2]
    assert frames_of(SEGMENTED, 2, start=47_520, speed=1.5).tolist() == [150, 152]


@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 2)), min_size=1, max_size=7))
def test_expected_agreement_is_the_mean_over_all_orders(pairs: list[tuple[int, int]]) -> None:
    before, after = [one for one, _ in pairs], [other for _, other in pairs]
    found = compare([before], [after], range(len(pairs)))
    orders = list(itertools.permutations(range(len(pairs)))) if len(pairs) <= 5 else None
    if orders:
        equal = [sum(before[i] == after[j] >= 0 for i, j in enumerate(order)) for order in orders]
        assert float(found.expected[0]) == pytest.approx(np.mean(equal))
    assert found.equal[0] == sum(one == other >= 0 for one, other in pairs)
    assert found.frames[0] == sum(one >= 0 for one in before)


def test_only_the_stretch_that_is_covered_counts() -> None:
    whole = [[1, 1, 2, 3, 3, 4], [0, 1, 0, 1, 0, 1]]
    found = compare(whole, [[2, 3], [0, 0]], [2, 3])
    assert found.edits.tolist() == [0, 1] and found.runs.tolist() == [2, 2]
    assert found.equal.tolist() == [2, 1] and found.frames.tolist() == [2, 2]


def test_no_frame_is_no_frame() -> None:
    found = compare([[1, 2]], np.zeros((1, 0), np.int64), np.zeros(0, np.int64))
    assert [found.edits[0], found.runs[0], found.equal[0], found.frames[0], found.expected[0]] == [0, 0, 0, 0, 0.0]


@pytest.mark.parametrize(
    ("changed", "frames", "words"),
    [([[1], [2]], [0], "give"), ([[1]], [2], "frames that exist"), ([[1]], [-1], "exist")],
)
def test_shapes_and_frames_are_judged(changed: list[list[int]], frames: list[int], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        compare([[1, 2]], changed, frames)
