"""Steps of Lloyd's algorithm: plain ones against plain arithmetic, longer ones against plain ones."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tests.training.test_kmeans import clustered, inertia_of
from tokaudio.quantizers.search import nearest_exact
from tokaudio.training import lloyd
from tokaudio.training.frames import FramesInMemory, View
from tokaudio.training.kmeans import fit_kmeans
from tokaudio.training.lloyd import Workers, descend, spread, step, widened

ONE = Workers(torch.device("cpu"), 1)


def plain(rows: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return means, counts and inertia, one cluster after the other."""
    index = nearest_exact(rows, centroids)
    means = torch.stack([rows[index == number].mean(0) for number in range(len(centroids))])
    return means, torch.bincount(index, minlength=len(centroids)), inertia_of(rows, centroids)


def test_a_step_moves_centroids_to_the_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokaudio.training.frames.BLOCK", 90)
    monkeypatch.setattr(lloyd, "_ROWS", 40)
    rows = clustered(400, 9, 20)
    start = rows[:12].clone()
    means, counts, inertia = plain(rows, start)
    found = step(FramesInMemory(rows), start, ONE)
    assert_near(found[0], means)
    assert torch.equal(found[1], counts) and found[2] == pytest.approx(inertia, rel=1e-5)
    once = descend(FramesInMemory(rows), start, ONE, steps=1)
    assert torch.equal(once[0], found[0]) and once[1:] == (found[2], 1)
    assert descend(FramesInMemory(rows), start, ONE, steps=0)[1:] == (math.inf, 0)


def test_centroids_without_frames_are_revived() -> None:
    rows = torch.cat([torch.zeros(400, 2), torch.ones(3, 2) * torch.tensor([[50.0], [60.0], [70.0]])])
    start = torch.zeros(4, 2) + torch.tensor([[0.0], [500.0], [600.0], [700.0]])
    moved, counts, _ = step(FramesInMemory(rows), start, ONE)
    assert counts.tolist() == [403, 0, 0, 0]
    assert sorted(moved[1:, 0].tolist()) == [50.0, 60.0, 70.0]
    found, _, done = descend(FramesInMemory(rows), start, ONE, steps=3)
    assert sorted(found[:, 0].tolist()) == [0.0, 50.0, 60.0, 70.0] and done == 3, "they are not moved beyond frames"
    assert fit_kmeans(FramesInMemory(rows), 4).inertia < 1e-3


def test_going_beyond_the_means_gets_there_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = clustered(4_000, 30, 300)
    frames, start = FramesInMemory(rows), rows[:80].clone()
    longer = inertia_of(rows, descend(frames, start, ONE, steps=5)[0])
    monkeypatch.setattr(lloyd, "_STRIDE", 1.0)
    ordinary = [inertia_of(rows, descend(frames, start, ONE, steps=steps)[0]) for steps in (5, 8)]
    assert longer < ordinary[1] < ordinary[0]


def test_steps_that_go_too_far_are_followed_by_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = clustered(1_000, 8, 60)
    start = rows[:20].clone()
    before = inertia_of(rows, start)
    monkeypatch.setattr(lloyd, "_STRIDE", 6.0)
    seen: list[float] = []
    real = lloyd.step

    def watched(frames: FramesInMemory, centroids: Tensor, by: Workers) -> tuple[Tensor, Tensor, float]:
        found = real(frames, centroids, by)
        seen.append(found[2])
        return found

    monkeypatch.setattr(lloyd, "step", watched)
    found, _, done = descend(FramesInMemory(rows), start, ONE, steps=6, tolerance=1e-3)
    assert done == 6 and seen[1] > seen[0] > seen[2], "a rise is no reason to stop"
    assert inertia_of(rows, found) < before


def test_steps_end_when_little_is_gained() -> None:
    rows = clustered(600, 4, 5)
    found, _, done = descend(FramesInMemory(rows), rows[:5].clone(), ONE, steps=500, tolerance=1e-3)
    assert 2 <= done < 60
    assert inertia_of(rows, found) <= 1.01 * inertia_of(rows, step(FramesInMemory(rows), found, ONE)[0])


def test_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokaudio.training.frames.BLOCK", 90)
    rows = clustered(400, 9, 20) + 300.0  # far from the origin, where lengths round coarsely
    centroids = rows[:12].clone()
    counts, inertia, variance = spread(FramesInMemory(rows), centroids, Workers(torch.device("cpu"), 3))
    assert torch.equal(counts, plain(rows, centroids)[1])
    assert inertia == pytest.approx(inertia_of(rows, centroids), rel=1e-5)
    assert variance == pytest.approx(float(rows.double().var(0, unbiased=False).sum()), rel=1e-5)
    assert spread(FramesInMemory(torch.ones(5, 3)), torch.ones(1, 3), ONE)[1:] == (0.0, 0.0)


def test_widened_means_are_of_the_same_frames() -> None:
    rows = clustered(300, 20, 15)
    frames, centroids = FramesInMemory(rows), rows[:7, :4].clone()
    index = nearest_exact(rows[:, :4], centroids)
    wanted = torch.stack([rows[index == number].mean(0) for number in range(7)])
    assert_near(widened(frames, View(frames, slice(0, 4)), centroids, ONE), wanted)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(2, 60), dim=st.integers(1, 6), size=st.integers(1, 12), seed=st.integers(0, 99))
def test_laws(count: int, dim: int, size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, start = torch.randn(count, dim, generator=generator), torch.randn(size, dim, generator=generator)
    frames = FramesInMemory(rows)
    moved, counts, inertia = step(frames, start, ONE)
    assert int(counts.sum()) == count
    assert inertia_of(rows, moved) <= inertia * (1 + 1e-5) + 1e-6, "a plain step never makes it worse"
    assert torch.equal(descend(frames, start, ONE, steps=4)[0], descend(frames, start, ONE, steps=4)[0])
