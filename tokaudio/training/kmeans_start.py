"""Where k-means starts: seeds found in few dimensions, on some of the rows, where they cost next to nothing.

Naive k-means++ (Arthur and Vassilvitskii 2007) reads all rows again for every new centre, and takes longer than all
that comes after it. Here it runs greedily on a sample seen through its leading principal components; the best of
several starts is improved in more of them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tokaudio.training.frames import FramesInMemory
from tokaudio.training.lloyd import Workers, descend, widened

# Principal components that seeds are looked for in, and those that they are then improved in.
_FEW, _SOME = 64, 128
# Rows per centroid that seeds are drawn from, and rows at least; Lloyd's steps on these, before starts are compared.
_SEED_ROWS, _LEAST_SEED_ROWS, _FEW_STEPS = 10, 10_000, 3
# Rows per dimension that components come from, and directions beyond those wanted that are followed with them.
_COMPONENT_ROWS, _MORE = 6, 16


def good_start(
    rows: Tensor, size: int, generator: torch.Generator, by: Workers, *, restarts: int, steps: int
) -> Tensor:
    """Return centroids `[V, D]` of rows: the best of several starts in few dimensions, improved in some.

    Args:
        rows: `[n, D]`.
        size: V.
        generator: of everything random.
        by: who does the work.
        restarts: how many starts are compared.
        steps: Lloyd's steps of the best one in some dimensions.

    Example:
        >>> rows, generator = torch.tensor([[0.0], [0.2], [9.0], [9.2]]), torch.Generator().manual_seed(0)
        >>> found = good_start(rows, 2, generator, Workers(torch.device("cpu"), 1), restarts=1, steps=1)
        >>> sorted(round(x, 1) for x in found.flatten().tolist())
        [0.1, 9.1]
    """
    some = _projected(rows, _SOME)
    best, least = torch.empty(0), math.inf
    for _ in range(restarts):
        order = torch.randperm(len(rows), generator=generator)[: max(_SEED_ROWS * size, _LEAST_SEED_ROWS)]
        drawn = some[order.sort().values]
        few = drawn[:, :_FEW].contiguous()
        centroids = plus_plus(few, size, generator)
        centroids, inertia, _ = descend(FramesInMemory(few), centroids, by, steps=_FEW_STEPS)
        if inertia < least:
            best, least = widened(FramesInMemory(drawn), FramesInMemory(few), centroids, by), inertia
    best, _, _ = descend(FramesInMemory(some), best, by, steps=steps)
    return best if some is rows else widened(FramesInMemory(rows), FramesInMemory(some), best, by)


def _projected(rows: Tensor, count: int) -> Tensor:
    """Return rows `[n, D]` as their leading principal components `[n, count]`; rows as narrow as that as they are.

    One pass of subspace iteration from random directions (Halko, Martinsson and Tropp, arXiv:0909.4061): these are not
    exactly the leading ones, and need not be.
    """
    dim = rows.shape[1]
    if dim <= count:
        return rows
    enough = rows[:: max(1, len(rows) // (_COMPONENT_ROWS * dim))]
    mean = enough.mean(0)
    enough = enough - mean
    spread = enough.T @ enough
    axes = torch.randn(dim, count + _MORE, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        axes, _ = torch.linalg.qr(spread @ axes)
    _, turns = torch.linalg.eigh(axes.T @ spread @ axes)
    axes = (axes @ turns.flip(1))[:, :count].contiguous()
    return (rows @ axes).sub_(mean @ axes)


def plus_plus(rows: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return `size` rows of `[n, D]`, each the best of a few drawn in proportion to their squared distance so far.

    Greedy k-means++: of `2 + log(size)` candidates, the one that lowers the sum of squared distances most.

    Example:
        >>> rows = torch.tensor([[0.0], [0.1], [9.0], [9.1]])
        >>> sorted(round(float(x)) for x in plus_plus(rows, 2, torch.Generator().manual_seed(0)))
        [0, 9]
    """
    tries = 2 + int(math.log(size))
    squares = rows.square().sum(1)
    draws = torch.rand(size, tries, generator=generator, dtype=torch.float64)
    chosen = [int(draws[0, 0] * len(rows))]
    nearest = _squared_distances(rows, squares, rows[chosen], squares[chosen])[0]
    for number in range(1, size):
        total = nearest.double().cumsum(0)
        candidates = torch.searchsorted(total, draws[number] * total[-1]).clamp_max(len(rows) - 1)
        distances = _squared_distances(rows, squares, rows[candidates], squares[candidates])
        distances = torch.minimum(distances, nearest)
        best = int(distances.sum(1).argmin())
        chosen.append(int(candidates[best]))
        nearest = distances[best]
    return rows[chosen].clone()


def _squared_distances(rows: Tensor, squares: Tensor, centres: Tensor, centre_squares: Tensor) -> Tensor:
    return torch.addmm(squares[None] + centre_squares[:, None], centres, rows.T, alpha=-2).clamp_min_(0)
