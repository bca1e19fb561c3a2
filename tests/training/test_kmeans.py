"""K-means: no worse than scikit-learn's, the same on every run, from memory or from disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tokaudio.quantizers.search import nearest_exact
from tokaudio.training.frames import FramesInMemory, View, write_frames
from tokaudio.training.kmeans import FitError, fit_kmeans


def clustered(count: int, dim: int, clusters: int, seed: int = 0) -> Tensor:
    """Return rows around random centres, with a spectrum that falls as those of speech features do."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.arange(1, dim + 1).float() ** -0.5
    centres = torch.randn(clusters, dim, generator=generator)
    rows = centres[torch.randint(0, clusters, (count,), generator=generator)]
    return (rows + 0.7 * torch.randn(count, dim, generator=generator)) * scale


def inertia_of(rows: Tensor, centroids: Tensor) -> float:
    return float((rows - centroids[nearest_exact(rows, centroids)]).square().sum(1).mean())


@pytest.mark.parametrize("dim", [6, 60, 300])
def test_inertia_is_no_worse_than_scikit_learns(dim: int) -> None:
    from sklearn.cluster import MiniBatchKMeans

    rows = clustered(3_000, dim, 90)
    fit = fit_kmeans(FramesInMemory(rows), 30)
    other = MiniBatchKMeans(30, batch_size=1_000, n_init=1, random_state=0).fit(rows.numpy())
    assert fit.inertia <= inertia_of(rows, torch.from_numpy(other.cluster_centers_).float())
    assert fit.inertia == pytest.approx(inertia_of(rows, fit.centroids), rel=1e-4)
    assert int(fit.counts.sum()) == fit.frames == 3_000
    assert fit.variance == pytest.approx(float(rows.var(0, unbiased=False).sum()), rel=1e-4)
    assert fit.explained == pytest.approx(1 - fit.inertia / fit.variance) and 0.1 < fit.explained < 1


def test_the_same_seed_gives_the_same_centroids_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokaudio.training.frames.BLOCK", 300)
    rows = clustered(2_000, 64, 40)
    fits = [fit_kmeans(FramesInMemory(rows), 20, seed=4, threads=threads) for threads in (1, 2, 5)]
    assert all(torch.equal(fit.centroids, fits[0].centroids) and fit.inertia == fits[0].inertia for fit in fits)
    assert not torch.equal(fit_kmeans(FramesInMemory(rows), 20, seed=5).centroids, fits[0].centroids)


def test_more_frames_than_the_sample_are_read_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokaudio.training.frames.BLOCK", 500)
    rows = clustered(6_000, 16, 40)
    frames = write_frames(tmp_path, rows.split(700), dtype=torch.float32)
    taken: list[int] = []
    real = frames.take
    monkeypatch.setattr(frames, "take", lambda wanted: taken.append(len(wanted)) or real(wanted))
    sampled = fit_kmeans(frames, 10, sample=1_000, passes=2)
    assert taken == [1_000] and int(sampled.counts.sum()) == 6_000
    without = fit_kmeans(frames, 10, sample=1_000, passes=0)
    assert sampled.inertia < without.inertia and sampled.steps == without.steps + 2
    assert sampled.inertia == pytest.approx(inertia_of(rows, sampled.centroids), rel=1e-4)


def test_a_quick_fit_is_good_and_a_longer_one_better() -> None:
    from sklearn.cluster import MiniBatchKMeans

    rows = clustered(4_000, 200, 300)
    quick = fit_kmeans(FramesInMemory(rows), 60, restarts=1, steps=0)
    whole = fit_kmeans(FramesInMemory(rows), 60)
    other = MiniBatchKMeans(60, random_state=0).fit(rows.numpy())
    assert quick.steps == 0 < whole.steps <= 5
    assert whole.inertia < quick.inertia <= inertia_of(rows, torch.from_numpy(other.cluster_centers_).float())


def test_residual_stages_lower_the_inertia() -> None:
    frames = FramesInMemory(clustered(2_000, 12, 50))
    first = fit_kmeans(frames, 16)
    second = fit_kmeans(View(frames, slice(None), [first.centroids]), 16)
    assert second.inertia < 0.8 * first.inertia


def test_what_cannot_be_fitted_is_refused() -> None:
    rows = clustered(100, 4, 3)
    with pytest.raises(FitError, match="100 frames for 101 centroids; give more audio or a smaller k"):
        fit_kmeans(FramesInMemory(rows), 101)
    rows[40, 2] = float("nan")
    with pytest.raises(FitError, match="NaN or Inf"):
        fit_kmeans(FramesInMemory(rows), 3)
    rows[40, 2] = 0.0
    rows[41, 1] = float("inf")
    late = FramesInMemory(rows)
    late.take = lambda wanted: rows[:40]  # type: ignore[method-assign]
    with pytest.raises(FitError, match="NaN or Inf"):
        fit_kmeans(late, 3)
    with pytest.raises(ValueError, match="must be positive"):
        fit_kmeans(FramesInMemory(rows), 3, steps=-1)
