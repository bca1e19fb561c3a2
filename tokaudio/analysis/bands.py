"""Where in the spectrum a codebook acts: what decoding changes when its codes are shuffled over the frames.

A codebook's codes are put in another order while all others stay. The energy of the difference of the two sounds, by
frequency, shows what the codebook says; the share inside a band is its attribution to that band.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens


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
        ValueError: if there is no such codebook, it has a stride, or the tokens have a depth.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> codebook_spectrum(codec, codec.encode(torch.zeros(3_200)), 0).shape
        (513,)
    """
    if not 0 <= index < tokens.spec.num_codebooks:
        raise ValueError(f"codebook index must be in 0..{tokens.spec.num_codebooks - 1}, got {index}")
    if tokens.depth is not None or tokens.spec.codebooks[index].stride > 1:
        raise ValueError("codes can be shuffled frame by frame only without depth and strides")
    generator = torch.Generator().manual_seed(seed)
    codes = tokens.codes.clone()
    for item, length in enumerate(tokens.lengths.tolist()):
        codes[item, index, :length] = codes[item, index, torch.randperm(length, generator=generator)]
    changed = dataclasses.replace(tokens, codes=codes)
    difference = tokenizer.decode(changed).mean(1) - tokenizer.decode(tokens).mean(1)
    return _energies(difference.double().cpu(), n_fft)


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
        ValueError: as `codebook_spectrum`.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> noise = torch.randn(3_200, generator=torch.Generator().manual_seed(0))
        >>> rising = noise * torch.linspace(-3, 0, 3_200).exp()
        >>> band_attribution(codec, codec.encode(rising), [(0, 4_000), (4_000, 8_001)]).sum(1).round(6).tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    hertz = np.arange(n_fft // 2 + 1) * tokenizer.spec.output_sample_rate / n_fft
    rows = []
    for index in range(tokens.spec.num_codebooks):
        energies = codebook_spectrum(tokenizer, tokens, index, seed=seed, n_fft=n_fft)
        total = float(energies.sum())
        inside = [float(energies[(hertz >= low) & (hertz < high)].sum()) for low, high in bands]
        rows.append([share / total if total > 0 else float("nan") for share in inside])
    return np.array(rows)


def _energies(sound: Tensor, n_fft: int) -> NDArray[np.float64]:
    padded = torch.nn.functional.pad(sound, (n_fft, n_fft))
    window = torch.hann_window(n_fft, dtype=torch.float64)
    energies = torch.zeros(n_fft // 2 + 1, dtype=torch.float64)
    for item in padded:
        spectra = torch.fft.rfft(item.unfold(0, n_fft, n_fft // 4) * window)
        energies += spectra.abs().square().sum(0)
    result: NDArray[np.float64] = energies.numpy()
    return result
