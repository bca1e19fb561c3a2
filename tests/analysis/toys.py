"""Little tokenizers' facts, and codes of recordings for them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tokaudio.analysis.statistics.contingency import Integers
from tokaudio.spec import CodebookSpec, TokenizerSpec

SLOW = (CodebookSpec(4, stride=2), CodebookSpec(6), CodebookSpec(3))


def toy(*books: CodebookSpec) -> TokenizerSpec:
    """Facts of a tokenizer of 50 frames per second."""
    return TokenizerSpec("toy", "compression", 16_000, 320, books)


@st.composite
def recordings(draw: st.DrawFn, books: tuple[CodebookSpec, ...] = SLOW, most: int = 30) -> list[Integers]:
    """Codes `[K, T]` of up to five recordings, one frame at least; later codebooks of a frame may be missing."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        random = np.random.default_rng(draw(st.integers(0, 2**32)))
        frames = int(random.integers(0 if found else 1, most))
        rows = [np.repeat(random.integers(0, b.size, -(-frames // b.stride)), b.stride)[:frames] for b in books]
        depth = random.integers(1, len(books) + 1, frames) if draw(st.booleans()) else np.full(frames, len(books))
        found.append(np.where(np.arange(len(books))[:, None] < depth, np.stack(rows), -1))
    return found


def plain(rows: Integers, books: tuple[CodebookSpec, ...], codebook: int) -> list[int]:
    """The codes of one codebook at its own rate, one after the other."""
    return [int(code) for place, code in enumerate(rows[codebook]) if place % books[codebook].stride == 0 and code >= 0]
