"""Spectra of windows against loops; synthesis undoes analysis."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.audio.mel import mel_filterbank
from tokaudio.nn.spectral import MelSpectrum, PowerSpectrum, PowerSynthesis, overlap_add


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("n_fft", "hop"), [(640, 160), (64, 16), (96, 32), (96, 16)])
@pytest.mark.parametrize("power", [0.3, 0.5, 1.0])
def test_synthesis_undoes_analysis(n_fft: int, hop: int, power: float):
    front, head = PowerSpectrum(n_fft, hop, power), PowerSynthesis(n_fft, hop, power)
    signal = 0.3 * normal(2, 30 * hop + 2 * front.context)
    back = head(front(signal))
    assert back.shape == signal.shape
    inner = slice(n_fft, signal.shape[1] - n_fft)
    assert_near(back[:, inner], signal[:, inner], within=0.0002)


def test_analysis_equals_numpy_frame_by_frame():
    front = PowerSpectrum(64, 16, power=0.5)
    signal = normal(1, 10 * 16 + 2 * front.context)
    spectra = front(signal)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
    for frame in range(10):
        piece = signal[0, frame * 16 : frame * 16 + 64].double().numpy()
        spectrum = np.fft.rfft(piece * window, norm="ortho")
        wanted = spectrum / np.sqrt(np.abs(spectrum) + 1e-9)
        np.testing.assert_allclose(spectra[0, frame, :33], wanted.real, atol=1e-4)
        np.testing.assert_allclose(spectra[0, frame, 33:], wanted.imag, atol=1e-4)


def test_mel_energies_equal_numpy_frame_by_frame():
    filters = mel_filterbank(16_000, 320, 20, widen=True)
    front = MelSpectrum(torch.tensor(filters), 320, 80)
    signal = normal(1, 5 * 80 + 2 * front.context)
    found = front(signal)[0]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(320) / 320)
    for frame in range(5):
        piece = signal[0, frame * 80 : frame * 80 + 320].double().numpy()
        energy = filters @ np.abs(np.fft.rfft(piece * window, norm="ortho")) ** 2
        np.testing.assert_allclose(found[frame], 1.5 + np.log10(energy + 1e-7) / 2, atol=1e-4)


def test_mel_energies_have_a_fixed_scale():
    filters = mel_filterbank(16_000, 320, 20, widen=True)
    front = MelSpectrum(torch.tensor(filters), 320, 80)
    signal = normal(1, 5 * 80 + 2 * front.context)
    assert_near(front(torch.zeros_like(signal)), torch.full((1, 5, 20), -2.0))
    assert_near(front(10 * signal) - front(signal), torch.ones(1, 5, 20), within=1e-3)


def test_frames_are_centred_on_hops():
    front = PowerSpectrum(64, 16, power=1.0)
    for hop in range(10):
        signal = torch.zeros(1, 10 * 16 + 2 * front.context)
        signal[0, front.context + hop * 16 + 8] = 1.0
        assert int(front(signal).square().sum(-1).argmax()) == hop


def test_silence_is_zero_and_has_a_finite_gradient():
    front, head = PowerSpectrum(64, 16, power=0.5), PowerSynthesis(64, 16, power=0.5)
    signal = torch.zeros(1, 10 * 16 + 2 * front.context, requires_grad=True)
    out = head(front(signal))
    assert not bool(out.detach().any())
    out.sum().backward()
    assert bool(torch.isfinite(signal.grad).all())


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_overlap_add_equals_loops(count: int, hop: int, overlaps: int, batch: int):
    frames = normal(batch, count, hop * overlaps)
    wanted = torch.zeros(batch, (count - 1) * hop + hop * overlaps, dtype=torch.float64)
    for frame in range(count):
        wanted[:, frame * hop : frame * hop + hop * overlaps] += frames[:, frame].double()
    got = overlap_add(frames, hop)
    assert got.shape == wanted.shape
    assert_near(got.double(), wanted)


@pytest.mark.parametrize(("n_fft", "hop"), [(100, 30), (64, 64), (64, 32)])
@pytest.mark.parametrize("side", [PowerSpectrum, PowerSynthesis])
def test_windows_that_do_not_overlap_evenly_are_refused(side, n_fft: int, hop: int):
    with pytest.raises(ValueError, match=f"got {n_fft}, {hop}"):
        side(n_fft, hop, 0.5)
