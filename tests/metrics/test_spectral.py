"""The mel spectrogram and distance, against librosa."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

from tokaudio.audio.mel import mel_filterbank
from tokaudio.errors import AudioError
from tokaudio.metrics.spectral import evaluate, mel_distance, mel_spectrogram

RATE = 16_000


def _noise(samples: int = 8_000, seed: int = 0) -> NDArray[np.float64]:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


@pytest.mark.parametrize("samples", [1, 255, 256, 4_000])
def test_spectrogram_equals_librosa(samples: int) -> None:
    audio = _noise(samples)
    frames = librosa.stft(np.pad(audio, 512), n_fft=1024, hop_length=256, center=False)
    expected = mel_filterbank(RATE, 1024, 80) @ np.abs(frames) / 512
    np.testing.assert_allclose(mel_spectrogram(audio, RATE), expected, atol=1e-7)


def test_a_full_scale_sine_has_magnitude_one_half() -> None:
    tone = np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)
    for n_fft in (512, 1024, 2048):
        frames = mel_spectrogram(tone, RATE, n_fft=n_fft, num_mels=20)
        assert frames[:, 30].max() == pytest.approx(0.5, rel=0.35)


def test_distance_is_a_symmetric_gain_aware_distance() -> None:
    one, other = _noise(), _noise(seed=1)
    assert mel_distance(one, one, RATE) == 0.0
    assert mel_distance(one, other, RATE) == mel_distance(other, one, RATE) > 0.0
    assert mel_distance(one, 0.5 * one, RATE) == pytest.approx(np.log10(2))
    assert mel_distance(one, -one, RATE) == 0.0


def test_everything_below_the_floor_is_equally_silent() -> None:
    quiet = 1e-7 * _noise()
    assert mel_distance(quiet, np.zeros_like(quiet), RATE) == 0.0
    assert mel_distance(quiet, np.zeros_like(quiet), RATE, floor=1e-12) > 1.0


def test_evaluate_returns_the_default_distance() -> None:
    one, other = _noise(), _noise(seed=1)
    assert evaluate(one, other, RATE) == {"mel_distance": mel_distance(one, other, RATE)}


def test_bad_input_is_refused() -> None:
    audio = _noise()
    with pytest.raises(AudioError, match="has 7999 samples"):
        mel_distance(audio, audio[1:], RATE)
    with pytest.raises(AudioError, match="hop_length 0"):
        mel_distance(audio, audio, RATE, hop_length=0)
    with pytest.raises(AudioError, match="too narrow"):
        mel_distance(audio, audio, RATE, n_fft=64)
    with pytest.raises(AudioError, match="must be positive"):
        mel_distance(audio, audio, RATE, num_mels=0)
    with pytest.raises(AudioError, match="floor 0"):
        mel_distance(audio, audio, RATE, floor=0.0)
