"""Random tokenizers and codes of every kind that layouts must bear: sizes, strides, phases and lengths."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

from tokaudio.layouts import Vocabulary
from tokaudio.spec import CodebookSpec, TokenizerSpec

STRIDES = ((1,), (1, 1, 1), (4, 2, 1), (8, 4, 2, 1), (2, 1, 1), (3, 2, 1), (4, 2), (1, 4))
SNAC = TokenizerSpec("snac", "compression", 24_000, 512, tuple(CodebookSpec(4096, stride) for stride in (4, 2, 1)))


def spec_of(strides, sizes=None, semantic=1):
    sizes = sizes or [5 + 3 * k for k in range(len(strides))]
    roles = ["semantic"] * semantic + ["acoustic"] * len(strides)
    books = tuple(CodebookSpec(v, s, r) for v, s, r in zip(sizes, strides, roles, strict=False))
    return TokenizerSpec("toy", "compression", 16_000, 320, books)


def codes_of(spec, frames, seed=0):
    """Random codes [K, T], repeated by their strides."""
    generator = np.random.default_rng(seed)
    rows = [
        np.repeat(generator.integers(0, book.size, -(-frames // book.stride)), book.stride)[:frames]
        for book in spec.codebooks
    ]
    return np.stack(rows).astype(np.int64)


@st.composite
def specs(draw):
    strides = draw(st.sampled_from(STRIDES))
    sizes = draw(st.lists(st.integers(1, 40), min_size=len(strides), max_size=len(strides)))
    return spec_of(strides, sizes)


@st.composite
def vocabularies(draw, spec):
    return Vocabulary.for_spec(
        spec,
        text_size=draw(st.sampled_from([0, 1, 100])),
        per_phase=draw(st.booleans()),
        durations=draw(st.sampled_from([0, 3])),
    )


def frames_of(spec, count):
    """A number of frames that leaves no code of every codebook unfinished."""
    return count * min(book.stride for book in spec.codebooks)


def cut(row, places):
    """A row cut into pieces at random places."""
    edges = sorted({place % (row.shape[-1] + 1) for place in places} | {0, row.shape[-1]})
    return [row[..., a:b] for a, b in itertools.pairwise(edges)] or [row]
