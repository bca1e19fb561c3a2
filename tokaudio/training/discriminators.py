"""Discriminators of waveforms and of complex spectra, which tell a generator what a spectral distance cannot see.

- Multi-period: the waveform folded at several prime periods (HiFi-GAN, arXiv:2010.05646, section 2.3).
- Multi-resolution: real and imaginary parts of spectra of several window lengths (EnCodec, arXiv:2210.13438, section
  3.4), each band of frequencies with filters of its own (DAC, arXiv:2306.06546, section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

_SLOPE = 0.1
# Below it, compressed spectra are linear: the gradient of a root has no bound at zero.
_LEAST_ENERGY = 1e-8
# DAC's bands, as shares of the highest frequency: narrow ones below, where speech has its harmonics.
_BANDS = ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))


class Judgement(NamedTuple):
    """What one discriminator says of a batch.

    Attributes:
        score: one number per patch, high for what it takes for real: `[B, ...]`.
        features: what its layers saw, in order; the first axis is B or a multiple of it.
    """

    score: Tensor
    features: list[Tensor]


@dataclass(frozen=True, slots=True)
class DiscriminatorSizes:
    """Sizes of a set of discriminators: of the papers by default, for full-band models on an accelerator.

    Attributes:
        periods: of the multi-period discriminators, in samples; none for no such discriminator.
        period_channels: channels of their layers; each but the last keeps one step of three.
        windows: window lengths of the spectral discriminators, in samples.
        overlap: how many windows lie over each sample.
        spectrum_channels: channels of all their layers.
        bands: shares of the spectrum that have filters of their own; one band for EnCodec's discriminator.
        dilations: over time, of their strided layers.
        power: exponent of the magnitudes that they see; below 1, what is quiet is seen as well, and learnt sooner.

    Example:
        >>> DiscriminatorSizes.small().periods
        (2, 3, 5)
    """

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    period_channels: tuple[int, ...] = (32, 128, 512, 1024, 1024)
    windows: tuple[int, ...] = (2048, 1024, 512)
    overlap: int = 4
    spectrum_channels: int = 32
    bands: tuple[tuple[float, float], ...] = _BANDS
    dilations: tuple[int, ...] = (1, 1, 1)
    power: float = 1.0

    def __post_init__(self) -> None:
        """Refuse sizes that no discriminator has."""
        if not self.periods and not self.windows:
            raise ValueError("there are neither periods nor windows; give at least one")
        if (
            not self.period_channels
            or min((*self.periods, *self.period_channels, self.spectrum_channels, self.overlap)) < 1
        ):
            raise ValueError("periods, channels and overlap must be 1 or more")
        if any(window < 16 for window in self.windows):
            raise ValueError(f"windows must be 16 samples or more, got {self.windows}")
        if not all(0 <= low < high <= 1 for low, high in self.bands):
            raise ValueError(f"bands must ascend between 0 and 1, got {self.bands}")
        if not 0 < self.power <= 1:
            raise ValueError(f"the power must be above 0 and at most 1, got {self.power}")

    @classmethod
    def small(cls) -> DiscriminatorSizes:
        """Return sizes for speech at 16 kHz on a CPU: 0.2 M parameters in place of 42 M."""
        return cls(
            periods=(2, 3, 5),
            period_channels=(16, 32, 64, 128),
            windows=(512, 256),
            overlap=2,
            spectrum_channels=8,
            bands=((0.0, 0.25), (0.25, 1.0)),
            power=0.3,
        )


class Discriminators(nn.Module):
    """All discriminators of a set, asked about the same signals.

    Args:
        sizes: which ones.

    Shape:
        input `[B, S]`; one judgement per period, then one per window.

    Example:
        >>> judges = Discriminators(DiscriminatorSizes.small())
        >>> [tuple(score.shape) for score, _ in judges(torch.zeros(2, 1600))][:2]
        [(2, 2, 30), (2, 3, 20)]
    """

    def __init__(self, sizes: DiscriminatorSizes = DiscriminatorSizes()) -> None:
        super().__init__()
        self.sizes = sizes
        self.periods = nn.ModuleList(PeriodDiscriminator(p, sizes.period_channels) for p in sizes.periods)
        self.spectra = nn.ModuleList(
            SpectrumDiscriminator(
                window,
                sizes.spectrum_channels,
                overlap=sizes.overlap,
                bands=sizes.bands,
                dilations=sizes.dilations,
                power=sizes.power,
            )
            for window in sizes.windows
        )

    def forward(self, signal: Tensor) -> list[Judgement]:
        """Judge signals `[B, S]`.

        Raises:
            ValueError: if they have another rank, or are shorter than a window.
        """
        if signal.ndim != 2:
            raise ValueError(f"signals are {list(signal.shape)}; give [B, S]")
        shortest = max((*self.sizes.windows, 2 * max(self.sizes.periods, default=1)))
        if signal.shape[1] < shortest:
            raise ValueError(f"signals have {signal.shape[1]} samples; the discriminators need {shortest} or more")
        return [judge(signal) for judge in (*self.periods, *self.spectra)]


class PeriodDiscriminator(nn.Module):
    """Sees every p-th sample: p interleaved signals, all judged with the same filters.

    Args:
        period: p, in samples.
        channels: of the layers; each but the last keeps one step of three.

    Shape:
        input `[B, S]`; score `[B, p, T]`, features `[B * p, C, T]`.

    Example:
        >>> judgement = PeriodDiscriminator(3, (4, 8))(torch.zeros(2, 90))
        >>> judgement.score.shape, [tuple(map.shape) for map in judgement.features]
        (torch.Size([2, 3, 10]), [(6, 4, 10), (6, 8, 10)])
    """

    def __init__(self, period: int, channels: Sequence[int] = (32, 128, 512, 1024, 1024)) -> None:
        super().__init__()
        self.period = period
        self.layers = nn.ModuleList()
        for number, (inputs, outputs) in enumerate(zip((1, *channels), channels, strict=False), 1):
            stride = 1 if number == len(channels) else 3
            self.layers.append(weight_norm(nn.Conv1d(inputs, outputs, 5, stride=stride, padding=2)))
        self.score = weight_norm(nn.Conv1d(channels[-1], 1, 3, padding=1))

    def forward(self, signal: Tensor) -> Judgement:
        """Judge signals `[B, S]`."""
        signal = F.pad(signal[:, None], (0, -signal.shape[1] % self.period), mode="reflect")[:, 0]
        # The interleaved signals do not meet: folded into the batch, a layer of taps 5 x 1 has one axis.
        steps = signal.unflatten(1, (-1, self.period)).transpose(1, 2).reshape(-1, 1, signal.shape[1] // self.period)
        features = []
        for layer in self.layers:
            steps = F.leaky_relu(layer(steps), _SLOPE)
            features.append(steps)
        score: Tensor = self.score(steps)
        return Judgement(score[:, 0].unflatten(0, (-1, self.period)), features)


class SpectrumDiscriminator(nn.Module):
    """Sees the real and imaginary parts of a spectrogram, band by band.

    Args:
        window: in samples, of Hann.
        channels: of all layers.
        overlap: how many windows lie over each sample.
        bands: shares of the spectrum that have filters of their own.
        dilations: over time, of the layers that keep every second frequency (EnCodec: 1, 2, 4).
        power: exponent of the magnitudes.

    Shape:
        input `[B, S]`; score `[B, T, F]`, features `[B, channels, T, F]`.

    Example:
        >>> judge = SpectrumDiscriminator(64, 4, bands=((0, 1),), dilations=(1, 2))
        >>> judgement = judge(torch.zeros(2, 400))
        >>> judgement.score.shape, len(judgement.features)
        (torch.Size([2, 26, 9]), 4)
    """

    hann: Tensor

    def __init__(
        self,
        window: int,
        channels: int = 32,
        *,
        overlap: int = 4,
        bands: Sequence[tuple[float, float]] = _BANDS,
        dilations: Sequence[int] = (1, 1, 1),
        power: float = 1.0,
    ) -> None:
        super().__init__()
        self.window, self.hop, self.power = window, max(1, window // overlap), power
        self.register_buffer("hann", torch.hann_window(window), persistent=False)
        count = window // 2 + 1
        self.edges = [(round(low * count), max(round(low * count) + 1, round(high * count))) for low, high in bands]
        self.bands = nn.ModuleList(_band(channels, dilations) for _ in bands)
        self.score = weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def spectrum(self, signal: Tensor) -> Tensor:
        """Return real and imaginary parts `[B, 2, T, F]`, magnitudes compressed; else white noise has power 1."""
        frames = signal.unfold(-1, self.window, self.hop) * self.hann
        spectrum = torch.fft.rfft(frames) / self.hann.square().sum().sqrt()
        parts = torch.view_as_real(spectrum).permute(0, 3, 1, 2)
        if self.power == 1:
            return parts
        energy = parts.square().sum(1, keepdim=True) + _LEAST_ENERGY
        return parts * energy.pow((self.power - 1) / 2)

    def forward(self, signal: Tensor) -> Judgement:
        """Judge signals `[B, S]`."""
        edge = self.window // 2
        spectrum = self.spectrum(F.pad(signal[:, None], (edge, edge), mode="reflect")[:, 0])
        features, ends = [], []
        for (low, high), layers in zip(self.edges, self.bands, strict=True):
            part = spectrum[..., low:high]
            assert isinstance(layers, nn.ModuleList)
            for layer in layers:
                part = F.leaky_relu(layer(part), _SLOPE)
                features.append(part)
            ends.append(part)
        score: Tensor = self.score(torch.cat(ends, dim=-1))
        return Judgement(score[:, 0], features)


def _band(channels: int, dilations: Sequence[int]) -> nn.ModuleList:
    """Return the layers of one band: the first and the last keep all frequencies, those between every second one."""
    layers = [nn.Conv2d(2, channels, (3, 9), padding=(1, 4))]
    for dilation in dilations:
        spread, edges = (dilation, 1), (dilation, 4)
        layers.append(nn.Conv2d(channels, channels, (3, 9), stride=(1, 2), dilation=spread, padding=edges))
    layers.append(nn.Conv2d(channels, channels, 3, padding=1))
    return nn.ModuleList(weight_norm(layer) for layer in layers)
