"""Energies and levels by band, of sounds whose spectrum is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.analysis.tones import ToneTokenizer, melody
from tokaudio.analysis.decoding.bands import (
    band_attribution,
    band_levels,
    band_shares,
    codebook_spectrum,
    difference_spectrum,
)
from tokaudio.audio.attributes import octave_bands

RATE = 16_000


def tone(hertz: float, peak: float = 1.0) -> torch.Tensor:
    return peak * torch.sin(2 * torch.pi * hertz * torch.arange(RATE, dtype=torch.float64) / RATE)[None, None]


@pytest.mark.parametrize("n_fft", [512, 1024])
def test_a_sine_has_the_level_of_its_peak(n_fft: int) -> None:
    levels = band_levels(tone(3_000, 0.1), RATE, [(0, 2_000), (2_000, 4_000), (4_000, 8_001)], n_fft=n_fft)
    middle = levels[0, :, levels.shape[2] // 2]
    assert middle[1] == pytest.approx(-20, abs=0.01) and max(middle[0], middle[2]) < -80


def test_channels_are_averaged_and_items_are_not() -> None:
    stereo = torch.cat([tone(1_000), -tone(1_000)], dim=1)
    pair = torch.cat([stereo, tone(1_000).expand(1, 2, -1)])
    levels = band_levels(pair, RATE, [(0, 8_001)])[:, 0, 30]
    assert levels[0] == -100 and levels[1] == pytest.approx(0, abs=0.01)
    assert difference_spectrum(0 * pair[:1], pair[:1]).sum() == 0


def test_the_difference_is_where_the_sounds_differ() -> None:
    energies = difference_spectrum(tone(500), tone(500) + tone(3_000, 0.01))
    shares = band_shares(energies, RATE, [(0, 2_000), (2_000, 4_000), (4_000, 8_001)])
    assert shares[1] > 0.99 and shares.sum() == pytest.approx(1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("n_fft", [512, 1024])
def test_octaves_hold_every_frequency_once(rate: int, n_fft: int) -> None:
    bands = octave_bands(rate)
    assert band_shares(np.ones(n_fft // 2 + 1), rate, bands).sum() == pytest.approx(1, abs=1e-12)
    highest = np.zeros(n_fft // 2 + 1)
    highest[-1] = 1
    assert band_shares(highest, rate, bands).tolist() == [0.0] * (len(bands) - 1) + [1.0]


def test_each_codebook_of_the_toy_is_found_where_it_acts() -> None:
    codec = ToneTokenizer()
    tokens = codec.encode(melody([1, 1, 1, 1], [0, 1, 2, 3]))
    shares = band_attribution(codec, tokens, [(0, 750), (750, 1_500), (1_500, 8_001)])
    assert shares[0, 1] > 0.8
    # The tone is the same everywhere, so that its order says nothing.
    assert np.isnan(shares[1]).all() and codebook_spectrum(codec, tokens, 1).sum() == 0
