"""One resampler, the same bits whole and streamed, and an exact length."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.audio.resample import RESAMPLER, StreamResampler, resample, resampled_length
from tokaudio.errors import AudioError

RATES = [(44100, 16000), (48000, 16000), (8000, 16000), (16000, 22050), (22050, 16000), (44101, 15999), (96000, 16000)]


def noise(channels: int, samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((channels, samples)) * 0.1).astype(np.float32)


def streamed(signal: np.ndarray, from_rate: int, to_rate: int, cuts: list[int]) -> np.ndarray:
    stream = StreamResampler(from_rate, to_rate, signal.shape[0])
    blocks = np.split(signal, sorted(cut % (signal.shape[1] + 1) for cut in cuts), axis=1)
    return np.concatenate([*(stream.push(block) for block in blocks), stream.flush()], axis=1)


@given(
    rates=st.sampled_from(RATES),
    samples=st.integers(0, 20_000),
    cuts=st.lists(st.integers(0, 20_000), max_size=12),
    channels=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_streamed_equals_whole_bit_for_bit(
    rates: tuple[int, int], samples: int, cuts: list[int], channels: int
) -> None:
    signal = noise(channels, samples)
    whole = resample(torch.from_numpy(signal), *rates).numpy()
    assert whole.shape == (channels, resampled_length(samples, *rates))
    assert np.array_equal(streamed(signal, *rates, cuts), whole)


def test_long_signal_crosses_the_internal_pieces() -> None:
    signal = noise(1, 600_000)
    whole = resample(torch.from_numpy(signal), 48000, 16000).numpy()
    assert np.array_equal(streamed(signal, 48000, 16000, list(range(0, 600_000, 4801))), whole)


@pytest.mark.parametrize("rates", RATES)
def test_equals_soxr_in_one_piece_to_the_last_sample(rates: tuple[int, int]) -> None:
    signal = noise(1, 30_000)
    out = resample(torch.from_numpy(signal), *rates).numpy()[0]
    whole = soxr.resample(signal[0], *rates, quality="HQ")
    assert len(out) - len(whole) in (0, 1)
    assert np.abs(out[: len(whole)] - whole).max() < 1e-6
    assert np.abs(whole[-20:]).max() > 0.01


def test_channels_and_items_do_not_touch_each_other() -> None:
    signal = torch.from_numpy(noise(6, 5_000)).reshape(3, 2, 5_000)
    whole = resample(signal, 44100, 16000)
    for item in range(3):
        for channel in range(2):
            assert torch.equal(whole[item, channel], resample(signal[item, channel], 44100, 16000))


@pytest.mark.parametrize(
    ("samples", "from_rate", "to_rate", "expected"),
    [(0, 8000, 16000, 0), (1, 44100, 16000, 1), (3, 48000, 16000, 1), (4, 48000, 16000, 2), (1, 8000, 48000, 6)],
)
def test_resampled_length_is_the_ceiling(samples: int, from_rate: int, to_rate: int, expected: int) -> None:
    assert resampled_length(samples, from_rate, to_rate) == expected
    assert resample(torch.zeros(samples), from_rate, to_rate).shape == (expected,)


def test_a_tone_keeps_its_place_and_an_alias_is_gone() -> None:
    time = np.arange(44100) / 44100
    tone = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    out = resample(torch.from_numpy(tone), 44100, 16000).numpy()
    expected = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    assert np.abs(out - expected)[800:-800].max() < 1e-4
    high = np.sin(2 * np.pi * 9000 * time).astype(np.float32)
    assert np.abs(resample(torch.from_numpy(high), 44100, 16000).numpy()[800:-800]).max() < 1e-6


def test_equal_rates_pass_through() -> None:
    block = noise(2, 100)
    stream = StreamResampler(16000, 16000, 2)
    assert stream.push(block) is block
    assert stream.flush().shape == (2, 0)
    signal = torch.from_numpy(block)
    assert resample(signal, 16000, 16000) is signal


def test_empty_leading_axes() -> None:
    assert resample(torch.zeros(0, 2, 441), 44100, 16000).shape == (0, 2, 160)


def test_misuse_is_refused() -> None:
    stream = StreamResampler(44100, 16000, 2)
    for block in (np.zeros((1, 4), np.float32), np.zeros((2, 4)), np.zeros(4, np.float32)):
        with pytest.raises(AudioError, match="give float32"):
            stream.push(block)
    stream.flush()
    for call in (stream.flush, lambda: stream.push(np.zeros((2, 4), np.float32))):
        with pytest.raises(AudioError, match="has ended"):
            call()
    with pytest.raises(AudioError, match="outside 1000 to 768000"):
        StreamResampler(16000, 1)
    with pytest.raises(AudioError, match="at least one"):
        StreamResampler(16000, 8000, 0)
    with pytest.raises(AudioError, match="float32"):
        resample(torch.zeros(4, dtype=torch.float64), 8000, 16000)
    with pytest.raises(AudioError, match="outside"):
        resample(torch.zeros(4), 16000, 999)


def test_provenance_names_quality_and_version() -> None:
    assert RESAMPLER.startswith("soxr-hq ")
    assert any(c.isdigit() for c in RESAMPLER)
