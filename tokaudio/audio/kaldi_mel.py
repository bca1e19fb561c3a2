"""Log-mel energies as Kaldi computes them (its `fbank`; Povey et al. 2011), block by block.

w2v-BERT 2.0 (arXiv:2312.05187, section 3.2.1) and what is built on it hear these: 80 per 10 ms, of 16 kHz sound.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tokaudio.errors import AudioError

RATE, HOP, LENGTH, BINS = 16_000, 160, 400, 80
_N_FFT = 512
_LOWEST, _EMPHASIS = 20.0, 0.97
# Kaldi hears samples as 16-bit integers, and no energy below the epsilon of float32.
_SCALE, _FLOOR = 2.0**15, 2.0**-23
_VARIANCE_FLOOR = 1e-7


@lru_cache(maxsize=4)
def kaldi_filterbank(num_mels: int = BINS) -> NDArray[np.float64]:
    """Return filters that are triangles on Kaldi's mel scale, `1127 ln(1 + f / 700)`, from 20 Hz to 8 kHz.

    Unlike other filterbanks, the triangles' sides are straight over mel, not over frequency.

    Args:
        num_mels: Number of filters.

    Returns:
        Weights `[num_mels, 257]` of the power spectrum at 16 kHz; read-only, because they are cached.

    Raises:
        AudioError: The number is not positive.

    Example:
        >>> kaldi_filterbank().shape
        (80, 257)
    """
    if num_mels < 1:
        raise AudioError(f"kaldi filterbank: num_mels is {num_mels}; give 1 or more")

    def mel(frequency: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.asarray(1127.0 * np.log1p(np.asarray(frequency) / 700.0))

    edges = np.linspace(float(mel(_LOWEST)), float(mel(RATE / 2)), num_mels + 2)[:, None]
    bins = mel(np.arange(_N_FFT // 2 + 1) * RATE / _N_FFT)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    weights.setflags(write=False)
    return weights


class KaldiMel(nn.Module):
    """Logarithms of mel energies of 16 kHz sound, 100 frames per second.

    Windows of 25 ms lie entirely inside the signal: S samples have `(S - 240) // 160` frames, none if S is below 400.
    Computed in float64, because energies of near-silence are differences of large numbers.

    Args:
        edge: zeros before and after the signal, in samples.

    Shape:
        input `[B, S]`, output `[B, n, 80]`.

    Example:
        >>> KaldiMel(edge=160)(torch.zeros(1, 1600)).shape
        torch.Size([1, 10, 80])
    """

    def __init__(self, *, edge: int = 0) -> None:
        super().__init__()
        self.edge = edge

    def forward(self, samples: Tensor) -> Tensor:
        """Map `[B, S]` to `[B, n, 80]`."""
        return torch.stack([self.stage()(item[:, None], True) for item in samples])

    def stage(self) -> KaldiMelStage:
        """Return a fresh stage from samples `[n, 1]` to logarithms `[m, 80]`."""
        return KaldiMelStage(self.edge)


class KaldiMelStage:
    """The logarithms in the course of one signal."""

    def __init__(self, edge: int) -> None:
        self._edge = edge
        self._held: Tensor | None = None

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map samples `[n, 1]` to the frames `[m, 80]` that are ready."""
        held = block.new_zeros(self._edge) if self._held is None else self._held
        parts = [held, block[:, 0]] + ([block.new_zeros(self._edge)] if last else [])
        samples = torch.cat(parts)
        count = max(0, (len(samples) - LENGTH) // HOP + 1)
        self._held = samples[count * HOP :].clone()
        return _frames(samples[: max(0, count - 1) * HOP + LENGTH]) if count else block.new_zeros(0, BINS)


def _frames(samples: Tensor) -> Tensor:
    """Return the logarithms `[m, 80]` of all windows inside samples `[n]`."""
    window, filters = _tables(samples.device)
    rows = (samples.double() * _SCALE).unfold(0, LENGTH, HOP)
    rows = rows - rows.mean(1, keepdim=True)
    before = torch.cat([rows[:, :1], rows[:, :-1]], dim=1)
    power = torch.fft.rfft((rows - _EMPHASIS * before) * window, _N_FFT).abs().square_()
    return (power @ filters).clamp_(min=_FLOOR).log_().float()


@lru_cache(maxsize=4)
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the window `[400]`, a Hann window to the power of 0.85, and the filters `[257, 80]`, in float64."""
    window = torch.hann_window(LENGTH, periodic=False, dtype=torch.float64, device="cpu").pow(0.85)
    return window.to(device), torch.tensor(kaldi_filterbank().T.copy(), device=device)


def normalised(frames: Tensor) -> Tensor:
    """Return frames `[..., n, M]`, n at least 2, with mean 0 and variance 1 over time in each of the M values.

    Example:
        >>> normalised(torch.tensor([[1.0], [3.0]])).T.round(decimals=3)
        tensor([[-0.7070,  0.7070]])
    """
    exact = frames.double()
    variance, mean = torch.var_mean(exact, dim=-2, correction=1, keepdim=True)
    return ((exact - mean) / (variance + _VARIANCE_FLOOR).sqrt()).to(frames)


def paired(frames: Tensor) -> Tensor:
    """Return every two frames `[..., n, M]` side by side, `[..., n // 2, 2 M]`; an odd last one is left out.

    Example:
        >>> paired(torch.arange(5.0)[:, None])
        tensor([[0., 1.],
                [2., 3.]])
    """
    count = frames.shape[-2] // 2
    return frames[..., : 2 * count, :].unflatten(-2, (count, 2)).flatten(-2)
