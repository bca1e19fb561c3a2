"""Steps of Lloyd's algorithm over any number of frames: assign each to the nearest centroid, move these to the means.

A plain step (Lloyd 1982, doi:10.1109/TIT.1982.1056489) stops at the mean. Here all but the last go on beyond it, as far
again times a constant, and fall back to a plain one after a step that made inertia rise: adaptive over-relaxation
(Salakhutdinov and Roweis 2003, "Adaptive Overrelaxed Bound Optimization Methods"), which needs about half the steps.

Blocks of rows are of one size and their sums are added in one order, whatever number of threads works on them: the
same frames and the same centroids give the same means to the last bit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from tokaudio.nn.determinism import one_thread
from tokaudio.quantizers.search import half_squares
from tokaudio.training.frames import Frames

Part = TypeVar("Part")

# Rows whose scores are computed at once: few enough that they stay in the cache until their least is found.
_ROWS = 1024
# How far a step goes, where the mean is at 1. At 2 and beyond, clusters that keep their frames do not settle.
_STRIDE = 1.9


@dataclass(frozen=True, slots=True)
class Workers:
    """Where blocks are worked on, and how many at once."""

    device: torch.device
    threads: int


@dataclass(frozen=True, slots=True)
class _Sums:
    """What one block adds to a step."""

    sums: Tensor
    counts: Tensor
    inertia: float
    farthest: Tensor
    distances: Tensor


def descend(
    frames: Frames, centroids: Tensor, by: Workers, *, steps: int, tolerance: float = 0.0
) -> tuple[Tensor, float, int]:
    """Take steps, all but the last beyond the means, and return the means of the last.

    Args:
        frames: rows `[N, D]`.
        centroids: `[V, D]`, where it starts.
        by: who does the work.
        steps: at most.
        tolerance: a step that lowers inertia by a smaller share is the last.

    Returns:
        Centroids `[V, D]`, the inertia before the last step (infinite without steps), and how many steps there were.

    Example:
        >>> from tokaudio.training.frames import FramesInMemory
        >>> frames = FramesInMemory(torch.tensor([[0.0], [1.0], [10.0], [12.0]]))
        >>> found, _, done = descend(frames, torch.tensor([[0.0], [1.0]]), Workers(torch.device("cpu"), 1), steps=9)
        >>> found.tolist(), done
        ([[0.5], [11.0]], 9)
    """
    before, done = math.inf, 0
    while done < steps:
        means, counts, inertia = step(frames, centroids, by)
        done += 1
        if done == steps or 0 <= before - inertia < tolerance * inertia:
            return means, inertia, done
        # A centroid without frames has moved to one of them, not to a mean.
        beyond = (_STRIDE - 1 if inertia <= before else 0.0) * (counts > 0)[:, None]
        centroids = means + beyond * (means - centroids)
        before = inertia
    return centroids, before, done


def step(frames: Frames, centroids: Tensor, by: Workers) -> tuple[Tensor, Tensor, float]:
    """Return the means `[V, D]` of the frames nearest to each centroid, how many these are, and the inertia before.

    Centroids without frames move to the frames that are farthest from theirs.

    Example:
        >>> from tokaudio.training.frames import FramesInMemory
        >>> frames = FramesInMemory(torch.tensor([[0.0], [1.0], [10.0]]))
        >>> step(frames, torch.tensor([[0.0], [10.0]]), Workers(torch.device("cpu"), 1))[:2]
        (tensor([[ 0.5000],
                [10.0000]]), tensor([2, 1]))
    """
    centroids = centroids.to(by.device)
    halves = half_squares(centroids)

    def work(rows: Tensor) -> _Sums:
        placed = rows.to(by.device)
        return _block_sums(placed, placed, centroids, halves)

    sums = torch.zeros(centroids.shape, dtype=torch.float64)
    counts = torch.zeros(len(centroids), dtype=torch.int64)
    inertia, farthest, distances = 0.0, torch.empty(0, centroids.shape[1]), torch.empty(0)
    for part in _in_order(work, frames.blocks(), by.threads):
        sums += part.sums
        counts += part.counts
        inertia += part.inertia
        farthest, distances = torch.cat([farthest, part.farthest]), torch.cat([distances, part.distances])
        order = distances.argsort(descending=True, stable=True)[: len(centroids)]
        farthest, distances = farthest[order], distances[order]
    moved = (sums / counts.clamp_min(1)[:, None]).float()
    empty = (counts == 0).nonzero().squeeze(1)[: len(farthest)]
    moved[empty] = farthest[: len(empty)]
    return moved, counts, inertia / frames.shape[0]


def spread(frames: Frames, centroids: Tensor, by: Workers) -> tuple[Tensor, float, float]:
    """Return how many frames are nearest to each centroid `[V]`, the inertia, and the variance of all frames.

    Example:
        >>> from tokaudio.training.frames import FramesInMemory
        >>> frames = FramesInMemory(torch.tensor([[0.0], [1.0], [10.0], [11.0]]))
        >>> counts, inertia, variance = spread(frames, torch.tensor([[0.0], [10.0]]), Workers(torch.device("cpu"), 1))
        >>> counts.tolist(), inertia, variance
        ([2, 2], 0.5, 25.25)
    """
    centroids = centroids.to(by.device)
    centre = centroids.mean(0)
    moved = centroids - centre
    halves = half_squares(moved)

    def work(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # Rounding is that of lengths: seen from the middle of the centroids they are short.
        near = rows.to(by.device) - centre
        index, distances, squares = _nearest(near, moved, halves)
        totals = torch.stack([distances.double().sum(), squares.double().sum()])
        return torch.bincount(index, minlength=len(centroids)).cpu(), near.sum(0).double().cpu(), totals.cpu()

    counts, sums, totals = torch.zeros(len(centroids), dtype=torch.int64), torch.zeros(1), torch.zeros(1)
    for more, part, pair in _in_order(work, frames.blocks(), by.threads):
        counts, sums, totals = counts + more, sums + part, totals + pair
    inertia, squares = (totals / frames.shape[0]).tolist()
    return counts, inertia, max(0.0, squares - float((sums / frames.shape[0]).square().sum()))


def widened(frames: Frames, narrow: Frames, centroids: Tensor, by: Workers) -> Tensor:
    """Return the means `[V, D]` of the frames whose narrow versions are nearest to narrow centroids.

    Example:
        >>> from tokaudio.training.frames import FramesInMemory
        >>> wide, narrow = torch.tensor([[0.0, 7.0], [1.0, 9.0], [8.0, 5.0]]), torch.tensor([[0.0], [1.0], [8.0]])
        >>> centroids, by = torch.tensor([[0.5], [8.0]]), Workers(torch.device("cpu"), 1)
        >>> widened(FramesInMemory(wide), FramesInMemory(narrow), centroids, by).tolist()
        [[0.5, 8.0], [8.0, 5.0]]
    """
    centroids = centroids.to(by.device)
    halves = half_squares(centroids)
    sums = torch.zeros(len(centroids), frames.shape[1], dtype=torch.float64)
    counts = torch.zeros(len(centroids), dtype=torch.int64)
    for rows, low in zip(frames.blocks(), narrow.blocks(), strict=True):
        part = _block_sums(rows.to(by.device), low.to(by.device), centroids, halves)
        sums += part.sums
        counts += part.counts
    return (sums / counts.clamp_min(1)[:, None]).float()


def _block_sums(rows: Tensor, compared: Tensor, centroids: Tensor, halves: Tensor) -> _Sums:
    """Assign rows by what is compared of them, and add them up by centroid."""
    index, distances, _ = _nearest(compared, centroids, halves)
    counts = torch.bincount(index, minlength=len(centroids))
    if rows.is_cuda:  # adding at random places is not repeatable there; a product is
        chosen = torch.nn.functional.one_hot(index, len(centroids)).to(rows.dtype)
        sums = chosen.T @ rows
    else:
        sums = rows.new_zeros(len(centroids), rows.shape[1]).index_add_(0, index, rows)
    # A few are enough: more than these are rarely empty at once, and the next step goes on.
    top = distances.topk(min(len(rows), 16))
    return _Sums(sums.cpu(), counts.cpu(), float(distances.double().sum()), rows[top.indices].cpu(), top.values.cpu())


def _nearest(rows: Tensor, centroids: Tensor, halves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return of each row `[n, D]` the nearest centroid, the squared distance to it, and the squared length."""
    parts = [torch.addmm(halves[None], part, centroids.T, alpha=-1).min(1) for part in rows.split(_ROWS)]
    squares = torch.linalg.vector_norm(rows, dim=1).square()
    distances = (squares + 2 * torch.cat([part.values for part in parts])).clamp_min(0)
    return torch.cat([part.indices for part in parts]), distances, squares


def _in_order(work: Callable[[Tensor], Part], blocks: Iterator[Tensor], threads: int) -> Iterator[Part]:
    """Do work on blocks, several at once, and yield the results in the order of the blocks."""

    def alone(rows: Tensor) -> Part:
        with one_thread():
            return work(rows)

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Part]] = deque()
        for block in blocks:
            waiting.append(pool.submit(alone, block))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
