"""Changes of a sound in time: another pace, another pitch, a shift, a slice."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tokaudio.analysis.robustness.transforms import Changed, Setting, Sound, Transform, require
from tokaudio.analysis.statistics.contingency import AnalysisError

# Of the phase vocoder, in samples.
_SHORTEST = 64


@dataclass(frozen=True)
class PitchShift(Transform):
    """All frequencies multiplied, at the same pace; by librosa's phase vocoder.

    Args:
        semitones: upwards.

    Example:
        >>> tone = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000).astype(np.float32)[None]
        >>> int(np.abs(np.fft.rfft(PitchShift(12.0)(tone, Setting(16_000)).samples)).argmax())
        400
    """

    semitones: float

    @property
    def name(self) -> str:
        """As in `pitch +1 semitone`."""
        return f"pitch {self.semitones:+g} semitone{'' if abs(self.semitones) == 1 else 's'}"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        """Return the sound at another pitch."""
        from librosa.effects import pitch_shift

        moved = _vocoded(pitch_shift, sound, sr=setting.sample_rate, n_steps=self.semitones)
        return Changed(moved[:, : sound.shape[1]])


@dataclass(frozen=True)
class TimeStretch(Transform):
    """The same pitch at another pace; by librosa's phase vocoder.

    Args:
        speed: above 1 to become shorter.

    Raises:
        AnalysisError: if the speed is not positive.

    Example:
        >>> TimeStretch(2.0)(np.ones((1, 16_000), np.float32), Setting(16_000)).samples.shape
        (1, 8000)
    """

    speed: float

    def __post_init__(self) -> None:
        require(self.speed > 0, f"speed is {self.speed}; give one above 0")

    @property
    def name(self) -> str:
        """As in `speed x1.1`."""
        return f"speed x{self.speed:g}"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        """Return the sound at another pace."""
        from librosa.effects import time_stretch

        moved = _vocoded(time_stretch, sound, rate=self.speed)
        return Changed(moved, speed=sound.shape[1] / moved.shape[1])


@dataclass(frozen=True)
class Shift(Transform):
    """The first samples are cut off, so that all frames begin a little later.

    Args:
        samples: how many.

    Raises:
        AnalysisError: if it is negative.

    Example:
        >>> Shift(1)(np.ones((1, 9), np.float32), Setting(16_000)).samples.shape
        (1, 8)
    """

    samples: int = 1

    def __post_init__(self) -> None:
        require(self.samples >= 0, f"shift by {self.samples} samples; give 0 or more")

    @property
    def name(self) -> str:
        """As in `shift by 1 sample`."""
        return f"shift by {self.samples} sample{'' if self.samples == 1 else 's'}"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        """Return the sound without its first samples."""
        if sound.shape[1] <= self.samples:
            raise AnalysisError(f"{sound.shape[1]} samples cannot begin {self.samples} later; give longer recordings")
        return Changed(sound[:, self.samples :], start=self.samples)


@dataclass(frozen=True)
class Slice(Transform):
    """The middle of the sound alone, cut where frames begin: the same samples, without what was around them.

    Args:
        share: of the sound that stays.

    Raises:
        AnalysisError: if it is not between 0 and 1.

    Example:
        >>> cut = Slice(0.5)(np.ones((1, 1_000), np.float32), Setting(16_000, step=100))
        >>> cut.start, cut.samples.shape
        (200, (1, 500))
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        require(0 < self.share <= 1, f"share is {self.share}; give one above 0, up to 1")

    @property
    def name(self) -> str:
        """As in `slice of 50 %`."""
        return f"slice of {100 * self.share:g} %"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        """Return the middle."""
        steps = sound.shape[1] / setting.step
        first, count = int((1 - self.share) / 2 * steps), int(self.share * steps)
        if not count:
            raise AnalysisError(f"{sound.shape[1]} samples have no slice of whole frames; give longer recordings")
        start = first * setting.step
        return Changed(sound[:, start : start + count * setting.step], start=start)


def _vocoded(change: Callable[..., Sound], sound: Sound, **options: float) -> Sound:
    """Return what librosa's phase vocoder makes of a sound, without what it says of its own inner calls.

    librosa 1.0 warns of arguments that it passes itself, and casts memory that nothing was written to yet.
    """
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", FutureWarning)
        return np.asarray(change(sound, n_fft=_window(sound), **options), dtype=np.float32)


def _window(sound: Sound) -> int:
    """Return a transform length for the phase vocoder: 2048, less for short sounds.

    Raises:
        AnalysisError: if the sound is too short for any.
    """
    length = sound.shape[1]
    require(length >= _SHORTEST, f"{length} samples are too few for a phase vocoder; give longer recordings")
    return min(2048, 1 << (length.bit_length() - 1))
