"""K-means for as many frames as the disk holds: good seeds found in few dimensions, then Lloyd's algorithm in all.

Seeds decide how good the result is, and naive k-means++ (Arthur and Vassilvitskii 2007) takes most of the time: every
new centre reads all rows again. Here it runs, greedily and several times, on a sample seen through its principal
components, where it costs next to nothing; the best start goes on in full width (Lloyd 1982,
doi:10.1109/TIT.1982.1056489), first on the sample and then over everything on disk.

Blocks of rows are of one size and their sums are added in one order, whatever number of threads works on them: the
same frames and the same seed give the same centroids to the last bit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from tokaudio.errors import TokaudioError, one_line
from tokaudio.nn.determinism import one_thread
from tokaudio.quantizers.search import half_squares
from tokaudio.training.frames import Frames, FramesInMemory

# Principal components that seeds are looked for in, and those that they are then improved in; rows per centroid that
# seeds are drawn from, and rows at least.
_FEW, _SOME = 48, 256
_SEED_ROWS, _LEAST_SEED_ROWS = 20, 10_000
# Lloyd's steps on these in few dimensions, before starts are compared; rows per dimension that components come from.
_FEW_STEPS, _COMPONENT_ROWS = 5, 10
# Lloyd's steps in some dimensions, at most.
_SOME_STEPS = 10
# Rows whose scores are computed at once: few enough that they stay in the cache until their least is found.
_ROWS = 512


class FitError(TokaudioError):
    """Frames that k-means cannot be fitted to."""


@dataclass(frozen=True, slots=True)
class KMeansFit:
    """What a fit found.

    Attributes:
        centroids: `[V, D]` float32.
        counts: frames nearest to each centroid `[V]`.
        inertia: mean squared distance of all frames to their centroids.
        variance: mean squared distance of all frames to their mean: inertia with one centroid.
        frames: N, how many frames there were.
        steps: Lloyd's steps in full width.
    """

    centroids: Tensor
    counts: Tensor
    inertia: float
    variance: float
    frames: int
    steps: int

    @property
    def explained(self) -> float:
        """Share of the variance that centroids explain, from 0 to 1."""
        return 1 - self.inertia / self.variance if self.variance else 1.0


def fit_kmeans(
    frames: Frames,
    size: int,
    *,
    seed: int = 0,
    restarts: int = 2,
    steps: int = 10,
    passes: int = 2,
    sample: int = 100_000,
    tolerance: float = 1e-3,
    device: torch.device | str = "cpu",
    threads: int | None = None,
) -> KMeansFit:
    """Fit centroids to frames.

    Args:
        frames: rows `[N, D]`, from memory or from disk.
        size: V, how many centroids.
        seed: of everything random.
        restarts: starts that are tried; the best goes on.
        steps: Lloyd's steps on the sample, at most; before them, four to ten in fewer dimensions. None is quick and
            costs 1 to 3 % of inertia.
        passes: Lloyd's steps over all frames, where there are more than the sample holds.
        sample: rows that are held in memory, at least 64 for every centroid.
        tolerance: steps end when inertia falls by a smaller share.
        device: where products are computed.
        threads: blocks that are worked on at once, which changes nothing in the result; None for torch's setting.

    Raises:
        FitError: if there are fewer frames than centroids, or numbers that are not finite.
        ValueError: if a number is out of range.

    Example:
        >>> rows = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
        >>> fit = fit_kmeans(FramesInMemory(rows), 8)
        >>> fit.centroids.shape, int(fit.counts.sum())
        (torch.Size([8, 4]), 500)
    """
    if min(size, restarts) < 1 or min(steps, passes) < 0:
        raise ValueError(
            f"size and restarts must be positive, steps and passes not negative, got {size, restarts, steps, passes}"
        )
    total = frames.shape[0]
    if total < size:
        raise FitError(one_line("k-means", f"{total} frames for {size} centroids", "give more audio or a smaller k"))
    generator = torch.Generator().manual_seed(seed)
    kept = min(total, max(sample, 64 * size))
    rows = frames.take(torch.randperm(total, generator=generator)[:kept].sort().values)
    if not all(math.isfinite(value) for value in torch.stack(torch.aminmax(rows)).tolist()):
        raise FitError(one_line("k-means", "features hold a NaN or Inf", "check the audio that they come from"))
    held, by = FramesInMemory(rows), _Workers(torch.device(device), threads or torch.get_num_threads())
    with one_thread():
        centroids = _good_start(rows, size, generator, by, restarts=restarts, steps=min(4 + 2 * steps, _SOME_STEPS))
        done, before = 0, math.inf
        for _ in range(steps):
            centroids, _, inertia = _step(held, centroids, by)
            done += 1
            if before - inertia < tolerance * inertia:
                break
            before = inertia
        for _ in range(passes if total > kept else 0):
            centroids, _, _ = _step(frames, centroids, by)
            done += 1
        means, counts, inertia = _step(frames, centroids, by)
    centroids = centroids.cpu()
    return KMeansFit(centroids, counts, inertia, _variance(centroids, means, counts, inertia), total, done)


def _variance(centroids: Tensor, means: Tensor, counts: Tensor, inertia: float) -> float:
    """Return the variance of frames, from the means of those of each centroid.

    By Steiner's theorem inertia is the variance within clusters and the squared distances of means to centroids; the
    variance is that within clusters and that of the means.
    """
    share = counts.double() / counts.sum()
    means = means.double()
    apart = share @ (means - centroids.double()).square().sum(1)
    between = share @ (means - share @ means).square().sum(1)
    return inertia - float(apart) + float(between)


def _good_start(
    rows: Tensor, size: int, generator: torch.Generator, by: _Workers, *, restarts: int, steps: int
) -> Tensor:
    """Return centroids `[V, D]` of rows `[n, D]`: the best of several starts in few dimensions, improved in some."""
    components = _projected(rows)
    few, some = FramesInMemory(components[:, :_FEW].contiguous()), FramesInMemory(components)
    best, least = torch.empty(0), math.inf
    for _ in range(restarts):
        drawn = few.take(torch.randperm(len(rows), generator=generator)[: max(_SEED_ROWS * size, _LEAST_SEED_ROWS)])
        centroids = plus_plus(drawn, size, generator)
        inertia = math.inf
        for _ in range(_FEW_STEPS):
            centroids, _, inertia = _step(FramesInMemory(drawn), centroids, by)
        if inertia < least:
            best, least = centroids, inertia
    if components.shape[1] > _FEW:
        best = _means(some, few, best, by)
        for _ in range(steps):
            best, _, _ = _step(some, best, by)
    return best if components is rows else _means(FramesInMemory(rows), some, best, by)


def _projected(rows: Tensor) -> Tensor:
    """Return rows `[n, D]` as their leading principal components `[n, d]`; the rows themselves where they are few."""
    if rows.shape[1] <= _FEW:
        return rows
    mean = rows.mean(0)
    enough = rows[: _COMPONENT_ROWS * rows.shape[1]] - mean
    _, vectors = torch.linalg.eigh(enough.T @ enough)
    axes = vectors.flip(1)[:, :_SOME]
    return rows @ axes - mean @ axes


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


@dataclass(frozen=True, slots=True)
class _Workers:
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


def _step(frames: Frames, centroids: Tensor, by: _Workers) -> tuple[Tensor, Tensor, float]:
    """Return moved centroids, how many frames each had, and the inertia before the move.

    Centroids without frames move to the frames that are farthest from theirs.
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
    if not math.isfinite(inertia):
        raise FitError(one_line("k-means", "features hold a NaN or Inf", "check the audio that they come from"))
    return moved, counts, inertia / frames.shape[0]


def _means(frames: Frames, narrow: Frames, centroids: Tensor, by: _Workers) -> Tensor:
    """Return the means `[V, D]` of the frames whose narrow versions are nearest to narrow centroids."""
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
    parts = [_least(part, centroids, halves) for part in compared.split(_ROWS)]
    index = torch.cat([index for _, index in parts])
    least = torch.cat([score for score, _ in parts])
    distances = (torch.linalg.vector_norm(compared, dim=1).square() + 2 * least).clamp_min(0)
    counts = torch.bincount(index, minlength=len(centroids))
    if rows.is_cuda:  # adding at random places is not repeatable there; a product is
        chosen = torch.nn.functional.one_hot(index, len(centroids)).to(rows.dtype)
        sums = chosen.T @ rows
    else:
        sums = rows.new_zeros(len(centroids), rows.shape[1]).index_add_(0, index, rows)
    # A few are enough: more than these are rarely empty at once, and the next step goes on.
    top = distances.topk(min(len(rows), 16))
    return _Sums(
        sums.double().cpu(), counts.cpu(), float(distances.double().sum()), rows[top.indices].cpu(), top.values.cpu()
    )


def _least(rows: Tensor, centroids: Tensor, halves: Tensor) -> tuple[Tensor, Tensor]:
    scores, index = torch.addmm(halves[None], rows, centroids.T, alpha=-1).min(1)
    return scores, index


def _in_order(work: Callable[[Tensor], _Sums], blocks: Iterator[Tensor], threads: int) -> Iterator[_Sums]:
    """Do work on blocks, several at once, and yield the results in the order of the blocks."""

    def alone(rows: Tensor) -> _Sums:
        with one_thread():
            return work(rows)

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_Sums]] = deque()
        for block in blocks:
            waiting.append(pool.submit(alone, block))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
