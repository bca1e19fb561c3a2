"""Reconstruction losses on spectra, at several resolutions at once.

- Log-mel distance, L1, over several window lengths, as in DAC (Kumar et al. 2023, arXiv:2306.06546, section 3.4).
- Distance of compressed magnitudes and of compressed complex spectra (Braun and Tashev 2020, arXiv:2009.12286,
  section 2.2): the first shapes the envelope, the second also the phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class SpectralLossWeights:
    """Weights of the three parts of the spectral loss."""

    mel: float = 0.4
    magnitude: float = 8.0
    complex: float = 12.0


def mel_filterbank(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    """Return triangular filters `[n_fft // 2 + 1, n_mels]` with unit peaks, evenly spaced on the HTK mel scale.

    Every filter reaches at least one bin to each side, so that no band is blind at short windows.

    Example:
        >>> mel_filterbank(16000, 512, 40).shape
        torch.Size([257, 40])
    """
    top = 2595.0 * torch.log10(torch.tensor(1.0 + sample_rate / 2 / 700.0))
    edges = 700.0 * (10.0 ** (torch.linspace(0.0, float(top), n_mels + 2) / 2595.0) - 1.0)
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1)[:, None]
    width = sample_rate / n_fft
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = 1 - (centre - bins) / (centre - low).clamp_min(width)
    falling = 1 - (bins - centre) / (high - centre).clamp_min(width)
    return torch.minimum(rising, falling).clamp_min(0.0)


class SpectralLoss(nn.Module):
    """Sum of mel, magnitude and complex distances over several resolutions.

    Shape:
        two signals `[B, S]`; returns the total and its parts.

    Example:
        >>> loss = SpectralLoss(16000)
        >>> signal = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
        >>> float(loss(signal, signal)[0])
        0.0
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        windows: tuple[int, ...] = (320, 640, 1280),
        complex_windows: tuple[int, ...] = (640,),
        weights: SpectralLossWeights = SpectralLossWeights(),
        power: float = 0.5,
    ) -> None:
        super().__init__()
        self.windows, self.complex_windows, self.weights, self.power = windows, complex_windows, weights, power
        for n_fft in windows:
            self.register_buffer(f"hann_{n_fft}", torch.hann_window(n_fft), persistent=False)
            mels = mel_filterbank(sample_rate, n_fft, min(80, n_fft // 8))
            self.register_buffer(f"mel_{n_fft}", mels, persistent=False)

    def _spectrum(self, signal: Tensor, n_fft: int) -> Tensor:
        window = getattr(self, f"hann_{n_fft}")
        frames = signal.unfold(-1, n_fft, n_fft // 4) * window
        return torch.view_as_real(torch.fft.rfft(frames)) * (2.0 / n_fft**0.5)

    def forward(
        self, estimate: Tensor, target: Tensor, *, weights: SpectralLossWeights | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare estimate and target `[B, S]`; `weights` replaces the constructor's for this call."""
        parts = {name: estimate.new_zeros(()) for name in ("mel", "magnitude", "complex")}
        for n_fft in self.windows:
            with torch.no_grad():
                wanted = self._spectrum(target, n_fft)
                wanted_energy = wanted.square().sum(-1) + 1e-9
            got = self._spectrum(estimate, n_fft)
            energy = got.square().sum(-1) + 1e-9
            filters = getattr(self, f"mel_{n_fft}")
            floor = 1e-5
            mels = (torch.matmul(energy, filters) + floor).log()
            wanted_mels = (torch.matmul(wanted_energy, filters) + floor).log()
            parts["mel"] = parts["mel"] + 0.5 * (mels - wanted_mels).abs().mean()
            shrunk, wanted_shrunk = energy.pow(self.power / 2), wanted_energy.pow(self.power / 2)
            parts["magnitude"] = parts["magnitude"] + (shrunk - wanted_shrunk).abs().mean()
            if n_fft in self.complex_windows:
                turned = got * (shrunk / energy.sqrt())[..., None]
                wanted_turned = wanted * (wanted_shrunk / wanted_energy.sqrt())[..., None]
                parts["complex"] = parts["complex"] + (turned - wanted_turned).abs().mean()
        weights = weights or self.weights
        total = weights.mel * parts["mel"] + weights.magnitude * parts["magnitude"] + weights.complex * parts["complex"]
        return total, {name: value.detach() for name, value in parts.items()}
