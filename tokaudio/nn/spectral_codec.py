"""The networks of the small spectral tokenizers: a spectrum in, ConvNeXt at the frame rate, a spectrum out.

Each coarse frame of `hop_length` samples is made of `subframes` spectral frames, so that the networks run at the slow
token rate while windows stay short. Both networks have a finite receptive field, use no statistic of the whole
signal, and see silence before the start and after the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.convnext import ConvNeXtStack
from tokaudio.nn.spectral import MelSpectrum, PowerSpectrum, PowerSynthesis


@dataclass(frozen=True, slots=True)
class SpectralCodecShape:
    """The sizes of a spectral codec.

    Attributes:
        hop_length: samples per frame.
        subframes: spectral frames per frame; their hop is `hop_length / subframes` samples.
        n_fft: window length in samples.
        latent_dim: width of what is quantized.
        encoder_dim, encoder_blocks, encoder_expansion: of the encoder's ConvNeXt stack.
        decoder_dim, decoder_blocks, decoder_expansion: of the decoder's.
        kernel_size: of all convolutions over frames.
        power: exponent of the magnitudes.
        mels: mel energies that the encoder hears per spectral frame, as logarithms; 0 where it hears the compressed
            complex spectrum, as a codec must that keeps the waveform.
    """

    hop_length: int = 320
    subframes: int = 2
    n_fft: int = 640
    latent_dim: int = 64
    encoder_dim: int = 256
    encoder_blocks: int = 3
    encoder_expansion: float = 2.0
    decoder_dim: int = 320
    decoder_blocks: int = 4
    decoder_expansion: float = 2.0
    kernel_size: int = 7
    power: float = 0.5
    mels: int = 0


class SpectralEncoder(nn.Module):
    """Sound to latents.

    Args:
        shape: its sizes.
        filters: of mel energies `[shape.mels, n_fft // 2 + 1]`, where it hears these.

    Attributes:
        context: samples needed before the first and after the last frame.
        reach: frames that an output frame depends on, to each side.

    Shape:
        input `[B, T * hop_length + 2 * context]`, output `[B, D, T]`.

    Example:
        >>> import torch
        >>> encoder = SpectralEncoder(SpectralCodecShape())
        >>> encoder(torch.zeros(1, 10 * 320 + 2 * encoder.context)).shape
        torch.Size([1, 64, 10])
    """

    def __init__(self, shape: SpectralCodecShape, filters: Tensor | None = None) -> None:
        super().__init__()
        if (filters is None) == bool(shape.mels):
            raise ValueError(f"mel filters are needed where mel energies are heard, and only there; mels={shape.mels}")
        self.subframes = shape.subframes
        hop = shape.hop_length // shape.subframes
        self.spectrum: MelSpectrum | PowerSpectrum
        if filters is None:
            self.spectrum = PowerSpectrum(shape.n_fft, hop, shape.power)
        else:
            self.spectrum = MelSpectrum(filters, shape.n_fft, hop)
        self.stack = ConvNeXtStack(
            shape.subframes * (shape.mels or 2 * self.spectrum.num_bins),
            shape.encoder_dim,
            blocks=shape.encoder_blocks,
            expansion=shape.encoder_expansion,
            kernel_size=shape.kernel_size,
            entry_kernel_size=1,
        )
        self.out = nn.Linear(shape.encoder_dim, shape.latent_dim)
        self.context = self.spectrum.context
        self.reach = self.stack.reach

    def forward(self, signal: Tensor) -> Tensor:
        """Encode a signal that carries `context` extra samples on each side."""
        spectra = self.spectrum(signal)
        frames = spectra.unflatten(1, (-1, self.subframes)).flatten(2)
        latents: Tensor = self.out(self.stack(frames))
        return latents.transpose(1, 2)


class SpectralDecoder(nn.Module):
    """Quantized latents to sound.

    Attributes:
        context: samples at each end of the output that lack the contributions of neighbouring frames.
        reach: frames that an output sample depends on, to each side of its own frame.

    Shape:
        input `[B, D, T]`, output `[B, T * hop_length + 2 * context]`.

    Example:
        >>> import torch
        >>> decoder = SpectralDecoder(SpectralCodecShape())
        >>> decoder(torch.zeros(1, 64, 10)).shape[1] - 2 * decoder.context
        3200
    """

    def __init__(self, shape: SpectralCodecShape) -> None:
        super().__init__()
        self.subframes = shape.subframes
        self.synthesis = PowerSynthesis(shape.n_fft, shape.hop_length // shape.subframes, shape.power)
        self.stack = ConvNeXtStack(
            shape.latent_dim,
            shape.decoder_dim,
            blocks=shape.decoder_blocks,
            expansion=shape.decoder_expansion,
            kernel_size=shape.kernel_size,
            entry_kernel_size=shape.kernel_size,
        )
        self.out = nn.Linear(shape.decoder_dim, shape.subframes * 2 * self.synthesis.num_bins)
        nn.init.trunc_normal_(self.out.weight, std=0.1 * shape.decoder_dim**-0.5)
        self.context = self.synthesis.context
        self.reach = self.stack.reach + -(-self.context // shape.hop_length)

    def forward(self, quantized: Tensor) -> Tensor:
        """Decode vectors to a signal with `context` incomplete samples on each side."""
        # Whatever precision multiplies, the transform takes float32.
        spectra = self.out(self.stack(quantized.transpose(1, 2))).float()
        frames = spectra.unflatten(2, (self.subframes, -1)).flatten(1, 2)
        return self.synthesis(frames)


def pad_context(signal: Tensor, context: int) -> Tensor:
    """Surround signals `[B, S]` with `context` zeros."""
    return F.pad(signal, (context, context))
