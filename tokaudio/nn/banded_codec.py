"""The networks of the banded codec: one small ConvNeXt encoder and decoder per frequency band, with nothing between.

The compressed spectrum is cut into bands of equal width on the mel scale. What an encoder sees of its band and what a
decoder writes into it are whole bins of a windowed transform: a band reaches into its neighbours by the window's
spectrum (Hann: four bins) and by nothing else.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tokaudio.nn.convnext import ConvNeXtStack
from tokaudio.nn.spectral import PowerSpectrum, PowerSynthesis
from tokaudio.nn.spectral_codec import SpectralCodecShape


@dataclass(frozen=True, slots=True)
class BandedCodecShape(SpectralCodecShape):
    """The sizes of a banded codec.

    Attributes:
        bands: frequency bands, of equal width in mel; `latent_dim` is shared out evenly among them, and all other
            sizes are each band's.
    """

    latent_dim: int = 128
    encoder_dim: int = 96
    decoder_dim: int = 128
    bands: int = 8


def band_edges(bands: int, num_bins: int, sample_rate: int) -> tuple[int, ...]:
    """Return the first bin of every band, and after the last one the number of bins.

    Bands are equally wide on the HTK mel scale (O'Shaughnessy 1987, p. 150).

    Raises:
        ValueError: if a band would have fewer than four bins.

    Example:
        >>> band_edges(4, 321, 16_000)
        (0, 25, 71, 157, 321)
    """
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    hertz = [700 * (10 ** (top * band / bands / 2595) - 1) for band in range(bands)]
    edges = (*(round(f * 2 * (num_bins - 1) / sample_rate) for f in hertz), num_bins)
    if bands < 1 or min(after - before for before, after in itertools.pairwise(edges)) < 4:
        raise ValueError(f"{bands} bands of {num_bins} bins leave some with fewer than four; take fewer bands")
    return edges


class BandedEncoder(nn.Module):
    """Sound to the sub-latents of all bands, each from its own band.

    Attributes:
        edges: first bin of every band, and the number of bins.
        context: samples needed before the first and after the last frame.
        reach: frames that an output frame depends on, to each side.

    Shape:
        input `[B, T * hop_length + 2 * context]`, output `[B, D, T]`, the lowest band's dimensions first.

    Example:
        >>> encoder = BandedEncoder(BandedCodecShape(), 16_000)
        >>> encoder(torch.zeros(1, 10 * 320 + 2 * encoder.context)).shape
        torch.Size([1, 128, 10])
    """

    def __init__(self, shape: BandedCodecShape, sample_rate: int) -> None:
        super().__init__()
        width = _width(shape)
        self.subframes = shape.subframes
        self.spectrum = PowerSpectrum(shape.n_fft, shape.hop_length // shape.subframes, shape.power)
        self.edges = band_edges(shape.bands, self.spectrum.num_bins, sample_rate)
        self.stacks = nn.ModuleList(
            ConvNeXtStack(
                shape.subframes * 2 * bins,
                shape.encoder_dim,
                blocks=shape.encoder_blocks,
                expansion=shape.encoder_expansion,
                kernel_size=shape.kernel_size,
                entry_kernel_size=1,
            )
            for bins in _widths(self.edges)
        )
        self.outs = nn.ModuleList(nn.Linear(shape.encoder_dim, width) for _ in range(shape.bands))
        self.context = self.spectrum.context
        self.reach = shape.encoder_blocks * (shape.kernel_size // 2)

    def forward(self, signal: Tensor) -> Tensor:
        """Encode a signal that carries `context` extra samples on each side."""
        spectra = self.spectrum(signal).unflatten(2, (2, self.spectrum.num_bins))
        pieces = spectra.split(_widths(self.edges), dim=3)
        latents = []
        for piece, stack, out in zip(pieces, self.stacks, self.outs, strict=True):
            frames = piece.unflatten(1, (-1, self.subframes)).flatten(2)
            latents.append(out(stack(frames)))
        return torch.cat(latents, dim=2).transpose(1, 2)


class BandedDecoder(nn.Module):
    """Quantized sub-latents to sound, each into its own band.

    Attributes:
        edges: first bin of every band, and the number of bins.
        context: samples at each end of the output that lack the contributions of neighbouring frames.
        reach: frames that an output sample depends on, to each side of its own frame.

    Shape:
        input `[B, D, T]`, output `[B, T * hop_length + 2 * context]`.

    Example:
        >>> decoder = BandedDecoder(BandedCodecShape(), 16_000)
        >>> decoder(torch.zeros(1, 128, 10)).shape[1] - 2 * decoder.context
        3200
    """

    def __init__(self, shape: BandedCodecShape, sample_rate: int) -> None:
        super().__init__()
        self.width, self.subframes = _width(shape), shape.subframes
        self.synthesis = PowerSynthesis(shape.n_fft, shape.hop_length // shape.subframes, shape.power)
        self.edges = band_edges(shape.bands, self.synthesis.num_bins, sample_rate)
        self.stacks = nn.ModuleList(
            ConvNeXtStack(
                self.width,
                shape.decoder_dim,
                blocks=shape.decoder_blocks,
                expansion=shape.decoder_expansion,
                kernel_size=shape.kernel_size,
                entry_kernel_size=shape.kernel_size,
            )
            for _ in range(shape.bands)
        )
        self.outs = nn.ModuleList(
            nn.Linear(shape.decoder_dim, shape.subframes * 2 * bins) for bins in _widths(self.edges)
        )
        for out in self.outs:
            nn.init.trunc_normal_(out.weight, std=0.1 * shape.decoder_dim**-0.5)  # type: ignore[arg-type]
        self.context = self.synthesis.context
        reach = shape.kernel_size // 2 * (1 + shape.decoder_blocks)
        self.reach = reach + -(-self.context // shape.hop_length)

    def forward(self, quantized: Tensor) -> Tensor:
        """Decode vectors to a signal with `context` incomplete samples on each side."""
        parts = quantized.transpose(1, 2).split(self.width, dim=2)
        spectra = []
        for part, stack, out in zip(parts, self.stacks, self.outs, strict=True):
            # Whatever precision multiplies, the transform takes float32.
            frames = out(stack(part.contiguous())).float()
            spectra.append(frames.unflatten(2, (self.subframes, 2, -1)).flatten(1, 2))
        return self.synthesis(torch.cat(spectra, dim=3).flatten(2))


def _width(shape: BandedCodecShape) -> int:
    if shape.latent_dim % shape.bands or shape.mels:
        raise ValueError(f"latent_dim must be a multiple of bands, and mels 0; got {shape.latent_dim}, {shape.bands}")
    return shape.latent_dim // shape.bands


def _widths(edges: tuple[int, ...]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(edges)]
