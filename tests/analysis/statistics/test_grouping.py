"""Counts by group of recordings, and of streams of numbers: as counted at once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.analysis.statistics import counting
from tokaudio.analysis.statistics.contingency import AnalysisError, contingency
from tokaudio.analysis.statistics.counting import SparseCounts
from tokaudio.analysis.statistics.grouping import GroupedCounts

NUMBERS = st.lists(st.lists(st.sampled_from([0, 1, 2, 5, 90_000, 1 << 40, (1 << 63) - 1]), max_size=30), max_size=8)


@settings(deadline=None)
@given(NUMBERS)
def test_streams_are_counted_as_a_whole(parts: list[list[int]]) -> None:
    counts = SparseCounts()
    for part in parts:
        counts.add(np.array(part, dtype=np.int64))
        counts.finish()
    keys, times = counts.finish()
    wanted = Counter(number for part in parts for number in part)
    assert dict(zip(keys.tolist(), times.tolist(), strict=True)) == wanted
    assert keys.tolist() == sorted(wanted)


def test_what_waits_is_counted_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_WAITING", 8)
    counts, random = SparseCounts(), np.random.default_rng(0)
    numbers = random.integers(0, 20, 500)
    most = 0
    for part in np.split(numbers, 100):
        counts.add(part)
        most = max(most, sum(waiting.size for waiting in counts._waiting))
    assert most < 25, "numbers wait only until they are as many as those counted"
    assert counts.finish()[1].tolist() == np.bincount(numbers, minlength=20).tolist()
    with pytest.raises(AnalysisError, match="is -1"):
        counts.add([3, -1])
    with pytest.raises(AnalysisError, match="float64"):
        counts.add([0.5])


def test_groups_add_up_and_hold_whole_recordings() -> None:
    random = np.random.default_rng(1)
    recordings = [(random.integers(0, 90, n), random.integers(-1, 7, n)) for n in random.integers(20, 60, 25)]
    counts = GroupedCounts(groups=6)
    for codes, labels in recordings:
        counts.add(codes, labels)
    tables = counts.finish()
    whole = contingency(*(np.concatenate(side) for side in zip(*recordings, strict=True)))
    joined = tables[0]
    for table in tables[1:]:
        joined = joined + table
    for name in ("codes", "labels", "counts"):
        assert np.array_equal(getattr(joined, name), getattr(whole, name))
    frames = [table.frames for table in tables]
    assert len(tables) == 6 and max(frames) - min(frames) < 60
    assert frames[0] in {sum(int((r[1] >= 0).sum()) for r in recordings[::6][:n]) for n in range(1, 6)} | set(frames)


def test_a_group_can_be_asked_for() -> None:
    counts = GroupedCounts(groups=4)
    counts.add([(1 << 31) - 1, -1, 4], [(1 << 24) - 1, 2, -1], group=3)
    counts.add(np.zeros(0, dtype=int), np.zeros(0, dtype=int), group=1)
    (table,) = counts.finish()
    assert (table.codes.tolist(), table.labels.tolist()) == ([(1 << 31) - 1], [(1 << 24) - 1])


def test_what_cannot_be_counted_is_refused() -> None:
    counts = GroupedCounts(groups=4)
    for message, codes, labels, group in (
        ("2 codes and 1 labels", [1, 2], [1], None),
        ("group is 4; give 0 to 3", [1], [1], 4),
        ("codes below", [1 << 31], [1], None),
        ("a label 16777216", [1], [1 << 24], None),
    ):
        with pytest.raises(AnalysisError, match=message):
            counts.add(codes, labels, group=group)
    for groups in (3, 257):
        with pytest.raises(AnalysisError, match=f"groups is {groups}"):
            GroupedCounts(groups)
