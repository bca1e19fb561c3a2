"""The loss on how phases go on: what it leaves open, what it sees, and that it can be descended."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.training.phase_loss import PhaseDifferenceLoss


def tone(frequency: float, *, phase: float = 0.0, samples: int = 4_000) -> Tensor:
    return 0.3 * torch.sin(2 * math.pi * frequency * torch.arange(samples) / 16_000 + phase)[None]


def test_products_are_those_of_complex_numbers() -> None:
    loss = PhaseDifferenceLoss((64,), power=1.0)
    signal = torch.randn(1, 400, generator=torch.Generator().manual_seed(0))
    frames = torch.fft.rfft(signal.unfold(-1, 64, 16) * torch.hann_window(64)) * (2 / 8)
    time, frequency = loss._differences(signal, 64)
    assert_near(time, torch.view_as_real(frames[:, 1:] * frames[:, :-1].conj()), within=1e-5)
    assert_near(frequency, torch.view_as_real(frames[:, :, 1:] * frames[:, :, :-1].conj()), within=1e-5)


@pytest.mark.parametrize("phase", [0.5, 2.0, math.pi])
def test_a_constant_turn_of_the_phase_costs_little(phase: float) -> None:
    loss, target = PhaseDifferenceLoss((640,)), tone(1_000)
    turned, detuned = loss(tone(1_000, phase=phase), target).item(), loss(tone(1_030), target).item()
    assert turned < 0.05 * detuned


def test_the_same_sound_costs_nothing_and_incoherent_frames_much() -> None:
    loss, target = PhaseDifferenceLoss(), tone(500)
    generator = torch.Generator().manual_seed(0)
    signs = (2.0 * torch.randint(0, 2, (25,), generator=generator) - 1).repeat_interleave(160)
    assert loss(target, target).item() == 0.0
    assert loss(target * signs, target).item() > 10 * loss(-target, target).item() + 0.01


def test_silence_has_a_gradient() -> None:
    silence = torch.zeros(1, 2_000, requires_grad=True)
    PhaseDifferenceLoss()(silence, torch.randn(1, 2_000)).backward()
    assert silence.grad is not None and bool(torch.isfinite(silence.grad).all())


def test_descent_finds_the_frequency() -> None:
    loss, target = PhaseDifferenceLoss((320,)), tone(700)
    detune = torch.tensor(0.0, requires_grad=True)
    time = torch.arange(4_000) / 16_000
    optimizer = torch.optim.Adam([detune], lr=4.0)
    for _ in range(40):
        optimizer.zero_grad()
        loss(0.3 * torch.sin(2 * math.pi * (660 + detune) * time)[None], target).backward()
        optimizer.step()
    assert abs(detune.item() - 40) < 4
