"""Nearest codewords, the same ones on every run: lowest index wins ties, and rounding never decides.

A matrix product finds the candidates quickly, but its rounding depends on how a library blocks it. Wherever two
codewords are closer to each other than that rounding, the frame is decided again in float64 by plain differences.
"""

from __future__ import annotations

import torch
from torch import Tensor

# A float32 dot product of D terms is off by at most about D * 2**-24 of the product of the norms; 4e-6 covers the
# widths in use with room to spare (random errors grow with the square root of D).
_ROUNDING = 4e-6


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
    scores = torch.addmm(halves, vectors, codebook.T, alpha=-1)
    best, index = scores.min(dim=1)
    # The runner-up decides whether rounding could have: hide the winner, take the minimum again, put the winner back.
    second = scores.scatter_(1, index[:, None], torch.inf).amin(dim=1)
    scores.scatter_(1, index[:, None], best[:, None])
    longest = halves.max()
    margin = _ROUNDING * (vectors.norm(dim=-1) * (2 * longest).sqrt() + longest)
    rows = (second <= best + margin).nonzero().squeeze(1)
    if len(rows):
        index = index.clone()
        candidates = scores[rows] <= (best + margin)[rows, None]
        index[rows] = _decide(vectors[rows], codebook, candidates)
    return index


def _decide(vectors: Tensor, codebook: Tensor, candidates: Tensor) -> Tensor:
    """Return the nearest candidate `[N]` of each vector `[N, D]`, by float64 differences; `candidates` is `[N, V]`."""
    row, column = candidates.nonzero(as_tuple=True)
    pieces = zip(row.split(65536), column.split(65536), strict=True)
    distances = torch.cat([(vectors[r].double() - codebook[c].double()).square().sum(-1) for r, c in pieces])
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
