"""Reconstruction losses on spectra, at several resolutions at once.

- Log-mel distance, L1, over several window lengths, as in DAC (Kumar et al. 2023, arXiv:2306.06546, section 3.4).
- Distance of compressed magnitudes and of compressed complex spectra (Braun and Tashev 2020, arXiv:2009.12286,
  section 2.2): the first shapes the envelope, the second also the phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tokaudio.audio.mel import mel_filterbank


@dataclass(frozen=True, slots=True)
class SpectralLossWeights:
    """Weights of the three parts of the spectral loss."""

    mel: float = 0.4
    magnitude: float = 8.0
    complex: float = 12.0


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
            mels = mel_filterbank(sample_rate, n_fft, min(80, n_fft // 8), widen=True)
            self.register_buffer(f"mel_{n_fft}", torch.tensor(mels.T, dtype=torch.float32), persistent=False)

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
