"""Pitch, energy and cepstra: signals whose answers are known, and librosa."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from tokaudio.audio import attributes
from tokaudio.audio.attributes import energy, mfcc, octave_bands, pitch, spectral_shape
from tokaudio.audio.mel import slaney_filterbank
from tokaudio.errors import AudioError

RATE = 16_000


def voiced(frequency: NDArray[np.float64], harmonics: int = 6) -> NDArray[np.float64]:
    """Return a buzz `[S]` of a frequency that may change `[S]`."""
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    return 0.1 * sum(np.sin(n * phase + n) / n for n in range(1, harmonics + 1))


@pytest.mark.parametrize("frequency", [70.0, 111.1, 203.7, 390.0])
def test_pitch_of_a_steady_buzz(frequency: float) -> None:
    found = pitch(voiced(np.full(RATE, frequency)), RATE, 50, 50)[3:-3]
    np.testing.assert_allclose(found, frequency, rtol=3e-3)


def test_pitch_of_a_glide_is_that_of_the_middle_of_the_frame() -> None:
    glide = np.linspace(100, 220, 2 * RATE)
    found = pitch(voiced(glide), RATE, 100, 50)[5:-5]
    true = glide[(np.arange(100) * 320 + 160)[5:-5]]
    np.testing.assert_allclose(found, true, rtol=0.01)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    assert np.isnan(pitch(noise, RATE, 50, 50)).mean() > 0.95
    assert np.isnan(pitch(np.zeros(RATE), RATE, 50, 50)).all()
    both = np.concatenate([voiced(np.full(RATE, 150.0)), 0.02 * noise])
    found = pitch(both, RATE, 100, 50)
    assert np.isfinite(found[3:47]).all() and np.isnan(found[53:]).mean() > 0.95


def test_pitch_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = voiced(np.linspace(90, 300, RATE))
    whole = pitch(wave, RATE, 50, 50)
    monkeypatch.setattr(attributes, "_FRAMES", 7)
    np.testing.assert_allclose(pitch(wave, RATE, 50, 50), whole, rtol=1e-9)


def test_energy_is_the_level_around_the_centre() -> None:
    steps = np.repeat([0.1, 1.0, 0.0], RATE // 2)
    found = energy(steps, RATE, 75, 50)
    np.testing.assert_allclose(found[[10, 40, 60]], [-20, 0, -100], atol=1e-6)
    assert -20 < found[24] < found[25] <= 0


def test_frames_may_end_after_the_signal() -> None:
    assert np.isnan(pitch(np.ones(100), RATE, 5, 50)[2:]).all()
    assert energy(np.ones(100), RATE, 5, 50)[3:].tolist() == [-100.0, -100.0]
    assert mfcc(np.ones(100), RATE, 3, 50).shape == (3, 39) and mfcc(np.ones(100), RATE, 0, 50).shape == (0, 39)
    assert pitch(np.ones(100), RATE, 0, 50).shape == energy(np.ones(100), RATE, 0, 50).shape == (0,)


def test_cepstra_are_the_cosine_transform_of_log_mel_energies() -> None:
    from scipy.fft import dct

    wave = 0.1 * np.random.default_rng(1).standard_normal(RATE)
    found = mfcc(wave, RATE, 49, 50)
    window = wave[10 * 320 + 160 - 200 :][:400] * np.hanning(400)
    levels = np.log(slaney_filterbank(RATE, 512, 40) @ np.abs(np.fft.rfft(window, 512)) ** 2)
    np.testing.assert_allclose(found[10, :13], dct(levels, norm="ortho")[:13], atol=1e-4)
    for first in (0, 13):
        rows = found[8:13, first : first + 13].astype(float)
        lines = np.polyfit(np.arange(5), rows, 1)[0]
        np.testing.assert_allclose(found[10, first + 13 : first + 26], lines, atol=1e-4)


def test_what_cannot_be_measured_is_refused() -> None:
    for samples in (np.zeros((2, 5)), np.zeros(0)):
        with pytest.raises(AudioError, match=r"samples are \["):
            energy(samples, RATE, 1, 50)
    with pytest.raises(AudioError, match="give limits that ascend"):
        pitch(np.zeros(9), RATE, 1, 50, lowest=200, highest=100)


def test_bands_reach_to_half_the_rate() -> None:
    assert octave_bands(48_000)[-2:] == [(8000.0, 16_000.0), (16_000.0, 24_000.0)]
    assert octave_bands(44_100)[-1] == (16_000.0, 22_050.0)
    assert octave_bands(24_000)[-1] == (8000.0, 12_000.0)
    assert octave_bands(8_500)[-1] == (2000.0, 4250.0)  # no band of 250 Hz of its own
    for rate in (8_000, 16_000, 22_050, 44_100):
        edges = octave_bands(rate)
        assert edges[0][0] == 0 and edges[-1][1] == rate / 2
        assert all(one[1] == other[0] for one, other in itertools.pairwise(edges))


def test_the_centroid_and_bands_of_two_tones() -> None:
    at = np.arange(RATE) / RATE
    wave = 0.4 * np.sin(2 * np.pi * 700 * at) + 0.2 * np.sin(2 * np.pi * 5000 * at)
    centroid, levels = spectral_shape(wave, RATE, 50, 50, octave_bands(RATE))
    middle = slice(5, 45)
    np.testing.assert_allclose(centroid[middle], (700 * 4 + 5000) / 5, atol=2)
    np.testing.assert_allclose(levels[middle, 1], 10 * np.log10(0.08), atol=0.05)
    np.testing.assert_allclose(levels[middle, 4], 10 * np.log10(0.02), atol=0.05)
    assert levels[middle][:, [0, 2, 3]].max() < -60
    together = 10 * np.log10((10 ** (levels[middle] / 10)).sum(axis=1))
    np.testing.assert_allclose(together, energy(wave, RATE, 50, 50)[middle], atol=0.1)


def test_silence_has_no_centroid() -> None:
    centroid, levels = spectral_shape(np.zeros(RATE), RATE, 50, 50, [(0, 8000)])
    assert np.isnan(centroid).all() and (levels == -100).all()
