"""K-means for as many frames as the disk holds: good seeds found in few dimensions, then Lloyd's algorithm in all.

Steps in full width go first over a sample that is held in memory, and then over everything on disk. The same frames and
the same seed give the same centroids to the last bit, whatever the number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tokaudio.errors import TokaudioError, one_line
from tokaudio.nn.determinism import one_thread
from tokaudio.training.frames import Frames, FramesInMemory
from tokaudio.training.kmeans_start import good_start
from tokaudio.training.lloyd import Workers, descend, spread

# Lloyd's steps in fewer dimensions: as many more than in full width, and at most.
_MORE_STEPS, _MOST_STEPS = 4, 10


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
    steps: int = 5,
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
        steps: Lloyd's steps on the sample, at most; before them, some in fewer dimensions. With 0, and one start, a fit
            is quick: it takes a third to a half of the time, and inertia is 1 to 2 % higher.
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
    _require_finite(*torch.stack(torch.aminmax(rows)).tolist())
    by = Workers(torch.device(device), threads or torch.get_num_threads())
    narrow = min(_MORE_STEPS + steps, _MOST_STEPS)
    with one_thread():
        centroids = good_start(rows, size, generator, by, restarts=restarts, steps=narrow)
        centroids, _, done = descend(FramesInMemory(rows), centroids, by, steps=steps, tolerance=tolerance)
        if total > kept:
            centroids, _, more = descend(frames, centroids, by, steps=passes)
            done += more
        counts, inertia, variance = spread(frames, centroids, by)
    _require_finite(inertia)
    return KMeansFit(centroids, counts, inertia, variance, total, done)


def _require_finite(*numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise FitError(one_line("k-means", "features hold a NaN or Inf", "check the audio that they come from"))
