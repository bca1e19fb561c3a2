"""Codes as measures take them: integers `[K, T]` of one recording, -1 where a frame does not have a codebook.

for codes in recordings_of(tokens):
    counter.add(codes)
"""

from __future__ import annotations

from collections.abc import Iterator

from numpy.typing import ArrayLike
from torch import Tensor

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers, integers
from tokaudio.spec import TokenizerSpec
from tokaudio.tokens import Tokens


def recordings_of(tokens: Tokens) -> Iterator[Integers]:
    """Yield the codes `[K, T]` of each item without its padding, -1 beyond the depth of a frame.

    Example:
        >>> import torch
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
        >>> [codes.tolist() for codes in recordings_of(Tokens.from_codes(torch.tensor([[1, 2], [3, 4]]), spec))]
        [[[1, 2], [3, 4]]]
    """
    codes = tokens.codes.masked_fill(~tokens.code_mask, -1).cpu().numpy()
    return (item[:, :length] for item, length in zip(codes, tokens.lengths.tolist(), strict=True))


def checked(codes: ArrayLike | Tensor, spec: TokenizerSpec) -> Integers:
    """Return codes `[K, T]` as int64, after a check that they can be this tokenizer's.

    Args:
        codes: integers `[K, T]` of one recording, -1 where a frame does not have a codebook.
        spec: of the tokenizer.

    Raises:
        AnalysisError: if they are no integers, of another shape, or out of range.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> checked([[0, 7, -1]], TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),)))
        array([[ 0,  7, -1]])
    """
    rows = integers(codes, "codes")
    if rows.ndim != 2 or len(rows) != spec.num_codebooks:
        raise AnalysisError(f"codes are {list(rows.shape)}; give [{spec.num_codebooks}, T], as {spec.name} has them")
    if rows.shape[1]:
        for codebook, (least, most) in enumerate(zip(rows.min(1).tolist(), rows.max(1).tolist(), strict=True)):
            size = spec.codebook_sizes[codebook]
            if least < -1 or most >= size:
                problem = f"codebook {codebook} of {spec.name} has codes from {least} to {most}"
                raise AnalysisError(f"{problem}; give codes from 0 to {size - 1}, or -1 for none")
    return rows


def at_own_rate(rows: Integers, spec: TokenizerSpec, codebook: int) -> Integers:
    """Return the codes of one codebook `[n]`, a slow one's once each, without frames that do not have it.

    Example:
        >>> import numpy as np
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8, stride=2), CodebookSpec(8)))
        >>> rows = np.array([[5, 5, 6], [1, 2, -1]])
        >>> at_own_rate(rows, spec, 0).tolist(), at_own_rate(rows, spec, 1).tolist()
        ([5, 6], [1, 2])
    """
    row = rows[codebook, :: spec.codebooks[codebook].stride]
    return row[row >= 0] if row.size and row.min() < 0 else row
