"""Log-mel spectra of frames: equal to a plain loop, however the sound is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.near import assert_near
from tokaudio.analysis.single_codes.mel_frames import mel_centres, mel_frames
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio.mel import slaney_filterbank
from tokaudio.spec import CodebookSpec, TokenizerSpec


def spec(hop: int, rate: int = 16_000) -> TokenizerSpec:
    return TokenizerSpec("toy", "compression", rate, hop, (CodebookSpec(8),))


def slow_levels(wave: np.ndarray, hop: int) -> np.ndarray:
    padded = np.concatenate([np.zeros(5_000), wave, np.zeros(5_000)])
    rows = []
    for frame in range(-(-len(wave) // hop)):
        start = 5_000 + frame * hop + hop // 2 - 200
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, 401) / 401)
        power = np.abs(np.fft.rfft(padded[start : start + 400] * window, 512)) ** 2 / np.sum(window**2)
        rows.append(10 * np.log10(np.maximum(slaney_filterbank(16_000, 512, 12) @ power, 1e-10)))
    return np.array(rows).reshape(-1, 12)


@settings(max_examples=40)
@given(
    samples=st.integers(1, 9_000),
    hop=st.sampled_from([100, 320, 401, 1_280]),
    cuts=st.lists(st.integers(0, 9_000), max_size=5),
)
def test_levels_equal_a_plain_loop_however_the_sound_is_cut(samples: int, hop: int, cuts: list[int]) -> None:
    wave = np.random.default_rng(samples).normal(size=samples).astype(np.float32) / 10
    blocks = [part[None] for part in np.split(wave, sorted(cut for cut in cuts if cut <= samples)) if len(part)]
    found = np.concatenate(list(mel_frames(blocks, 16_000, spec(hop), num_mels=12)))
    assert_near(torch.from_numpy(found), torch.from_numpy(slow_levels(wave, hop)), within=1e-4)


def test_long_sounds_come_in_pieces() -> None:
    pieces = list(mel_frames([np.zeros((1, 16_000))] * 90, 16_000, spec(320)))
    assert len(pieces) > 2 and sum(len(piece) for piece in pieces) == 4_500
    assert {float(value) for piece in pieces for value in np.unique(piece)} == {-100.0}


@pytest.mark.parametrize("hertz", [500.0, 2_000.0, 5_000.0])
def test_a_tone_is_loudest_in_its_band_at_any_rate(hertz: float) -> None:
    for rate in (16_000, 44_100):
        tone = np.sin(2 * np.pi * hertz * np.arange(rate) / rate)[None]
        levels = np.concatenate(list(mel_frames([tone], rate, spec(320))))
        centre = mel_centres(16_000)[levels[len(levels) // 2].argmax()]
        assert abs(centre - hertz) < 0.1 * hertz


@pytest.mark.parametrize("rate", [1_000, 8_000, 48_000])
def test_bands_ascend_at_all_rates(rate: int) -> None:
    assert np.diff(mel_centres(rate)).min() >= 0 and mel_centres(rate)[-1] < rate / 2
    levels = np.concatenate(list(mel_frames([np.ones((1, rate // 10))], rate, spec(rate // 100, rate))))
    assert levels.shape == (10, 40) and np.isfinite(levels).all()


def test_nothing_gives_nothing_and_no_bands_are_refused() -> None:
    assert list(mel_frames([], 16_000, spec(320))) == []
    with pytest.raises(AnalysisError, match="give 1 or more"):
        next(mel_frames([], 16_000, spec(320), num_mels=0))
