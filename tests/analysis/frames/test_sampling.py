"""Samples of frames: all of them while there are few, a uniform draw when there are many."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.analysis.frames.sampling import FOLDS, GROUPS, FrameSample
from tokaudio.analysis.statistics.contingency import AnalysisError


def numbered(lengths: list[int], limit: int, seed: int = 0) -> FrameSample:
    """Recordings whose two codes say which recording a frame is of, and where it lies; the label is their sum."""
    sample = FrameSample(limit, seed=seed)
    for number, length in enumerate(lengths):
        codes = np.stack([np.full(length, number), np.arange(length)])
        sample.add(codes, {"sum": codes.sum(0), "half": codes[1] / 2})
    return sample


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(1, 400), st.integers(0, 5))
def test_a_sample_holds_each_frame_once_with_its_own_columns(lengths: list[int], limit: int, seed: int) -> None:
    if not sum(lengths):
        return
    frames = numbered(lengths, limit, seed).finish()
    places = list(zip(*frames.codes.tolist(), strict=True))
    assert len(places) == min(limit, sum(lengths)) and len(set(places)) == len(places)
    assert all(place < lengths[number] for number, place in places)
    assert frames.columns["sum"].tolist() == [sum(pair) for pair in places]
    assert frames.columns["half"].tolist() == [place / 2 for _, place in places]
    assert frames.seen == sum(lengths) and frames.recordings == sum(length > 0 for length in lengths)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=60))
def test_recordings_stay_together_and_in_order(lengths: list[int]) -> None:
    frames = numbered(lengths, 10**6).finish()
    groups, recordings = frames.groups.tolist(), frames.codes[0].tolist()
    assert groups == sorted(groups) and max(groups) < GROUPS
    assert [slice_.start for slice_ in frames.slices][1:] == [slice_.stop for slice_ in frames.slices][:-1]
    if frames.by_recording:
        assert len(lengths) >= GROUPS == len(set(groups))
        changes = sum(one != other for one, other in itertools.pairwise(recordings))
        assert changes == len(lengths) - 1
        for number in range(len(lengths)):
            own = frames.codes[0] == number
            assert len(set(frames.groups[own].tolist())) == 1
            assert (np.diff(frames.codes[1][own]) == 1).all()
    assert set(frames.folds.tolist()) <= set(range(FOLDS))


def test_groups_have_about_as_many_frames() -> None:
    lengths = np.random.default_rng(1).integers(20, 200, 300).tolist()
    sizes = np.bincount(numbered(lengths, 10**6).finish().groups)
    assert sizes.max() < 1.2 * sizes.min()


def test_every_frame_is_as_likely_as_any_other() -> None:
    lengths = [100, 300, 50, 50, 500]
    drawn = np.zeros((5, 500))
    for seed in range(200):
        frames = numbered(lengths, 100, seed).finish()
        np.add.at(drawn, (frames.codes[0], frames.codes[1]), 1)
    for number, length in enumerate(lengths):
        share = drawn[number, :length].mean() / 200
        assert abs(share - 0.1) < 4 * np.sqrt(0.09 / 200 / length), number


def test_a_sample_of_many_recordings_is_the_same_however_often_it_shrinks() -> None:
    lengths = [7] * 700  # more than are held apart
    assert numbered(lengths, 10**6).finish().codes.shape == (2, 4900)
    few = numbered(lengths, 300).finish()
    assert len(set(few.codes[0].tolist())) > 200  # of all recordings, not of the first ones


def test_columns_may_begin_late() -> None:
    sample = FrameSample()
    sample.add([[1, 2]], {"pitch": [0.5, 0.7]})
    sample.add([[3]], {"phone": np.array([4])})
    frames = sample.finish()
    order = np.argsort(frames.codes[0])
    assert frames.columns["phone"][order].tolist() == [-1, -1, 4]
    assert np.isnan(frames.columns["pitch"][order]).tolist() == [False, False, True]


def test_what_does_not_go_together_is_refused() -> None:
    sample = FrameSample()
    with pytest.raises(AnalysisError, match="there is no frame"):
        sample.finish()
    sample.add([[1, 2]], {})
    for codes, columns, message in (
        ([1, 2], {}, r"codes are \[2\]; give \[1, T\]"),
        ([[1], [2]], {}, r"codes are \[2, 1\]"),
        ([[-2]], {}, "codes are -2 to -2"),
        ([[2**31]], {}, "below 2"),
        ([[1, 2]], {"pitch": [1.0]}, r"pitch is \[1\] for 2 frames"),
    ):
        with pytest.raises(AnalysisError, match=message):
            sample.add(codes, columns)
    with pytest.raises(AnalysisError, match="limit is 0"):
        FrameSample(0)
