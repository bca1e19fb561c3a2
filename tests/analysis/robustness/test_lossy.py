"""Sounds through MP3 and Opus: rates as asked for, samples where they were, and one line where it cannot be done."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from tokaudio.analysis.robustness.lossy import Lossy, decoded_by
from tokaudio.analysis.robustness.transforms import Setting
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.errors import MissingDependencyError


def voice(rate: int, seconds: float = 1.5, channels: int = 1) -> np.ndarray:
    """Return harmonics of 150 Hz under a slow envelope, which no shift leaves as they are."""
    times = np.arange(round(rate * seconds)) / rate
    wave = sum(np.sin(2 * np.pi * 150 * k * times + k * k) / k for k in range(1, 12))
    envelope = 0.1 + np.abs(np.sin(7 * times)) * np.abs(np.sin(1.3 * times))
    return np.tile((0.1 * envelope * wave).astype(np.float32), (channels, 1))


def decibels(signal: np.ndarray, noise: np.ndarray) -> float:
    return float(10 * np.log10(np.square(signal).mean() / np.square(noise).mean()))


# At the least of these MP3 rates, the decoder gives the encoder's delay back too.
@pytest.mark.parametrize(
    ("format", "kbps", "rate"),
    [("MP3", 64, 16_000), ("MP3", 24, 16_000), ("MP3", 96, 44_100), ("Opus", 24, 16_000), ("Opus", 48, 44_100)],
)
def test_samples_stay_where_they_were(format: str, kbps: float, rate: int) -> None:
    sound = voice(rate)
    changed = Lossy(format, kbps)(sound, Setting(rate))
    assert changed.samples.shape == sound.shape and (changed.start, changed.speed) == (0, 1.0)
    inner = slice(2_000, -2_000)
    assert decibels(sound[:, inner], (changed.samples - sound)[:, inner]) > 8
    assert np.abs(changed.samples - sound).max() > 0


@pytest.mark.parametrize(("format", "rate", "kbps"), [("MP3", 16_000, 24), ("MP3", 44_100, 64), ("Opus", 16_000, 12)])
@pytest.mark.parametrize("channels", [1, 2])
def test_files_are_about_as_large_as_asked_for(format: str, rate: int, kbps: float, channels: int) -> None:
    noise = np.random.default_rng(0).normal(size=(channels, 3 * rate)).astype(np.float32) / 10
    _, size = decoded_by(format, noise, rate, kbps)
    assert 8 * size / 3 / 1000 == pytest.approx(kbps, rel=0.15)


def test_a_format_that_the_library_does_not_write_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfile, "check_format", lambda *_: False)
    with pytest.raises(MissingDependencyError, match="writes no Opus; install a newer soundfile"):
        Lossy("Opus", 24)(voice(16_000), Setting(16_000))


def test_more_channels_than_a_format_has_are_refused_in_one_line() -> None:
    with pytest.raises(AnalysisError, match="MP3 cannot code 5 channels at 16000 Hz"):
        Lossy("MP3", 64)(voice(16_000, channels=5), Setting(16_000))


def test_other_formats_are_refused() -> None:
    with pytest.raises(AnalysisError, match="give one of MP3, Opus"):
        Lossy("AAC", 64)  # type: ignore[arg-type]
