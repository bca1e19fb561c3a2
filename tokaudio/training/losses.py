"""Reconstruction losses on spectra, at several resolutions at once.

- Log-mel distance, L1, over several window lengths, as in DAC (Kumar et al. 2023, arXiv:2306.06546, section 3.4).
- Distance of compressed magnitudes and of compressed complex spectra (Braun and Tashev 2020, arXiv:2009.12286,
  section 2.2): the first shapes the envelope, the second also the phase.
- Spectral convergence and log magnitudes (Parallel WaveGAN, arXiv:1910.11480), as most vocoders have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tokaudio.audio.mel import mel_filterbank
from tokaudio.training.spectra import spectra


@dataclass(frozen=True, slots=True)
class SpectralLossWeights:
    """Weights of the three parts of the spectral loss."""

    mel: float = 0.4
    magnitude: float = 8.0
    complex: float = 12.0


class SpectralLoss(nn.Module):
    """Sum of mel, magnitude and complex distances over several resolutions.

    Args:
        sample_rate: in Hz.
        windows: of the spectra that are compared, in samples.
        complex_windows: of those whose phases are compared too.
        overlap: windows that hear each sample; 2 is half the work of 4.
        weights: of the three distances.
        power: exponent of the magnitudes.

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
        overlap: int = 4,
        weights: SpectralLossWeights = SpectralLossWeights(),
        power: float = 0.5,
    ) -> None:
        super().__init__()
        self.windows, self.complex_windows, self.overlap = windows, complex_windows, overlap
        self.weights, self.power = weights, power
        for n_fft in windows:
            self.register_buffer(f"hann_{n_fft}", torch.hann_window(n_fft), persistent=False)
            mels = mel_filterbank(sample_rate, n_fft, min(80, n_fft // 8), widen=True)
            self.register_buffer(f"mel_{n_fft}", torch.tensor(mels.T, dtype=torch.float32), persistent=False)

    def _spectrum(self, signal: Tensor, n_fft: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return real and imaginary parts, energies above zero, and magnitudes to the power."""
        window = getattr(self, f"hann_{n_fft}") * (2.0 / n_fft**0.5)
        parts, energy = spectra(signal, window, max(1, n_fft // self.overlap))
        energy = energy + 1e-9
        # Roots cost a fraction of other powers.
        return parts, energy, energy.sqrt().sqrt() if self.power == 0.5 else energy.pow(self.power / 2)

    def forward(
        self, estimate: Tensor, target: Tensor, *, weights: SpectralLossWeights | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare estimate and target `[B, S]`; `weights` replaces the constructor's for this call."""
        parts = {name: estimate.new_zeros(()) for name in ("mel", "magnitude", "complex")}
        for n_fft in self.windows:
            with torch.no_grad():
                wanted, wanted_energy, wanted_shrunk = self._spectrum(target, n_fft)
            got, energy, shrunk = self._spectrum(estimate, n_fft)
            filters = getattr(self, f"mel_{n_fft}")
            floor = 1e-5
            mels = (torch.matmul(energy, filters) + floor).log()
            wanted_mels = (torch.matmul(wanted_energy, filters) + floor).log()
            parts["mel"] = parts["mel"] + 0.5 * (mels - wanted_mels).abs().mean()
            parts["magnitude"] = parts["magnitude"] + (shrunk - wanted_shrunk).abs().mean()
            if n_fft in self.complex_windows:
                turned = got * (shrunk / energy.sqrt())[..., None]
                wanted_turned = wanted * (wanted_shrunk / wanted_energy.sqrt())[..., None]
                parts["complex"] = parts["complex"] + (turned - wanted_turned).abs().mean()
        weights = weights or self.weights
        total = weights.mel * parts["mel"] + weights.magnitude * parts["magnitude"] + weights.complex * parts["complex"]
        return total, {name: value.detach() for name, value in parts.items()}


@dataclass(frozen=True, slots=True)
class StftResolution:
    """One resolution: lengths of transform and window, and the step from window to window, in samples."""

    n_fft: int
    window: int
    hop: int


RESOLUTIONS = (StftResolution(1024, 600, 120), StftResolution(2048, 1200, 240), StftResolution(512, 240, 50))
"""Of Parallel WaveGAN (arXiv:1910.11480, table 1), for 24 kHz."""


class StftLoss(nn.Module):
    """Spectral convergence and log-magnitude distance over several resolutions (arXiv:1910.11480, equations 4 to 6).

    Spectral convergence is the distance of magnitudes as a share of the target's, and looks at what is loud; the mean
    distance of their logarithms looks at what is quiet as well.

    Args:
        resolutions: of the spectra.
        floor: least magnitude that a logarithm is taken of, a full-scale sine being near `window / 4`.

    Shape:
        two signals `[B, S]`; returns the total, the mean over resolutions of both parts, and the parts.

    Example:
        >>> signal = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
        >>> total, parts = StftLoss()(0 * signal, signal)
        >>> round(parts["convergence"].item(), 2), StftLoss()(signal, signal)[0].item()
        (1.0, 0.0)
    """

    def __init__(self, *, resolutions: Sequence[StftResolution] = RESOLUTIONS, floor: float = 1e-4) -> None:
        super().__init__()
        self.resolutions, self.floor = tuple(resolutions), floor
        for number, resolution in enumerate(self.resolutions):
            self.register_buffer(f"hann_{number}", torch.hann_window(resolution.window), persistent=False)

    def _magnitude(self, signal: Tensor, number: int) -> Tensor:
        sizes = self.resolutions[number]
        frames = signal.unfold(-1, sizes.window, sizes.hop) * getattr(self, f"hann_{number}")
        spectrum = torch.view_as_real(torch.fft.rfft(frames, sizes.n_fft))
        # The root has no gradient at zero.
        return spectrum.square().sum(-1).clamp_min(self.floor**2).sqrt()

    def forward(self, estimate: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare estimate and target `[B, S]`, S at least the longest window; parts by name, detached."""
        convergence, magnitude = estimate.new_zeros(()), estimate.new_zeros(())
        for number in range(len(self.resolutions)):
            with torch.no_grad():
                wanted = self._magnitude(target, number)
            got = self._magnitude(estimate, number)
            norms = torch.linalg.vector_norm(got - wanted, dim=(1, 2)), torch.linalg.vector_norm(wanted, dim=(1, 2))
            convergence = convergence + (norms[0] / norms[1]).mean() / len(self.resolutions)
            magnitude = magnitude + (got.log() - wanted.log()).abs().mean() / len(self.resolutions)
        parts = {"convergence": convergence.detach(), "log_magnitude": magnitude.detach()}
        return convergence + magnitude, parts
