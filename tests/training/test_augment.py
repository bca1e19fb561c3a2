"""Random changes of training audio: each does what it says, and all repeat with the seed."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tokaudio.training.augment import Augmentation, change_speed, colour, draw, tilt
from tokaudio.training.pool import AudioPool, write_pool


def tone(hertz: float, length: int = 8_000, rate: int = 8_000) -> Tensor:
    return 0.5 * torch.sin(2 * math.pi * hertz * torch.arange(length) / rate)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def tones(tmp_path: Path) -> AudioPool:
    write_pool(tmp_path, [("a", "s", tone(1_000, 80_000).numpy())], 8_000)
    return AudioPool(tmp_path)


def peak_bin(signal: Tensor) -> int:
    return int(torch.fft.rfft(signal).abs().argmax())


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_speed_changes_pitch_and_length(factor: float):
    faster = change_speed(tone(1_000), factor)
    assert abs(len(faster) - 8_000 / factor) <= 1
    assert peak_bin(faster[:6_000]) == pytest.approx(1_000 * factor * 6_000 / 8_000, abs=1)


def test_tilt_of_nothing_changes_nothing_and_of_something_only_loudness_per_frequency():
    signal = torch.randn(4_001, generator=generator())
    torch.testing.assert_close(tilt(signal, generator(), 0.0), signal, atol=1e-5, rtol=0)
    tilted = tilt(signal, generator(1), 6.0)
    gain = torch.fft.rfft(tilted) / torch.fft.rfft(signal)
    assert tilted.shape == signal.shape
    assert float(gain.imag.abs().max()) < 1e-2, "phases stay"
    decibels = 20 * gain.real.log10()
    assert float(decibels.std()) > 1
    assert float(decibels[100:].diff().abs().max()) < 1, "the curve is smooth"


def test_plain_crops_are_left_as_they_are(tones: AudioPool):
    crop = draw(tones, generator(3), 500, Augmentation(plain=1.0))
    again = generator(3)
    torch.rand((), generator=again)
    assert torch.equal(crop, tones.crop(again, 500))


def test_levels_lie_in_their_range(tones: AudioPool):
    options = Augmentation(plain=0.0, gain_db=(-20.0, -10.0), noise_db=(-90.0, -80.0))
    peaks = torch.tensor(
        [20 * math.log10(float(draw(tones, generator(s), 2_000, options).abs().max())) for s in range(60)]
    )
    assert float(peaks.min()) >= -20.1 and float(peaks.max()) <= -9.9
    assert float(peaks.max() - peaks.min()) > 7


def test_pitches_lie_in_their_range(tones: AudioPool):
    options = Augmentation(plain=0.0, speed=1.2, tilt_db=0.0, noise_db=(-90.0, -90.0))
    bins = [peak_bin(draw(tones, generator(s), 4_000, options)) * 2 for s in range(40)]
    assert min(bins) >= 1_000 / 1.2 - 3 and max(bins) <= 1_200 + 3
    assert max(bins) - min(bins) > 250


def test_a_third_of_the_crops_gets_noise(tmp_path: Path):
    write_pool(tmp_path, [("a", "s", np.zeros(8_000))], 8_000)
    silence, options = AudioPool(tmp_path), Augmentation(plain=0.0, noise_db=(-40.0, -40.0))
    levels = [float(draw(silence, generator(s), 1_000, options).square().mean().sqrt()) for s in range(150)]
    noisy = [level for level in levels if level > 0]
    assert 0.2 < len(noisy) / 150 < 0.47
    assert all(level == pytest.approx(0.01, rel=0.1) for level in noisy)


@pytest.mark.parametrize("length", [1, 100, 30_000])
def test_every_crop_is_finite_of_its_length_and_repeats_with_its_seed(tones: AudioPool, length: int):
    for seed in range(15):
        crop = draw(tones, generator(seed), length, Augmentation())
        assert crop.shape == (length,) and crop.dtype == torch.float32
        assert bool(torch.isfinite(crop).all())
        assert torch.equal(draw(tones, generator(seed), length, Augmentation()), crop)


def test_a_long_crop_is_complete_although_rates_are_rounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_pool(tmp_path, [("a", "s", tone(1_000, 400_000).numpy())], 8_000)
    monkeypatch.setattr("tokaudio.training.augment._uniform", lambda g, low, high: (low + high) / 2)
    options = Augmentation(plain=0.0, speed=1.0)
    monkeypatch.setattr("tokaudio.training.augment.change_speed", lambda signal, _: signal[:850])
    assert draw(AudioPool(tmp_path), generator(), 900, options).shape == (900,)


def test_colour_keeps_length_and_timing_and_repeats_with_the_seed():
    signal = torch.cat([torch.zeros(4_000), tone(1_000, 4_000)])
    changed = colour(signal, generator(), Augmentation(plain=0.0, noise_db=(-80.0, -80.0)))
    assert torch.equal(changed, colour(signal, generator(), Augmentation(plain=0.0, noise_db=(-80.0, -80.0))))
    assert changed.shape == signal.shape and not torch.equal(changed, signal)
    assert changed[:3_000].square().mean() < 1e-3 * changed[5_000:].square().mean()
    assert torch.equal(colour(signal, generator(), Augmentation(plain=1.0)), signal)
