"""The mel filterbank: triangles that grow wider with frequency, as hearing resolves it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import AudioError


@lru_cache(maxsize=16)
def mel_filterbank(sample_rate: int, n_fft: int, num_mels: int, *, widen: bool = False) -> NDArray[np.float64]:
    """Return triangular filters on the HTK mel scale, `2595 log10(1 + f / 700)`, from 0 Hz to half the rate.

    Each triangle peaks at 1 (no area normalisation). Source: D. O'Shaughnessy, "Speech Communication: Human and
    Machine", Addison-Wesley 1987, p. 150, in the form that HTK uses.

    Args:
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform, in samples.
        num_mels: Number of filters.
        widen: Make every triangle reach at least one bin to each side, so that none is empty at short transforms.

    Returns:
        Weights `[num_mels, n_fft // 2 + 1]`; read-only, because it is cached.

    Raises:
        AudioError: An argument is not positive, or the filters are narrower than the bins, so that some are empty.

    Example:
        >>> mel_filterbank(16_000, 1024, 80).shape
        (80, 513)
    """
    if min(sample_rate, n_fft, num_mels) < 1:
        raise AudioError(f"mel filterbank: {sample_rate=}, {n_fft=}, {num_mels=}; all must be positive")
    top = 2595.0 * np.log10(1.0 + sample_rate / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, num_mels + 2) / 2595.0) - 1.0)
    weights = _triangles(edges, sample_rate, n_fft, sample_rate / n_fft if widen else 0.0)
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=16)
def slaney_filterbank(sample_rate: int, n_fft: int, num_mels: int) -> NDArray[np.float64]:
    """Return triangular filters of equal area on Slaney's mel scale, from 0 Hz to half the rate: those of Whisper.

    The scale is linear up to 1,000 Hz (15 mel) and logarithmic above, 27 mel per factor of 6.4. Source: M. Slaney,
    "Auditory Toolbox, version 2", Interval Research Corporation 1998, technical report 1998-010.

    Args:
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform, in samples.
        num_mels: Number of filters.

    Returns:
        Weights `[num_mels, n_fft // 2 + 1]` in 1 / Hz; read-only, because it is cached.

    Raises:
        AudioError: An argument is not positive, or the filters are narrower than the bins, so that some are empty.

    Example:
        >>> slaney_filterbank(16_000, 400, 128).shape
        (128, 201)
    """
    if min(sample_rate, n_fft, num_mels) < 1:
        raise AudioError(f"mel filterbank: {sample_rate=}, {n_fft=}, {num_mels=}; all must be positive")
    half = sample_rate / 2
    octave = np.log(6.4) / 27.0
    top = half * 3 / 200 if half < 1000 else 15.0 + np.log(half / 1000.0) / octave
    mels = np.linspace(0.0, top, num_mels + 2)
    edges = np.where(mels < 15.0, mels * 200 / 3, 1000.0 * np.exp(octave * (mels - 15.0)))
    weights = _triangles(edges, sample_rate, n_fft, 0.0) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    weights.setflags(write=False)
    return weights


def _triangles(edges: NDArray[np.float64], sample_rate: int, n_fft: int, narrowest: float) -> NDArray[np.float64]:
    """Return triangles of height 1 between every edge, in Hz, and the next but one `[len(edges) - 2, bins]`."""
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    centres = edges[1:-1, None]
    rising = 1.0 - (centres - bins) / np.maximum(np.diff(edges)[:-1, None], narrowest)
    falling = 1.0 - (bins - centres) / np.maximum(np.diff(edges)[1:, None], narrowest)
    weights: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    if not weights.any(axis=1).all():
        filters = f"{len(weights)} filters are too narrow for {n_fft=}"
        raise AudioError(f"mel filterbank: {filters}; use fewer or a longer n_fft")
    return weights
