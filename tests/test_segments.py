"""Segments: samples to frames and back, against a slow twin."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tokaudio._segments import Segments
from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec

PUBLISHED = Segments(length=48_000, stride=47_520, hop=320)
SPEC = TokenizerSpec(
    "toy", "compression", 48_000, 320, (CodebookSpec(8),) * 2, segment_length=48_000, segment_stride=47_520
)


@st.composite
def segments(draw: st.DrawFn) -> Segments:
    hop, frames = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    length = hop * frames
    return Segments(length=length, stride=draw(st.integers(-(-length // 2), length)), hop=hop)


@given(segments(), st.integers(0, 300))
def test_frames_are_those_of_the_segments_one_by_one(segments: Segments, num_samples: int) -> None:
    starts = range(0, num_samples, segments.stride)
    pieces = [(start, min(start + segments.length, num_samples)) for start in starts]
    assert list(segments.cut(num_samples)) == pieces
    assert segments.num_frames(num_samples) == sum(math.ceil((b - a) / segments.hop) for a, b in pieces)


@given(segments(), st.integers(1, 120))
def test_bounds_are_the_samples_that_have_so_many_frames(segments: Segments, num_frames: int) -> None:
    found = [n for n in range(1, (num_frames + 2) * segments.length) if segments.num_frames(n) == num_frames]
    least, most = segments.num_samples_bounds(num_frames)
    assert (least, most) == (found[0], found[-1]) if found else least > most


def test_published_lengths() -> None:
    frames = {320: 1, 47_520: 149, 47_521: 150, 47_680: 150, 47_681: 151, 47_841: 152, 48_001: 152, 95_040: 299}
    assert {n: PUBLISHED.num_frames(n) for n in frames} == frames
    assert SPEC.num_frames(480_000) == 1515 and SPEC.num_frames(0) == 0
    assert SPEC.num_samples_bounds(0) == (0, 0)
    assert SPEC.num_samples_bounds(300) == (95_041, 95_200)
    assert (SPEC.frame_rate, SPEC.cut_period, SPEC.stride_period) == (150, 150, 1)


def test_long_signals_are_no_work() -> None:
    n = 2**62
    least, most = PUBLISHED.num_samples_bounds(PUBLISHED.num_frames(n))
    assert least <= n <= most


def test_frame_starts_of_numbers_and_of_tensors() -> None:
    starts = [SPEC.frame_start(frame) for frame in range(400)]
    assert starts[148:152] == [47_360, 47_680, 47_520, 47_840]
    assert SPEC.frame_start(torch.arange(400)).tolist() == starts
    plain = replace(SPEC, segment_length=None, segment_stride=None)
    assert plain.frame_start(torch.arange(3)).tolist() == [0, 320, 640]


@pytest.mark.parametrize(
    ("start", "stop", "wanted"),
    [
        (0, 1, (0, 150)),
        (0, 47_520, (0, 150)),
        (0, 47_521, (0, 300)),
        (47_999, 48_000, (0, 300)),
        (48_000, 48_000, (150, 300)),
        (60_000, math.inf, (150, 400)),
        (10**9, math.inf, (3_156_450, 3_156_450)),
    ],
)
def test_what_touches_a_time(start: float, stop: float, wanted: tuple[int, int]) -> None:
    assert PUBLISHED.touching(start, stop, 400) == wanted


@pytest.mark.parametrize(
    "change",
    [
        {"segment_length": 48_000, "segment_stride": None},
        {"segment_length": None},
        {"segment_length": 48_001},
        {"segment_stride": 48_001},
        {"segment_stride": 23_999},
        {"segment_stride": 0},
        {"segment_length": "48000"},
        {"frame_multiple": 2},
        {"least_padding": 1},
        {"decode_sample_rate": 24_000},
        {"codebooks": (CodebookSpec(8, stride=2), CodebookSpec(8))},
    ],
)
def test_segments_that_do_not_fit_are_refused(change: dict) -> None:
    with pytest.raises(TokensError, match=r"segment"):
        replace(SPEC, **change)


def test_dictionaries_hold_segments_only_where_there_are_any() -> None:
    data = SPEC.to_dict()
    assert (data["segment_length"], data["segment_stride"]) == (48_000, 47_520)
    assert TokenizerSpec.from_dict(data) == SPEC
    plain = replace(SPEC, segment_length=None, segment_stride=None)
    assert not [name for name in plain.to_dict() if name.startswith("segment")]
    assert TokenizerSpec.from_dict(plain.to_dict()) == plain
