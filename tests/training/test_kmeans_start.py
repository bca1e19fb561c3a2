"""Starts of k-means: seeds far apart, and principal components that hold what exact ones hold."""

from __future__ import annotations

import pytest
import torch

from tests.near import assert_near
from tests.training.test_kmeans import clustered, inertia_of
from tokaudio.training import kmeans_start
from tokaudio.training.kmeans_start import good_start, plus_plus
from tokaudio.training.lloyd import Workers

ONE = Workers(torch.device("cpu"), 1)


def test_seeds_are_rows_far_from_each_other() -> None:
    rows = torch.cat([clustered(50, 3, 1, seed) * 0.01 + 10 * seed for seed in range(6)])
    seeds = plus_plus(rows, 6, torch.Generator().manual_seed(0))
    assert sorted(round(float(seed[0]) / 10) for seed in seeds) == list(range(6))
    assert all(bool((rows == seed).all(1).any()) for seed in seeds)


def test_components_hold_as_much_as_exact_ones() -> None:
    rows = clustered(2_000, 80, 40) + 5.0
    found = kmeans_start._projected(rows, 16)
    centred = rows - rows.mean(0)
    values = torch.linalg.svdvals(centred)
    assert found.shape == (2_000, 16)
    assert float(found.mean(0).abs().max()) < 0.2, "they are seen from their mean"
    held = float((found - found.mean(0)).square().sum() / values[:16].square().sum())
    assert 0.93 < held < 1.0001
    assert float(found[:, 0].var()) > float(found[:, 15].var()), "the leading ones first"
    few = rows[:, :16].contiguous()
    assert kmeans_start._projected(few, 16) is few
    assert_near(kmeans_start._projected(torch.ones(30, 20), 16), torch.zeros(30, 16))


@pytest.mark.parametrize("dim", [5, 30, 200])
def test_more_starts_and_more_steps_are_no_worse(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmeans_start, "_FEW", 10)
    monkeypatch.setattr(kmeans_start, "_SOME", 40)
    rows = clustered(1_500, dim, 90)
    found = {}
    for restarts, steps in ((1, 0), (1, 4), (3, 4)):
        generator = torch.Generator().manual_seed(1)
        centroids = good_start(rows, 30, generator, ONE, restarts=restarts, steps=steps)
        assert centroids.shape == (30, dim)
        found[restarts, steps] = inertia_of(rows, centroids)
    assert found[1, 4] < found[1, 0] and found[3, 4] < 1.02 * found[1, 4]
    drawn = rows[torch.randperm(1_500, generator=torch.Generator().manual_seed(0))[:30]]
    assert found[1, 0] < inertia_of(rows, drawn)
