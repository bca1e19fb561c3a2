"""The comparison of k-means: its rows, its figures, and a small run of each part."""

from __future__ import annotations

from pathlib import Path

import kmeans
import pytest
import torch

from tests.training.speech import write_sounds


def test_rows_are_clustered_and_real(tmp_path: Path) -> None:
    rows = kmeans.synthetic(200)
    assert rows.shape == (200, 1024)
    assert 20 < float(rows[:, :10].var() / rows[:, -300:].var()) < 2000, "the spectrum falls"
    data = write_sounds(tmp_path / "data", {"a.wav": 1.0, "b.flac": 0.5, "short.wav": 0.05})
    assert kmeans.mel(60, [str(data)]).shape == (60, 1024)


def test_inertia_is_the_mean_squared_distance() -> None:
    rows = torch.tensor([[0.0], [1.0], [10.0], [14.0]])
    assert kmeans.inertia(rows, torch.tensor([[0.0], [12.0]])) == pytest.approx((0 + 1 + 4 + 4) / 4)


def test_a_small_comparison() -> None:
    body = kmeans.fit_section(
        "small", torch.randn(400, 8, generator=torch.Generator().manual_seed(0)), 5, rounds=2, large_batches=True
    )
    assert body.count(" times as fast") == 4 and "| scikit-learn, defaults (batches of 1,024) |" in body
    assert "1.00 times as fast, inertia +0.00 %" in body and "400 x 8, k = 5" in body
