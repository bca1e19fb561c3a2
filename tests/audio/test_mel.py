"""The mel filterbank, against librosa and the scale's own formula."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from tokaudio.audio.mel import mel_filterbank, slaney_filterbank
from tokaudio.errors import AudioError


@pytest.mark.parametrize(("rate", "n_fft", "num_mels"), [(16_000, 1024, 80), (44_100, 2048, 128), (8_000, 512, 20)])
def test_filterbank_equals_librosa(rate: int, n_fft: int, num_mels: int) -> None:
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=num_mels, htk=True, norm=None, dtype=np.float64)
    np.testing.assert_allclose(mel_filterbank(rate, n_fft, num_mels), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("rate", "n_fft", "num_mels"),
    [(16_000, 320, 40), (16_000, 1280, 80), (4_000, 320, 40), (16_000, 320, 80), (16_000, 64, 40)],
)
def test_widened_filters_leave_no_band_unheard(rate: int, n_fft: int, num_mels: int) -> None:
    filters = mel_filterbank(rate, n_fft, num_mels, widen=True)
    assert filters.shape == (num_mels, n_fft // 2 + 1)
    assert filters.min() == 0
    assert filters.max() <= 1
    assert (np.diff(filters.argmax(1)) >= 0).all()
    assert filters.max(1).min() >= 0.5, "a centre is at most half a bin from one"
    assert (filters[:, 2:-2].sum(0) > 0).all(), "no bin between the outermost filters is unheard"


def test_wide_filters_are_not_widened() -> None:
    np.testing.assert_array_equal(mel_filterbank(16_000, 4096, 20), mel_filterbank(16_000, 4096, 20, widen=True))


def test_centres_follow_the_mel_scale() -> None:
    edges = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 22)
    wanted = 700 * (10 ** (edges[1:-1] / 2595) - 1)
    found = mel_filterbank(16_000, 8192, 20).argmax(1) * 16_000 / 8192
    np.testing.assert_allclose(found, wanted, atol=2)


def test_impossible_filters_are_refused() -> None:
    with pytest.raises(AudioError, match="too narrow"):
        mel_filterbank(16_000, 64, 80)
    with pytest.raises(AudioError, match="must be positive"):
        mel_filterbank(16_000, 1024, 0)


def test_the_cached_filterbank_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        mel_filterbank(16_000, 1024, 80)[0, 0] = 1.0


@pytest.mark.parametrize(("rate", "n_fft", "num_mels"), [(16_000, 400, 128), (16_000, 400, 80), (1_600, 400, 20)])
def test_slaney_filterbank_equals_librosa(rate: int, n_fft: int, num_mels: int) -> None:
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=num_mels, dtype=np.float64)
    weights = slaney_filterbank(rate, n_fft, num_mels)
    np.testing.assert_allclose(weights, expected, atol=1e-12)
    assert not weights.flags.writeable


@pytest.mark.parametrize("wrong", [(0, 400, 80), (16_000, 0, 80), (16_000, 400, 0)])
def test_slaney_filters_of_nothing_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(AudioError, match="must be positive"):
        slaney_filterbank(*wrong)


def test_slaney_filters_that_would_be_empty_are_refused() -> None:
    with pytest.raises(AudioError, match="too narrow"):
        slaney_filterbank(16_000, 200, 128)
