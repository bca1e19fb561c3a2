"""The body of the small spectral codecs: a compressed spectrum in, ConvNeXt at the frame rate, a spectrum out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralDecoder, SpectralEncoder, pad_context
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.spectral_codec import TILE, SpectralCodec, spectral_encoder
from tokaudio.training.bodies import About, Body, QuantizerChoice


class SpectralBody(Body):
    """Encoder and decoder of a [`SpectralCodec`][tokaudio.tokenizers.spectral_codec.SpectralCodec].

    Its options are `sample_rate` (16 kHz unless told otherwise) and the fields of `SpectralCodecShape`.

    Example:
        >>> import torch
        >>> body = SpectralBody.from_options({"latent_dim": 16})
        >>> latents = body.encode(torch.zeros(2, 3200))
        >>> latents.shape, body.decode(latents).shape
        (torch.Size([2, 16, 10]), torch.Size([2, 3200]))
    """

    def __init__(self, sample_rate: int, shape: SpectralCodecShape) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.dim, self.shape = sample_rate, shape.hop_length, shape.latent_dim, shape
        self.encoder: SpectralEncoder = spectral_encoder(shape, sample_rate)
        self.decoder: SpectralDecoder = SpectralDecoder(shape)

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Return the names of the options that a recipe may set."""
        return ("sample_rate", *(field.name for field in dataclasses.fields(SpectralCodecShape)))

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> SpectralBody:
        """Return an untrained body.

        Raises:
            CheckpointError: if the sizes cannot be put together.
        """
        sizes = dict(options)
        rate = sizes.pop("sample_rate", 16_000)
        shape = SpectralCodecShape(**sizes)
        try:
            if shape.hop_length % shape.subframes:
                raise ValueError(f"subframes must divide hop_length, got {shape.subframes} and {shape.hop_length}")
            return cls(rate, shape)
        except ValueError as error:
            raise CheckpointError(one_line("body 'spectral'", str(error), "change its sizes")) from error

    def encode(self, signal: Tensor) -> Tensor:
        """Return latents `[B, D, T]` of signals `[B, S]`."""
        latents: Tensor = self.encoder(pad_context(signal, self.encoder.context))
        return latents

    def decode(self, vectors: Tensor) -> Tensor:
        """Return float32 signals `[B, T * hop]` of vectors `[B, D, T]`."""
        signal: Tensor = self.decoder(vectors)
        return signal[:, self.decoder.context : signal.shape[1] - self.decoder.context]

    def untrained_tokenizer(
        self, quantizer: QuantizerChoice, sizes: tuple[CodebookSpec, ...], about: About
    ) -> SpectralCodec:
        """Return a spectral codec of the same networks.

        Raises:
            CheckpointError: if spans of the quantizer's codes do not fit into the codec's tiles.
        """
        if wrong := [book.stride for book in sizes if TILE % book.stride]:
            problem = f"a stride of {wrong[0]} does not divide the {TILE} frames that it encodes together"
            raise CheckpointError(one_line("body 'spectral'", problem, "choose strides such as 1, 2, 4, 5"))
        spec = TokenizerSpec(
            about.name,
            about.kind,
            self.sample_rate,
            self.hop_length,
            sizes,
            chunking="exact",
            licence=about.licence,
            origin=about.origin,
        )
        return SpectralCodec(spec, self.shape, quantizer.name, quantizer.options)
