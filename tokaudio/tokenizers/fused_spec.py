"""The facts of two tokenizers fused into one: rates, codebooks, lengths, licences."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from fractions import Fraction

from tokaudio.errors import TokensError, one_line
from tokaudio.spec import Chunking, CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.alignment import Span, common_hop

SEMANTIC, COMPRESSION = "semantic", "compression"
_STRENGTH: tuple[Chunking, ...] = ("none", "state", "exact")


def fused_spans(semantic: TokenizerSpec, compression: TokenizerSpec) -> dict[str, Span]:
    """Return how many common frames a code of each part lasts.

    Example:
        >>> slow = TokenizerSpec("slow", "semantic", 16_000, 640, (CodebookSpec(8),))
        >>> fast = TokenizerSpec("fast", "compression", 24_000, 320, (CodebookSpec(8),))
        >>> fused_spans(slow, fast)["semantic"]
        Span(frames=Fraction(3, 1))
    """
    hops = _hops(semantic, compression)
    hop = common_hop(list(hops.values()))
    return {part: Span(samples / hop) for part, samples in hops.items()}


def fused_spec(semantic: TokenizerSpec, compression: TokenizerSpec, *, name: str | None = None) -> TokenizerSpec:
    """Return the facts of two tokenizers fused into one.

    Sound is counted at the rate of the compression part. A signal has as many common frames as hold every code of both
    parts.

    Args:
        semantic: whose codebooks come first.
        compression: which decodes.
        name: of the fused tokenizer; None for the names of both, joined by a plus.

    Raises:
        TokensError: if a part codes signals segment by segment.

    Example:
        >>> books = (CodebookSpec(500, role="semantic"),)
        >>> semantic = TokenizerSpec("units", "semantic", 16_000, 320, books, licence="mit")
        >>> spec = fused_spec(semantic, TokenizerSpec("codec", "compression", 24_000, 320, (CodebookSpec(1024),) * 2))
        >>> spec.name, spec.frame_rate, [codebook.role for codebook in spec.codebooks]
        ('units+codec', Fraction(75, 1), ['semantic', 'acoustic', 'acoustic'])
    """
    parts = {SEMANTIC: semantic, COMPRESSION: compression}
    for spec in parts.values():
        if spec.segments is not None:
            problem = "codes segments that overlap, whose frames are not evenly spaced"
            raise TokensError(one_line(spec.name, problem, "fuse a tokenizer that codes whole signals"))
    spans = fused_spans(semantic, compression)
    hop = common_hop(list(_hops(semantic, compression).values()))
    multiple, padding = _lengths(parts, spans, hop)
    return TokenizerSpec(
        name=name or f"{semantic.name}+{compression.name}",
        kind="hybrid",
        sample_rate=compression.sample_rate,
        hop_length=hop,
        codebooks=(
            *(_codebook(book, spans[SEMANTIC], role="semantic") for book in semantic.codebooks),
            *(_codebook(book, spans[COMPRESSION]) for book in compression.codebooks),
        ),
        decode_sample_rate=compression.decode_sample_rate,
        channels=compression.channels,
        causal=semantic.causal and compression.causal,
        chunking=min(semantic.chunking, compression.chunking, key=_STRENGTH.index),
        licence=_joined(parts, "licence", " AND "),
        paper=_joined(parts, "paper", ", "),
        origin=_joined(parts, "origin", ", "),
        frame_multiple=multiple,
        least_padding=padding,
    )


def _hops(semantic: TokenizerSpec, compression: TokenizerSpec) -> dict[str, Fraction]:
    """Return the samples per code of each part, at the rate of the compression part."""
    return {
        SEMANTIC: compression.sample_rate / semantic.frame_rate,
        COMPRESSION: compression.sample_rate / compression.frame_rate,
    }


def _lengths(parts: Mapping[str, TokenizerSpec], spans: Mapping[str, Span], hop: int) -> tuple[int, int]:
    """Return the frame multiple and the least padding with which every code of every part begins within a signal.

    Let a part have T codes of h samples (at the common rate), n' samples of its own at a rate r times the common one,
    and pad p of them: (T - 1) h <= (n' + p - 1) / r, and n' < n r + 1, so that its last code begins before sample
    n + p / r. Where it fills up to m codes, the common axis fills up to the frames of m codes, if that is a number.
    """
    rate = parts[COMPRESSION].sample_rate
    multiple, padding = 1, 1 - 2 * hop
    for part, spec in parts.items():
        span = spans[part].frames
        needed = Fraction(spec.least_padding * rate, spec.sample_rate)
        if span.denominator == 1:
            multiple = math.lcm(multiple, spec.frame_multiple * span.numerator) if spec.frame_multiple > 1 else multiple
        elif spec.frame_multiple > 1:
            # There are at least so many codes, however short the signal.
            needed = max(needed, Fraction(0)) + (spec.frame_multiple - 1) * span * hop
        padding = max(padding, math.ceil(needed))
    return multiple, padding


def _codebook(codebook: CodebookSpec, span: Span, role: str | None = None) -> CodebookSpec:
    # Codes that last for one frame here and two there have no stride.
    stride = codebook.stride * span.frames.numerator if span.frames.denominator == 1 else 1
    return dataclasses.replace(codebook, stride=stride, role=role or codebook.role)


def _joined(parts: Mapping[str, TokenizerSpec], field: str, by: str) -> str:
    """Return what both say about a field, once where they say the same."""
    values = {part: str(getattr(spec, field)) for part, spec in parts.items()}
    if len(set(values.values())) == 1:
        return values[SEMANTIC]
    return by.join(value or f"not stated ({part} part)" for part, value in values.items())
