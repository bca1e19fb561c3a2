"""Changes of a sound that leave it what it was to a listener, or nearly: what codes are put to the test with.

    noisy = Noise(20.0)(sound, Setting(16_000, random=np.random.default_rng(0)))
    noisy.samples, noisy.start, noisy.speed

Those that move or stretch it are in [`timing`][tokaudio.analysis.robustness.timing], lossy formats in
[`lossy`][tokaudio.analysis.robustness.lossy].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio import resample

Sound = NDArray[np.float32]
"""Samples `[C, S]`."""


@dataclass(frozen=True)
class Setting:
    """What a change may need to know.

    Attributes:
        sample_rate: of the sound, in Hz.
        step: samples after which a sound can be cut so that frames begin anew.
        random: where chance comes from.
    """

    sample_rate: int
    step: int = 1
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))


@dataclass(frozen=True, eq=False)
class Changed:
    """A changed sound, and where it lies in time: sample s of it is sample `start + speed * s` of the original.

    Attributes:
        samples: `[C, S']`.
        start: in samples of the original.
        speed: above 1 where it became shorter.
    """

    samples: Sound
    start: int = 0
    speed: float = 1.0


class Transform(ABC):
    """A change of a sound."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What a table calls it."""

    @abstractmethod
    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        """Return the changed sound.

        Args:
            sound: float32 `[C, S]`, S > 0.
            setting: rate and chance.

        Raises:
            AnalysisError: if it cannot be made of this sound; such a recording is left out for this change.
            MissingDependencyError: if it cannot be made on this machine.
        """


@dataclass(frozen=True)
class Gain(Transform):
    """Louder or softer.

    Args:
        decibels: by which the level changes.

    Example:
        >>> Gain(-20.0)(np.ones((1, 2), np.float32), Setting(16_000)).samples
        array([[0.1, 0.1]], dtype=float32)
    """

    decibels: float

    @property
    def name(self) -> str:
        """As in `gain -6 dB`."""
        return f"gain {self.decibels:+g} dB"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        """Return the sound at another level."""
        return Changed(np.asarray(sound * 10 ** (self.decibels / 20), dtype=np.float32))


@dataclass(frozen=True)
class Noise(Transform):
    """White Gaussian noise added, at a level relative to that of the whole sound.

    Args:
        snr: power of the sound over that of the noise, in dB.

    Example:
        >>> sound = np.ones((1, 40_000), np.float32)
        >>> round(float((Noise(20.0)(sound, Setting(16_000)).samples - sound).std()), 2)
        0.1
    """

    snr: float

    @property
    def name(self) -> str:
        """As in `noise 20 dB`."""
        return f"noise {self.snr:g} dB"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        """Return the sound with noise."""
        level = np.sqrt(np.mean(np.square(sound, dtype=np.float64)) * 10 ** (-self.snr / 10))
        return Changed(np.asarray(sound + level * setting.random.standard_normal(sound.shape), dtype=np.float32))


@dataclass(frozen=True)
class Reverberation(Transform):
    """A diffuse room: noise that decays exponentially follows the direct sound; the level stays.

    Polack's statistical model (J.-D. Polack, "La transmission de l'energie sonore dans les salles", Universite du
    Maine 1988): the tail loses 60 dB in the reverberation time.

    Args:
        seconds: the reverberation time.
        direct: energy of the direct sound over that of the tail, in dB.

    Raises:
        AnalysisError: if the time is not positive.

    Example:
        >>> click = np.zeros((1, 8_000), np.float32)
        >>> click[0, 0] = 1
        >>> wet = np.abs(Reverberation(0.3)(click, Setting(16_000)).samples[0])
        >>> bool(wet[1:4_800].max() > 1e-2), bool(wet[4_800:].max() < 1e-6)
        (True, True)
    """

    seconds: float
    direct: float = 5.0

    def __post_init__(self) -> None:
        require(self.seconds > 0, f"reverberation of {self.seconds} s; give a time above 0")

    @property
    def name(self) -> str:
        """As in `reverberation 0.3 s`."""
        return f"reverberation {self.seconds:g} s"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        """Return the sound in a room."""
        length = max(2, round(self.seconds * setting.sample_rate))
        tail = setting.random.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
        tail[0] = 0.0
        tail *= 10 ** (-self.direct / 20) / np.sqrt(np.sum(tail**2))
        tail[0] = 1.0
        size = 1 << (sound.shape[1] + length - 2).bit_length()
        wet = np.fft.irfft(np.fft.rfft(sound.astype(np.float64), size) * np.fft.rfft(tail, size), size)
        wet = wet[:, : sound.shape[1]] / np.sqrt(np.sum(tail**2))
        return Changed(wet.astype(np.float32))


@dataclass(frozen=True)
class Resampling(Transform):
    """Converted to another sample rate and back: what lies above half the lower rate is lost.

    Args:
        sample_rate: in Hz.

    Example:
        >>> Resampling(8_000)(np.ones((1, 1_001), np.float32), Setting(16_000)).samples.shape
        (1, 1001)
    """

    sample_rate: int

    @property
    def name(self) -> str:
        """As in `resampled to 8000 Hz`."""
        return f"resampled to {self.sample_rate} Hz"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        """Return the sound, resampled twice."""
        there = resample(torch.from_numpy(sound), setting.sample_rate, self.sample_rate)
        back = resample(there, self.sample_rate, setting.sample_rate)
        return Changed(back[:, : sound.shape[1]].numpy())


def require(right: bool, problem: str) -> None:
    """Refuse what is not right.

    Raises:
        AnalysisError: with the problem, if it is not.

    Example:
        >>> require(True, "never said")
    """
    if not right:
        raise AnalysisError(problem)
