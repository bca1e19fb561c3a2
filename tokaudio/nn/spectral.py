"""Windowed spectra with a power-law magnitude: the front end and the head of the small codecs.

Both sides speak the same language: a complex spectrum whose magnitude is raised to `power` while its phase is kept.
Compressed like this, quiet and loud bins matter alike (Braun and Tashev 2020, arXiv:2009.12286, section 2.2), and
an autoencoder only has to learn a nearly linear map.

Frames are aligned with hops: analysis frame `m` is centred on the middle of samples `[m * hop, (m + 1) * hop)`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Windowed(nn.Module):
    """What analysis and synthesis share: a periodic Hann window and its alignment with hops."""

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int, power: float) -> None:
        super().__init__()
        # At half a window per hop, squared Hann windows do not sum to a constant.
        if n_fft % hop_length or n_fft < 3 * hop_length:
            raise ValueError(
                f"n_fft must be a multiple of hop_length and at least three times it, got {n_fft}, {hop_length}"
            )
        self.n_fft, self.hop_length, self.power = n_fft, hop_length, power
        self.num_bins = n_fft // 2 + 1
        self.context = (n_fft - hop_length) // 2
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float64).float(), persistent=False)


class PowerSpectrum(_Windowed):
    """Cut a signal into windowed frames and return compressed complex spectra as real vectors.

    Shape:
        input `[B, T * hop_length + 2 * context]`, output `[B, T, 2 * num_bins]` (real parts, then imaginary parts).

    Example:
        >>> front = PowerSpectrum(640, 160, power=0.5)
        >>> front(torch.zeros(1, 10 * 160 + 2 * front.context)).shape
        torch.Size([1, 10, 642])
    """

    def forward(self, signal: Tensor) -> Tensor:
        """Analyse a signal that carries `context` extra samples on each side."""
        frames = signal.unfold(-1, self.n_fft, self.hop_length) * self.window
        spectrum = torch.view_as_real(torch.fft.rfft(frames, norm="ortho"))
        energy = spectrum.square().sum(-1, keepdim=True) + 1e-12
        compressed = spectrum * energy.pow((self.power - 1) / 2)
        return compressed.transpose(-1, -2).flatten(-2)


class MelSpectrum(_Windowed):
    """Cut a signal into windowed frames and return logarithms of mel energies: what is said, without phases.

    The scale is fixed, so that it depends on no other frame: a factor of 100 in energy is 1, and silence is -2.

    Args:
        filters: weights of the bins `[M, n_fft // 2 + 1]`.
        n_fft: length of a window in samples.
        hop_length: samples from window to window.

    Shape:
        input `[B, T * hop_length + 2 * context]`, output `[B, T, M]`.

    Example:
        >>> front = MelSpectrum(torch.ones(80, 321), 640, 160)
        >>> front(torch.zeros(1, 10 * 160 + 2 * front.context)).shape
        torch.Size([1, 10, 80])
    """

    filters: Tensor

    def __init__(self, filters: Tensor, n_fft: int, hop_length: int) -> None:
        super().__init__(n_fft, hop_length, 1.0)
        self.register_buffer("filters", filters.T.float().contiguous(), persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        """Analyse a signal that carries `context` extra samples on each side."""
        frames = signal.unfold(-1, self.n_fft, self.hop_length) * self.window
        energy = torch.view_as_real(torch.fft.rfft(frames, norm="ortho")).square().sum(-1)
        return (energy @ self.filters + 1e-7).log10() / 2 + 1.5


class PowerSynthesis(_Windowed):
    """Turn compressed complex spectra back into sound: expand, inverse transform, window, overlap and add.

    The overlapping squared windows sum to a constant, so that synthesis inverts analysis exactly.

    Shape:
        input `[B, T, 2 * num_bins]`, output `[B, T * hop_length + 2 * context]`; the outer `context` samples on each
        side are incomplete and overlap with the neighbouring frames.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> front, head = PowerSpectrum(64, 16, power=0.5), PowerSynthesis(64, 16, power=0.5)
        >>> signal = torch.randn(1, 20 * 16 + 2 * front.context)
        >>> inner = slice(4 * 16, 16 * 16)
        >>> torch.allclose(head(front(signal))[:, inner], signal[:, inner], atol=1e-4)
        True
    """

    def forward(self, compressed: Tensor) -> Tensor:
        """Synthesise the signal of `T` frames with `context` incomplete samples on each side."""
        pair = compressed.unflatten(-1, (2, self.num_bins)).transpose(-1, -2)
        energy = pair.square().sum(-1, keepdim=True) + 1e-12
        spectrum = pair * energy.pow((1 / self.power - 1) / 2)
        frames = torch.fft.irfft(torch.view_as_complex(spectrum.contiguous()), n=self.n_fft, norm="ortho")
        frames = frames * (self.window * (self.hop_length / self.window.square().sum()))
        return overlap_add(frames, self.hop_length)


def overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Add frames `[B, T, N]` at steps of `hop_length`, N a multiple of it, into `[B, (T - 1) * hop_length + N]`.

    Each output sample is a sum of N / hop_length terms in a fixed order, whatever T is.

    Example:
        >>> overlap_add(torch.ones(1, 3, 4), 2)
        tensor([[1., 1., 2., 2., 2., 2., 1., 1.]])
    """
    batch, count, size = frames.shape
    parts = frames.unflatten(-1, (size // hop_length, hop_length))
    overlaps = parts.shape[2]
    out = frames.new_zeros(batch, count + overlaps - 1, hop_length)
    for step in range(overlaps):
        out = out + torch.nn.functional.pad(parts[:, :, step], (0, 0, step, overlaps - 1 - step))
    return out.flatten(1)
