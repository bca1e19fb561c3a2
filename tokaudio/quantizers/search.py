"""Nearest codewords, the same ones on every run: lowest index wins ties, and rounding never decides.

A matrix product finds the candidates quickly, but its rounding depends on how a library blocks it. Wherever two
codewords are closer to each other than that rounding, the frame is decided again in float64 by plain differences.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor

# A float32 dot product of D terms is off by at most about D * 2**-24 of the product of the norms; 4e-6 covers the
# widths in use with room to spare (random errors grow with the square root of D).
_ROUNDING = 4e-6
# Numbers that are compared in float64 at once: few enough to stay in a processor's cache.
_PIECE = 2**18


def half_squares(codebook: Tensor) -> Tensor:
    """Return half the squared length `[V]` of every codeword `[V, D]`.

    Example:
        >>> half_squares(torch.tensor([[3.0, 4.0]]))
        tensor([12.5000])
    """
    return codebook.square().sum(-1) / 2


def nearest(vectors: Tensor, codebook: Tensor, *, halves: Tensor | None = None) -> Tensor:
    """Return the index of the nearest codeword (squared Euclidean distance) of each vector.

    Args:
        vectors: `[N, D]` float32.
        codebook: `[V, D]` float32.
        halves: `half_squares(codebook)`, where the caller has it already.

    Returns:
        Indices `[N]`, int64. Among codewords at equal distance the lowest index wins.

    Example:
        >>> nearest(torch.tensor([[0.0], [0.9], [0.5]]), torch.tensor([[0.0], [1.0], [1.0]]))
        tensor([0, 1, 0])
    """
    halves = half_squares(codebook) if halves is None else halves
    scores = torch.addmm(halves[:, None], codebook, vectors.T, alpha=-1)
    best, second, index = two_least(scores)
    longest = halves.max()
    margin = _ROUNDING * (vectors.norm(dim=-1) * (2 * longest).sqrt() + longest)
    rows = (second <= best + margin).nonzero().squeeze(1)
    if len(rows):
        index = index.clone()
        # Not greater: a NaN, of numbers that overflowed, rules nothing out.
        candidates = ~torch.gt(scores[:, rows].T, (best + margin)[rows, None])
        index[rows] = _decide(vectors[rows], codebook, candidates)
    return index


def two_least(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the least score `[N]` of each column of `[V, N]`, the least of the others, and the first row of the least.

    Example:
        >>> two_least(torch.tensor([[3.0], [1.0], [2.0], [1.0]]))
        (tensor([1.]), tensor([1.]), tensor([1]))
    """
    compiled = _compiled() if scores.device.type == "cpu" and scores.dtype == torch.float32 else None
    if compiled is None:
        best, index = scores.min(dim=0)
        # Without a copy, which would take as long as a search: the least is hidden for a moment.
        second = scores.scatter_(0, index[None], torch.inf).amin(dim=0)
        scores.scatter_(0, index[None], best[None])
        return best, second, index
    best, second = scores.new_empty(scores.shape[1]), scores.new_empty(scores.shape[1])
    index = torch.empty(scores.shape[1], dtype=torch.int32)
    compiled(scores.detach().contiguous().numpy(), best.numpy(), second.numpy(), index.numpy())
    return best, second, index.long()


def _compiled() -> Any:
    """Return the compiled loop, or None where numba is missing or broken.

    Only where networks have imported numba already: that takes longer than it saves here.
    """
    return _imported() if "numba" in sys.modules else None


@cache
def _imported() -> Any:
    try:
        from tokaudio.quantizers._numba_search import two_least as compiled
    except Exception:  # numba fails in many ways on platforms that it does not know
        return None
    return compiled


def _decide(vectors: Tensor, codebook: Tensor, candidates: Tensor) -> Tensor:
    """Return the nearest candidate `[N]` of each vector `[N, D]`, by float64 differences; `candidates` is `[N, V]`."""
    row, column = candidates.nonzero(as_tuple=True)
    rows = max(1, _PIECE // codebook.shape[1])
    pieces = zip(row.split(rows), column.split(rows), strict=True)
    distances = torch.cat([(vectors[r].double() - codebook[c].double()).square().sum(-1) for r, c in pieces])
    distances = distances.nan_to_num(nan=torch.inf, posinf=torch.inf)
    least = distances.new_full((len(vectors),), torch.inf).scatter_reduce(0, row, distances, "amin")
    column = torch.where(distances == least[row], column, len(codebook))
    return column.new_full((len(vectors),), len(codebook)).scatter_reduce(0, row, column, "amin")


def nearest_exact(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Return what [`nearest`][tokaudio.quantizers.search.nearest] returns, by float64 differences; slow and obvious.

    Example:
        >>> nearest_exact(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0], [9.0, 9.0]]))
        tensor([0])
    """
    table = codebook.double()
    distances = torch.stack([(table - row).square().sum(-1) for row in vectors.double()])
    order = torch.arange(len(table), device=table.device)
    minimal = distances == distances.min(dim=1, keepdim=True).values
    return torch.where(minimal, order, len(table)).min(dim=1).values
