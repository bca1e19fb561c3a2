"""Where in the spectrum a codebook acts: what decoding changes when its codes are shuffled over the frames.

A codebook's codes are put in another order while all others stay. The energy of the difference of the two sounds, by
frequency, shows what the codebook says; the share inside a band is its attribution to that band. Most energy of speech
lies below 1 kHz, so that the change of each band's own level is told beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.analysis.decoding.interventions import shuffled
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens

N_FFT = 1024
_FLOOR = 1e-10


def codebook_spectrum(
    tokenizer: Tokenizer, tokens: Tokens, index: int, *, seed: int = 0, n_fft: int = 1024
) -> NDArray[np.float64]:
    """Return the energy that changes when codes of one codebook are shuffled over each item's frames, by frequency.

    Args:
        tokenizer: that made the tokens.
        tokens: of speech, without a depth.
        index: of the codebook.
        seed: of the shuffling.
        n_fft: length of the Hann windows in samples, at the rate of the decoded sound; they overlap by three quarters.

    Returns:
        Energies `[n_fft // 2 + 1]`, summed over items and time.

    Raises:
        AnalysisError: if there is no such codebook, or the tokens have a depth.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> codebook_spectrum(codec, codec.encode(torch.zeros(3_200)), 0).shape
        (513,)
    """
    changed = tokenizer.decode(shuffled(tokens, index, seed=seed))
    return difference_spectrum(tokenizer.decode(tokens), changed, n_fft=n_fft)


def difference_spectrum(sound: Tensor, changed: Tensor, *, n_fft: int = N_FFT) -> NDArray[np.float64]:
    """Return the energy of the difference of sounds, by frequency.

    Args:
        sound: samples `[B, C, S]`; channels are averaged.
        changed: likewise.
        n_fft: length of the Hann windows in samples; they overlap by three quarters.

    Returns:
        Energies `[n_fft // 2 + 1]`, summed over items and time.

    Example:
        >>> difference_spectrum(torch.zeros(1, 1, 4_096), torch.ones(1, 1, 4_096), n_fft=512).argmax()
        np.int64(0)
    """
    difference = (changed.mean(1) - sound.mean(1)).double().cpu()
    energies = torch.zeros(n_fft // 2 + 1, dtype=torch.float64)
    for item in difference:
        energies += _powers(item, n_fft).sum(0)
    result: NDArray[np.float64] = energies.numpy()
    return result


def band_levels(
    sound: Tensor, sample_rate: int, bands: Sequence[tuple[float, float]], *, n_fft: int = N_FFT
) -> NDArray[np.float64]:
    """Return the level of each band in dB, window by window; at least -100.

    Args:
        sound: samples `[B, C, S]`; channels are averaged.
        sample_rate: in Hz.
        bands: lowest and highest frequency in Hz of each, the highest not included.
        n_fft: length of the Hann windows in samples; they overlap by three quarters.

    Returns:
        Levels `[B, len(bands), windows]`.

    Example:
        >>> tone = torch.sin(2 * torch.pi * 1_000 * torch.arange(16_000) / 16_000)[None, None]
        >>> band_levels(tone, 16_000, [(0, 500), (500, 2_000)])[0, :, 20].round().astype(int)
        array([-100,    0])
    """
    powers = torch.stack([_powers(item, n_fft) for item in sound.mean(1).double().cpu()])
    # A full-scale sine has a power of 1.
    powers *= 4 / float(torch.hann_window(n_fft, dtype=torch.float64).square().sum() * n_fft)
    sums = torch.stack([powers[..., torch.from_numpy(inside)].sum(-1) for inside in _inside(sample_rate, bands, n_fft)])
    levels: NDArray[np.float64] = (10 * torch.log10(sums.clamp_min(_FLOOR))).transpose(0, 1).numpy()
    return levels


def band_attribution(
    tokenizer: Tokenizer, tokens: Tokens, bands: Sequence[tuple[float, float]], *, seed: int = 0, n_fft: int = 1024
) -> NDArray[np.float64]:
    """Return how much of what each codebook changes lies in each band.

    Args:
        tokenizer: that made the tokens.
        tokens: of speech, without a depth.
        bands: lowest and highest frequency in Hz of each, the highest not included.
        seed: of the shuffling.
        n_fft: as for `codebook_spectrum`.

    Returns:
        Shares `[K, len(bands)]` from 0 to 1; NaN for a codebook that changes nothing.

    Raises:
        AnalysisError: as `codebook_spectrum`.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> noise = torch.randn(3_200, generator=torch.Generator().manual_seed(0))
        >>> rising = noise * torch.linspace(-3, 0, 3_200).exp()
        >>> band_attribution(codec, codec.encode(rising), [(0, 4_000), (4_000, 8_000)]).sum(1).round(6).tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    sound = tokenizer.decode(tokens)
    rows = []
    for index in range(tokens.spec.num_codebooks):
        changed = tokenizer.decode(shuffled(tokens, index, seed=seed))
        energies = difference_spectrum(sound, changed, n_fft=n_fft)
        rows.append(band_shares(energies, tokenizer.spec.output_sample_rate, bands))
    return np.array(rows)


def band_shares(
    energies: NDArray[np.float64], sample_rate: int, bands: Sequence[tuple[float, float]]
) -> NDArray[np.float64]:
    """Return which share of energies lies in each band; NaN if there is no energy.

    Args:
        energies: by frequency `[n_fft // 2 + 1]`.
        sample_rate: in Hz.
        bands: lowest and highest frequency in Hz of each, the highest not included.

    Example:
        >>> band_shares(np.array([3.0, 1.0, 0.0]), 8_000, [(0, 1_000), (1_000, 5_000)])
        array([0.75, 0.25])
    """
    total = float(energies.sum())
    inside = [float(energies[of].sum()) for of in _inside(sample_rate, bands, 2 * (len(energies) - 1))]
    return np.array([share / total if total > 0 else float("nan") for share in inside])


def _inside(sample_rate: int, bands: Sequence[tuple[float, float]], n_fft: int) -> list[NDArray[np.bool_]]:
    """Return which frequencies `[n_fft // 2 + 1]` lie in each band; half the rate belongs to a band that ends there."""
    hertz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    hertz[-1] = np.nextafter(hertz[-1], 0)
    return [(hertz >= low) & (hertz < high) for low, high in bands]


def _powers(sound: Tensor, n_fft: int) -> Tensor:
    """Return the power spectra `[windows, n_fft // 2 + 1]` of samples `[S]`."""
    padded = torch.nn.functional.pad(sound, (n_fft, n_fft))
    window = torch.hann_window(n_fft, dtype=torch.float64)
    return torch.fft.rfft(padded.unfold(0, n_fft, n_fft // 4) * window).abs().square()
