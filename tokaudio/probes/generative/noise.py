"""Noise that needs no recordings: coloured, humming machines, and many voices at once; and mixing at a given ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.probes.errors import ProbeError

Array = NDArray[Any]
NOISES = ("coloured", "machine", "babble")
"""Kinds of noise that are made."""
_LOWEST_HZ = 40.0


def coloured(samples: int, sample_rate: int, slope: float, random: np.random.Generator) -> Array:
    """Return noise `[S]` of power 1 whose power falls with frequency as `f ** -slope`: 0 white, 1 pink, 2 brown.

    Example:
        >>> found = coloured(16_000, 16_000, 1.0, np.random.default_rng(0))
        >>> round(float(np.square(found).mean()), 6)
        1.0
    """
    frequencies = np.fft.rfftfreq(samples, 1 / sample_rate)
    weight = np.maximum(frequencies, _LOWEST_HZ) ** (-slope / 2)
    weight[0] = 0.0
    phases = random.standard_normal(weight.size) + 1j * random.standard_normal(weight.size)
    return of_power_one(np.fft.irfft(weight * phases, samples))


def machine(samples: int, sample_rate: int, random: np.random.Generator) -> Array:
    """Return what a motor might sound like, `[S]` of power 1: harmonics of a drifting tone, and noise that pulses.

    Example:
        >>> machine(8_000, 16_000, np.random.default_rng(0)).shape
        (8000,)
    """
    times = np.arange(samples) / sample_rate
    base = random.uniform(50, 250)
    drift = base * (1 + 0.02 * np.sin(2 * np.pi * random.uniform(0.1, 0.7) * times + random.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(drift) / sample_rate
    count = max(1, int(min(20, 0.4 * sample_rate / base)))
    tones = sum(
        random.uniform(0.2, 1) / number**0.5 * np.sin(number * phase + random.uniform(0, 6))
        for number in range(1, count + 1)
    )
    pulse = 1 + 0.8 * np.sin(2 * np.pi * random.uniform(2, 12) * times)
    hiss = coloured(samples, sample_rate, random.uniform(0, 1.5), random) * pulse
    return of_power_one(of_power_one(np.asarray(tones)) + random.uniform(0.3, 1.5) * hiss)


def babble(voices: Sequence[Array], samples: int, random: np.random.Generator) -> Array:
    """Return several voices at once, `[S]` of power 1, each from a place of its own and repeated as need be.

    Raises:
        ProbeError: there is no voice.

    Example:
        >>> babble([np.ones(5), np.arange(3.0)], 8, np.random.default_rng(0)).shape
        (8,)
    """
    if not voices:
        raise ProbeError("there is no voice to make babble of; give one at least")
    total = np.zeros(samples)
    for voice in voices:
        repeated = np.resize(np.roll(of_power_one(voice), int(random.integers(len(voice)))), samples)
        total += repeated
    return of_power_one(total)


def of_power_one(sound: Array) -> Array:
    """Return sound scaled to a mean square of 1; silence stays silence.

    Example:
        >>> of_power_one(np.array([2.0, -2.0])).tolist()
        [1.0, -1.0]
    """
    power = float(np.square(np.asarray(sound, dtype=np.float64)).mean())
    return np.asarray(sound, dtype=np.float64) / max(power, 1e-20) ** 0.5


def mixed_at(wanted: Array, other: Array, ratio_db: float) -> Array:
    """Return `wanted` with so much of `other` that the ratio of their powers is `ratio_db`, as float32 `[S]`.

    Example:
        >>> mixed_at(np.array([1.0, -1.0]), np.array([3.0, 3.0]), 0.0).tolist()
        [2.0, 0.0]
    """
    power = float(np.square(np.asarray(wanted, dtype=np.float64)).mean())
    return np.asarray(wanted + of_power_one(other) * (power * 10 ** (-ratio_db / 10)) ** 0.5, dtype=np.float32)
