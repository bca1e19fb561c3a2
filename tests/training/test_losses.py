"""Spectral losses: zero at equality, growing with distance, and what their parts see."""

import math

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.training.losses import SpectralLoss, SpectralLossWeights, StftLoss, StftResolution


def noise(seed: int = 0, batch: int = 2) -> Tensor:
    return 0.1 * torch.randn(batch, 4_000, generator=torch.Generator().manual_seed(seed))


def test_equal_signals_have_no_loss_and_no_gradient():
    loss = SpectralLoss(16_000)
    signal = noise().requires_grad_()
    total, parts = loss(signal, signal.detach())
    total.backward()
    assert float(total.detach()) == 0 and all(float(part) == 0 for part in parts.values())
    assert not bool(signal.grad.any())


def test_the_loss_grows_with_the_distance():
    loss, target, other = SpectralLoss(16_000), noise(), noise(1)
    totals = [float(loss(target + share * other, target)[0]) for share in (0.0, 0.01, 0.1, 0.5, 1.0)]
    assert totals == sorted(totals) and totals[1] > 0


def test_the_total_is_the_weighted_sum_of_its_parts():
    weights = SpectralLossWeights(mel=2.0, magnitude=3.0, complex=5.0)
    for total, parts in (
        SpectralLoss(16_000, weights=weights)(noise(), noise(1)),
        SpectralLoss(16_000)(noise(), noise(1), weights=weights),
    ):
        wanted = 2 * parts["mel"] + 3 * parts["magnitude"] + 5 * parts["complex"]
        torch.testing.assert_close(total, wanted)
        assert not any(part.requires_grad for part in parts.values())


def test_only_the_complex_part_hears_the_phase():
    parts = SpectralLoss(16_000)(-noise(), noise())[1]
    assert float(parts["mel"]) == pytest.approx(0, abs=1e-4)
    assert float(parts["magnitude"]) == pytest.approx(0, abs=1e-4)
    assert float(parts["complex"]) > 0.1


def test_the_magnitude_part_equals_loops():
    loss = SpectralLoss(16_000, windows=(320,), complex_windows=())
    a, b = noise(0, 1), noise(1, 1)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(320, dtype=torch.float64) / 320)
    gaps = []
    for start in range(0, 4_000 - 320 + 1, 80):
        roots = [
            ((torch.fft.rfft(x[0, start : start + 320].double() * window) * 2 / 320**0.5).abs().square() + 1e-9) ** 0.25
            for x in (a, b)
        ]
        gaps.append((roots[0] - roots[1]).abs())
    wanted = torch.stack(gaps).mean()
    torch.testing.assert_close(loss(a, b)[1]["magnitude"].double(), wanted, atol=1e-5, rtol=1e-4)


def test_the_gradient_points_to_the_target_also_from_silence():
    loss, target = SpectralLoss(16_000), noise()
    for start in (torch.zeros_like(target), noise(1)):
        estimate = start.clone().requires_grad_()
        total = loss(estimate, target)[0]
        total.backward()
        assert bool(torch.isfinite(estimate.grad).all())
        step = 1e-4 * estimate.grad / estimate.grad.abs().max()
        assert float(loss(start - step, target)[0]) < float(total.detach())


def test_stft_parts_equal_loops():
    sizes = StftResolution(512, 240, 50)
    a, b = noise(0, 2), noise(1, 2)
    total, parts = StftLoss(resolutions=(sizes,))(a, b)
    window = torch.hann_window(240, dtype=torch.float64)
    convergence, gaps = [], []
    for item in range(2):
        found = [
            torch.stack(
                [torch.fft.rfft(x[item, at : at + 240].double() * window, 512).abs() for at in range(0, 3_761, 50)]
            )
            for x in (a, b)
        ]
        convergence.append((found[0] - found[1]).norm() / found[1].norm())
        gaps.append((found[0].clamp_min(1e-4).log() - found[1].clamp_min(1e-4).log()).abs().mean())
    assert_near(parts["convergence"], torch.stack(convergence).mean(), within=1e-4)
    assert_near(parts["log_magnitude"], torch.stack(gaps).mean(), within=1e-4)
    assert_near(total, parts["convergence"] + parts["log_magnitude"])


def test_stft_loss_is_zero_at_equality_deaf_to_sign_and_hears_loudness():
    loss, signal = StftLoss(), noise()
    assert float(loss(signal, signal)[0]) == 0
    assert float(loss(-signal, signal)[0]) < 1e-5
    louder = loss(2 * signal, signal)[1]
    assert_near(louder["convergence"], torch.tensor(1.0), within=1e-4)
    assert_near(louder["log_magnitude"], torch.tensor(2.0).log(), within=1e-3)


def test_stft_convergence_is_relative_to_the_target():
    loss, a, b = StftLoss(), noise(0), noise(1)
    quiet = loss(0.1 * a, 0.1 * b)[1]
    assert_near(quiet["convergence"], loss(a, b)[1]["convergence"], within=1e-4)


def test_the_stft_gradient_is_finite_at_silence_and_points_to_the_target():
    loss, target = StftLoss(), noise()
    for start in (torch.zeros_like(target), noise(1)):
        estimate = start.clone().requires_grad_()
        total = loss(estimate, target)[0]
        total.backward()
        assert bool(torch.isfinite(estimate.grad).all())
    step = 1e-4 * estimate.grad / estimate.grad.abs().max()
    assert float(loss(start - step, target)[0]) < float(total.detach())
    assert bool(torch.isfinite(loss(target, torch.zeros_like(target))[0]))
