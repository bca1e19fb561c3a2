"""Kaldi's log-mel energies: the formulas written out, one window at a time; blocks equal the whole."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.audio.kaldi_mel import BINS, KaldiMel, kaldi_filterbank, normalised, paired
from tokaudio.errors import AudioError


def noise(samples: int, seed: int = 0) -> Tensor:
    return 0.2 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def one_window(samples: np.ndarray) -> np.ndarray:
    """Return the logarithms `[80]` of 400 samples, step by step."""
    x = samples.astype(np.float64) * 32_768
    x = x - x.mean()
    emphasised = np.append(x[0] * 0.03, x[1:] - 0.97 * x[:-1])
    window = (0.5 - 0.5 * np.cos(2 * math.pi * np.arange(400) / 399)) ** 0.85
    power = np.abs(np.fft.rfft(emphasised * window, 512)) ** 2
    return np.log(np.maximum(kaldi_filterbank() @ power, 2.0**-23))


def test_energies_are_those_of_the_formulas():
    sound = noise(1_999)
    found = KaldiMel()(sound[None])[0]
    wanted = [one_window(sound[start : start + 400].numpy()) for start in range(0, 1_999 - 399, 160)]
    assert_near(found, torch.tensor(np.stack(wanted)))


@pytest.mark.parametrize(
    ("samples", "edge", "frames"), [(399, 0, 0), (400, 0, 1), (559, 0, 1), (560, 0, 2), (320, 160, 2)]
)
def test_windows_lie_inside_the_signal(samples: int, edge: int, frames: int):
    assert KaldiMel(edge=edge)(noise(samples)[None]).shape == (1, frames, BINS)


def test_edges_are_zeros():
    sound = noise(1_600)
    padded = torch.nn.functional.pad(sound, (160, 160))
    assert torch.equal(KaldiMel(edge=160)(sound[None]), KaldiMel()(padded[None]))


def test_silence_has_the_energy_of_the_floor():
    assert_near(KaldiMel()(torch.zeros(1, 800)), torch.full((1, 3, BINS), math.log(2.0**-23)))


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 900), min_size=1, max_size=6), edge=st.sampled_from([0, 160]))
def test_blocks_give_the_frames_of_the_whole(cuts: list[int], edge: int):
    sound = noise(sum(cuts), seed=1)[:, None]
    stage = KaldiMel(edge=edge).stage()
    parts = [stage(piece, i == len(cuts) - 1) for i, piece in enumerate(sound.split(cuts))]
    assert_near(torch.cat(parts), KaldiMel(edge=edge)(sound.T)[0])


def test_filters_are_triangles_over_mel():
    filters = kaldi_filterbank()
    assert filters.shape == (BINS, 257) and filters.min() == 0 and filters.max() <= 1
    peaks = filters.argmax(1)
    assert (np.diff(peaks) >= 0).all() and filters[:, 0].max() == 0 and filters[:, 256].max() < 1e-9
    # Between the first and the last peak, the two triangles that meet at a frequency sum to 1.
    assert np.allclose(filters[:, peaks[0] + 1 : peaks[-1]].sum(0), 1)
    with pytest.raises(ValueError, match="read-only"):
        filters[0, 0] = 1
    with pytest.raises(AudioError, match="num_mels is 0; give 1 or more"):
        kaldi_filterbank(0)


def test_normalised_frames_have_mean_zero_and_variance_one():
    frames = 5 + 3 * noise(4_000).view(2, 100, 20)
    found = normalised(frames)
    assert_near(found.mean(1), torch.zeros(2, 20))
    assert_near(found.var(1), torch.ones(2, 20), within=1e-4)
    assert torch.isfinite(normalised(torch.ones(2, 3))).all()


def test_pairs_lie_side_by_side_and_an_odd_frame_is_left_out():
    frames = torch.arange(28.0).view(2, 7, 2)
    found = paired(frames)
    assert found.shape == (2, 3, 4)
    assert torch.equal(found[1, 2], torch.cat([frames[1, 4], frames[1, 5]]))
