"""One time axis for two tokenizers: whatever their rates and lengths, each one's codes are read off again."""

from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.audio import resampled_length
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.alignment import Span, Weaver, common_hop, inner_extras, mark_of, outer_name
from tokaudio.tokenizers.fused_spec import fused_spans, fused_spec
from tokaudio.tokenizers.pieces import Encoded

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]
PARTS = ("semantic", "compression")


@st.composite
def specs(draw, kind="compression"):
    rate, hop = draw(st.sampled_from(RATES)), draw(st.integers(100, 2_000))
    padding, multiple = draw(st.integers(1 - 2 * hop, 2 * hop)), draw(st.sampled_from([1, 1, 1, 2, 4]))
    return TokenizerSpec(kind, kind, rate, hop, (CodebookSpec(2**30),), frame_multiple=multiple, least_padding=padding)


def codes_of(spec, samples, rate):
    """Return distinct codes of a sound, and how many samples it has for a tokenizer."""
    own = resampled_length(samples, rate, spec.sample_rate)
    return torch.arange(1, spec.num_frames(own) + 1)[None], own


@settings(deadline=None, max_examples=60)
@given(specs("semantic"), specs(), st.integers(0, 60_000), st.sampled_from(RATES))
def test_every_code_begins_once_within_the_signal(semantic, compression, samples, rate):
    spec, spans = fused_spec(semantic, compression), fused_spans(semantic, compression)
    own = {part: codes_of(each, samples, rate)[0] for part, each in zip(PARTS, (semantic, compression), strict=True)}
    weaver = Weaver(spans, spec.num_frames)
    for part, codes in own.items():
        weaver.add(part, Encoded(codes, {}))
    length = resampled_length(samples, rate, spec.sample_rate)
    woven = weaver.take(length, last=True)
    assert woven.codes.shape == (2, spec.num_frames(length))
    for row, part in zip(woven.codes, PARTS, strict=True):
        assert torch.equal(row[woven.extras[mark_of(part)]], own[part][0])
        assert all(a <= b <= a + 1 for a, b in pairwise(row.tolist()))


@settings(deadline=None, max_examples=40)
@given(specs("semantic"), specs(), st.lists(st.integers(0, 9_000), max_size=6), st.data())
def test_pieces_are_those_of_the_whole(semantic, compression, sizes, data):
    spec, spans = fused_spec(semantic, compression), fused_spans(semantic, compression)
    total = sum(sizes)
    own = {part: codes_of(each, total, spec.sample_rate)[0]
           for part, each in zip(PARTS, (semantic, compression), strict=True)}  # fmt: skip
    extras = {part: {"frame_twice": 2 * codes[0], "item_three": torch.tensor(3)} for part, codes in own.items()}
    whole, pieces = Weaver(spans, spec.num_frames), Weaver(spans, spec.num_frames)
    for part, codes in own.items():
        whole.add(part, Encoded(codes, extras[part]))
    wanted = whole.take(total, last=True)
    done, found, at = 0, [], dict.fromkeys(PARTS, 0)
    for number, size in enumerate([*sizes, 0]):
        done += size
        last = number == len(sizes)
        for part, codes in own.items():
            # A tokenizer may give its codes late, and never before the sound is there.
            most = codes.shape[1] if last else min(codes.shape[1], int(done / (spec.hop_length * spans[part].frames)))
            stop = most if last else data.draw(st.integers(at[part], max(at[part], most)))
            rows = {"frame_twice": extras[part]["frame_twice"][at[part] : stop], "item_three": torch.tensor(3)}
            pieces.add(part, Encoded(codes[:, at[part] : stop], rows))
            at[part] = stop
        found.append(pieces.take(done, last=last))
    assert torch.equal(torch.cat([piece.codes for piece in found], dim=1), wanted.codes)
    for name, value in wanted.extras.items():
        if name.startswith("frame_") and wanted.codes.shape[1]:
            assert torch.equal(torch.cat([p.extras[name] for p in found if p.codes.shape[1]]), value)
    if total:
        assert int(wanted.extras["item_compression_three"]) == 3


@settings(deadline=None, max_examples=50)
@given(st.fractions(1, 500, max_denominator=100_000), st.integers(0, 10**6))
def test_a_span_is_its_definition(frames, code):
    span = Span(frames)
    start = span.starts(code)
    assert start == int(code * frames)
    assert span.owners(start) == code and (start == 0 or span.owners(start - 1) == code - 1)
    around = torch.arange(max(0, start - 3), start + 3)
    assert span.owners(around).tolist() == [span.owners(int(frame)) for frame in around]
    assert bool(span.begins(torch.tensor([start]))[0])


@pytest.mark.parametrize(
    ("semantic", "compression", "rate", "strides"),
    [
        ((16_000, 320), (16_000, 320), Fraction(50), (1, 1)),
        ((16_000, 320), (24_000, 320), Fraction(75), (1, 1)),
        ((16_000, 320), (24_000, 1920), Fraction(50), (1, 4)),
        ((16_000, 640), (16_000, 320), Fraction(50), (2, 1)),
        ((16_000, 320), (44_100, 512), Fraction(44_100, 512), (1, 1)),
        ((16_000, 320), (11_025, 1024), Fraction(11_025, 220), (1, 1)),
    ],
)
def test_the_axis_is_as_fine_as_the_finer_part(semantic, compression, rate, strides):
    books = (CodebookSpec(8),)
    spec = fused_spec(
        TokenizerSpec("a", "semantic", *semantic, books), TokenizerSpec("b", "compression", *compression, books)
    )
    assert spec.frame_rate == rate
    assert tuple(book.stride for book in spec.codebooks) == strides


def test_slow_codebooks_and_filled_frames_of_a_part_keep_their_period():
    books = tuple(CodebookSpec(8, stride) for stride in (4, 2, 1))
    snac = TokenizerSpec("snac", "compression", 24_000, 512, books, frame_multiple=4)
    slow = TokenizerSpec("slow", "semantic", 24_000, 1024, (CodebookSpec(8),))
    spec = fused_spec(slow, snac)
    assert [book.stride for book in spec.codebooks] == [2, 4, 2, 1] and spec.frame_multiple == 4
    uneven = fused_spec(TokenizerSpec("uneven", "semantic", 24_000, 480, (CodebookSpec(8),)), snac)
    assert [book.stride for book in uneven.codebooks] == [1, 1, 1, 1]


def test_side_information_keeps_its_part_and_its_kind():
    for name, outer in (("frame_scale", "frame_semantic_scale"), ("item_voice", "item_semantic_voice")):
        assert outer_name(name, "semantic") == outer
    extras = {"frame_semantic_scale": torch.arange(3), "frame_semantic": torch.ones(3), "semantic_seed": torch.ones(1)}
    found = inner_extras(extras, "semantic", torch.tensor([True, False, True]))
    assert sorted(found) == ["frame_scale", "seed"] and found["frame_scale"].tolist() == [0, 2]
    assert inner_extras(extras, "compression", torch.tensor([0])) == {}


def test_a_part_without_codes_leaves_its_row_empty():
    weaver = Weaver(dict.fromkeys(PARTS, Span(Fraction(1))), lambda samples: samples)
    weaver.add("semantic", Encoded(torch.zeros(1, 0, dtype=torch.int64), {}))
    weaver.add("compression", Encoded(torch.tensor([[5, 6]]), {}))
    woven = weaver.take(2, last=True)
    assert woven.codes.tolist() == [[0, 0], [5, 6]] and not bool(woven.extras["frame_semantic"].any())
    assert common_hop([Fraction(1, 3)]) == 1
