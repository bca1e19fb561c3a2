"""Sounds through MP3 and Opus and back, in memory, with what the soundfile library brings."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from tokaudio.analysis.robustness.transforms import Changed, Setting, Sound, Transform
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio import resample
from tokaudio.errors import MissingDependencyError, one_line

_CONTAINERS = {"MP3": ("MP3", "MPEG_LAYER_III"), "Opus": ("OGG", "OPUS")}
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# Kilobits per second at libsndfile's compression levels 0 and 1; between them its rates are linear in the level.
# MP3 has other rates for MPEG-1 (from 32 kHz), MPEG-2 (from 16 kHz) and MPEG-2.5; Opus counts by channel.
_OPUS_RANGE = (256.0, 6.0)
_MP3_RANGES = ((32_000, (320.0, 32.0)), (16_000, (160.0, 8.0)), (0, (64.0, 8.0)))
_LONGEST_DELAY = 4096


@dataclass(frozen=True)
class Lossy(Transform):
    """Coded and decoded by a lossy format at a constant rate.

    Where the encoder's delay is still there after decoding (libsndfile writes no tag of it at the lowest rates of MP3),
    it is cut off, so that samples lie where they lay.

    Args:
        format: `MP3` or `Opus`. Sounds at a rate that the format does not have are resampled to 48 kHz for it.
        kbps: thousands of bits per second; the next rate that the format has is taken.

    Raises:
        AnalysisError: if the format is another one.

    Example:
        >>> tone = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000).astype(np.float32)[None]
        >>> bool(np.abs(Lossy("MP3", 64)(tone, Setting(16_000)).samples - tone)[:, 2_000:-2_000].max() < 0.1)
        True
    """

    format: Literal["MP3", "Opus"]
    kbps: float

    def __post_init__(self) -> None:
        if self.format not in _CONTAINERS:
            raise AnalysisError(f"format is {self.format!r}; give one of {', '.join(_CONTAINERS)}")

    @property
    def name(self) -> str:
        """As in `MP3 64 kbit/s`."""
        return f"{self.format} {self.kbps:g} kbit/s"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        """Return the sound as the format gives it back."""
        rate = setting.sample_rate if setting.sample_rate in _rates(self.format) else 48_000
        given = resample(torch.from_numpy(sound), setting.sample_rate, rate).numpy()
        decoded, _ = decoded_by(self.format, given, rate, self.kbps)
        back = resample(torch.from_numpy(decoded), rate, setting.sample_rate).numpy()
        return Changed(_of_length(back, sound.shape[1]))


def decoded_by(format: Literal["MP3", "Opus"], sound: Sound, sample_rate: int, kbps: float) -> tuple[Sound, int]:
    """Return what a format gives back, and the bytes of the file.

    Args:
        format: `MP3` or `Opus`.
        sound: float32 `[C, S]`.
        sample_rate: in Hz, one that the format has.
        kbps: thousands of bits per second.

    Raises:
        MissingDependencyError: if the installed libsndfile does not write the format.
        AnalysisError: if it cannot code this sound.

    Example:
        >>> sound, size = decoded_by("Opus", np.zeros((1, 16_000), np.float32), 16_000, 24)
        >>> sound.shape, size > 0
        ((1, 16000), True)
    """
    import soundfile

    container, subtype = _CONTAINERS[format]
    if not soundfile.check_format(container, subtype):
        problem = f"libsndfile {soundfile.__libsndfile_version__} writes no {format}"
        raise MissingDependencyError(one_line("soundfile", problem, "install a newer soundfile"))
    most, least = _range(format, sample_rate, len(sound))
    # At level 1 libsndfile refuses MP3.
    level = min(max((most - kbps) / (most - least), 0.0), 0.999)
    mode = {"bitrate_mode": "CONSTANT"} if format == "MP3" else {}
    held = io.BytesIO()
    try:
        soundfile.write(held, sound.T, sample_rate, subtype=subtype, format=container, compression_level=level, **mode)
        size = held.tell()
        held.seek(0)
        decoded, _ = soundfile.read(held, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        problem = f"{format} cannot code {sound.shape[0]} channels at {sample_rate} Hz ({error})"
        raise AnalysisError(one_line("soundfile", problem, "leave this format out")) from error
    return _aligned(np.ascontiguousarray(decoded.T), sound), size


def _rates(format: str) -> tuple[int, ...]:
    return _OPUS_RATES if format == "Opus" else _MP3_RATES


def _range(format: str, sample_rate: int, channels: int) -> tuple[float, float]:
    """Return the rates at compression levels 0 and 1."""
    if format == "Opus":
        return _OPUS_RANGE[0] * channels, _OPUS_RANGE[1] * channels
    return next(limits for least_rate, limits in _MP3_RANGES if sample_rate >= least_rate)


def _aligned(decoded: Sound, sound: Sound) -> Sound:
    """Return a decoded sound without the delay that it has where it is longer than the original."""
    if decoded.shape[1] > sound.shape[1]:
        before, after = sound.mean(0), decoded.mean(0)
        size = 1 << (len(before) + len(after) - 1).bit_length()
        products = np.fft.irfft(np.fft.rfft(after, size) * np.fft.rfft(before, size).conj(), size)
        decoded = decoded[:, int(products[:_LONGEST_DELAY].argmax()) :]
    return _of_length(decoded, sound.shape[1])


def _of_length(sound: Sound, length: int) -> Sound:
    """Return a sound cut, or filled with zeros, to a length."""
    return np.pad(sound[:, :length], ((0, 0), (0, max(0, length - sound.shape[1]))))
