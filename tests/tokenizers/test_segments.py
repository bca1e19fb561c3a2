"""Streams over segments: against a slow twin of the published overlap, in any pieces, and what is refused."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio._segments import Segments
from tokaudio.errors import AudioError, TokensError
from tokaudio.tokenizers.segments import GROUP, SegmentDecoder, SegmentEncoder

SEGMENTS = Segments(length=10, stride=8, hop=2)


def encode(segments: list[Tensor]) -> list[tuple[Tensor, float]]:
    """Give the first of every two samples, in hundredths, and the length as scale."""
    assert 1 <= len(segments) <= GROUP
    return [((100 * samples[:, ::2]).long(), float(samples.shape[1])) for samples in segments]


def decode(segments: list[tuple[Tensor, float]]) -> list[Tensor]:
    """Hold every code for two samples; the scale is added."""
    assert 1 <= len(segments) <= GROUP
    return [codes.float().repeat_interleave(2, dim=1) / 100 + scale for codes, scale in segments]


def encoder() -> SegmentEncoder:
    return SegmentEncoder(encode, SEGMENTS, 1, torch.zeros(1, 0, dtype=torch.int64))


def decoder() -> SegmentDecoder:
    return SegmentDecoder(decode, SEGMENTS, 1, torch.zeros(1, 0))


def sound(num_samples: int) -> Tensor:
    return torch.rand(1, num_samples, generator=torch.Generator().manual_seed(num_samples))


def encoded(samples: Tensor, cuts: list[int]) -> tuple[Tensor, Tensor]:
    stream = encoder()
    codes, scales = [], []
    for piece in samples.split(cuts, dim=1):
        codes.append(stream.push(piece))
        scales.append(stream.extras["frame_scale"])
    codes.append(stream.flush())
    scales.append(stream.extras["frame_scale"])
    assert stream.pushed == samples.shape[1]
    return torch.cat(codes, dim=1), torch.cat(scales)


def decoded(codes: Tensor, scale: Tensor, cuts: list[int]) -> Tensor:
    stream = decoder()
    out = []
    for piece, part in zip(codes.split(cuts, dim=1), scale.split(cuts), strict=True):
        stream.extras = {"frame_scale": part}
        out.append(stream.push(piece))
    return torch.cat([*out, stream.flush()], dim=1)


def overlapped(sounds: list[Tensor]) -> Tensor:
    """Add up segments under triangles of the first one's length, divided by the sum of the triangles (slow)."""
    length = sounds[0].shape[1]
    ramp = torch.arange(1, length + 1, dtype=torch.float64) / (length + 1)
    triangle = 0.5 - (ramp - 0.5).abs()
    total = SEGMENTS.stride * (len(sounds) - 1) + sounds[-1].shape[1]
    out, weights = torch.zeros(1, total + length, dtype=torch.float64), torch.zeros(total + length, dtype=torch.float64)
    for number, piece in enumerate(sounds):
        at = slice(number * SEGMENTS.stride, number * SEGMENTS.stride + piece.shape[1])
        out[:, at] += triangle[: piece.shape[1]] * piece
        weights[at] += triangle[: piece.shape[1]]
    return (out / weights)[:, :total].float()


@st.composite
def cut(draw: st.DrawFn, longest: int) -> tuple[int, list[int]]:
    cuts = draw(st.lists(st.integers(0, longest // 3), min_size=1, max_size=6).filter(sum))
    return sum(cuts), cuts


@given(cut(200))
def test_segments_are_coded_alone_in_whatever_pieces(given_cut: tuple[int, list[int]]) -> None:
    num_samples, cuts = given_cut
    samples = sound(num_samples)
    codes, scale = encoded(samples, cuts)
    alone = [encode([samples[:, a:b]])[0] for a, b in SEGMENTS.cut(num_samples)]
    assert torch.equal(codes, torch.cat([result for result, _ in alone], dim=1))
    assert codes.shape[1] == SEGMENTS.num_frames(num_samples)
    starts = [at for at, value in enumerate(scale.tolist()) if value]
    assert scale[starts].tolist() == [value for _, value in alone]
    assert starts == [sum(len(result[0]) for result, _ in alone[:n]) for n in range(len(alone))]


@given(cut(120), st.integers(1, 9))
def test_segments_fade_into_each_other(given_cut: tuple[int, list[int]], size: int) -> None:
    num_samples, cuts = given_cut
    codes, scale = encoded(sound(num_samples), cuts)
    whole = decoded(codes, scale, [codes.shape[1]])
    pieces = [size] * (codes.shape[1] // size) + [codes.shape[1] % size]
    assert torch.equal(decoded(codes, scale, pieces), whole)
    starts = [*scale.nonzero().flatten().tolist(), codes.shape[1]]
    bounds = itertools.pairwise(starts)
    wanted = overlapped([decode([(codes[:, a:b], float(scale[a]))])[0] for a, b in bounds])
    assert whole.shape[1] >= num_samples
    assert_near(whole, wanted)


def test_a_segment_is_there_as_soon_as_it_is_whole() -> None:
    stream = encoder()
    assert [stream.push(sound(n)).shape[1] for n in (9, 1, 7, 1, 0)] == [0, 5, 0, 5, 0]
    assert stream.flush().shape[1] == 1
    assert encoder().flush().shape == (1, 0)
    assert decoder().flush().shape == (1, 0)


def test_pieces_of_other_shapes_and_after_the_end_are_refused() -> None:
    for stream in (encoder(), decoder()):
        for wrong in (torch.zeros(3), torch.zeros(2, 3)):
            with pytest.raises(AudioError, match=r"give \[1, n\]"):
                stream.push(wrong)
        stream.flush()
        for again in (stream.flush, lambda stream=stream: stream.push(torch.zeros(1, 1))):
            with pytest.raises(AudioError, match="has ended"):
                again()


@pytest.mark.parametrize(
    ("scale", "problem"),
    [
        (None, "without their scale; give the extra frame_scale"),
        ([1.0, 0.0], "without their scale"),
        ([0.0] * 6, "0 at the first frame"),
        ([1.0, 0.0, 0.0, 0.0, -1.0, 0.0], "negative"),
        ([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], "of over 5 frames"),
        ([1.0, 1.0, 0.0, 0.0, 0.0, 0.0], "of 1 frames with another one after it"),
    ],
)
def test_scales_that_do_not_fit_are_refused(scale: list[float] | None, problem: str) -> None:
    stream = decoder()
    stream.extras = {} if scale is None else {"frame_scale": torch.tensor(scale)}
    with pytest.raises(TokensError, match=problem):
        stream.push(torch.zeros(1, 6, dtype=torch.int64))


def test_a_scale_is_used_once() -> None:
    stream = decoder()
    stream.extras = {"frame_scale": torch.tensor([1.0, 0, 0, 0, 0])}
    stream.push(torch.zeros(1, 5, dtype=torch.int64))
    with pytest.raises(TokensError, match="without their scale"):
        stream.push(torch.zeros(1, 5, dtype=torch.int64))
    stream.extras = {"frame_scale": torch.zeros(1)}
    with pytest.raises(TokensError, match="of over 5 frames"):
        stream.push(torch.zeros(1, 1, dtype=torch.int64))
