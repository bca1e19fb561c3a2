"""Noise: of the colour, power and ratio that was asked for, and the same from the same seed."""

import numpy as np
import pytest

from tokaudio.probes.errors import ProbeError
from tokaudio.probes.generative.noise import babble, coloured, machine, mixed_at

RATE = 16_000


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_power_falls_as_asked(slope: float) -> None:
    noise = coloured(4 * RATE, RATE, slope, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    bands = [power[4 * low : 8 * low].mean() for low in (200, 400, 800, 1600, 3200)]
    octaves = 10 * np.diff(np.log10(bands))
    assert octaves == pytest.approx(np.full(4, -10 * slope * np.log10(2)), abs=0.6)


def test_everything_has_power_one_and_follows_from_its_seed() -> None:
    voices = [np.random.default_rng(n).standard_normal(5000) for n in range(3)]
    for make in (
        lambda random: coloured(8000, RATE, 1.0, random),
        lambda random: machine(8000, RATE, random),
        lambda random: babble(voices, 8000, random),
    ):
        first, again, other = (make(np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert np.square(first).mean() == pytest.approx(1.0)
        assert (first == again).all() and not (first == other).all()
    with pytest.raises(ProbeError, match="no voice"):
        babble([], 10, np.random.default_rng(0))


@pytest.mark.parametrize("ratio", [-5.0, 0.0, 12.0])
def test_the_ratio_is_the_one_asked_for(ratio: float) -> None:
    wanted, other = np.random.default_rng(0).standard_normal((2, 9000)) * [[0.3], [7.0]]
    noise = mixed_at(wanted, other, ratio).astype(np.float64) - wanted
    assert 10 * np.log10(np.square(wanted).mean() / np.square(noise).mean()) == pytest.approx(ratio, abs=1e-3)
