"""The body of the banded codecs: per frequency band an encoder and a decoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.banded_codec import BandedCodecShape, BandedDecoder, BandedEncoder
from tokaudio.nn.spectral_codec import pad_context
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.banded_codec import BandedCodec
from tokaudio.training.bodies import About, Body, QuantizerChoice


class BandedBody(Body):
    """Encoder and decoder of a [`BandedCodec`][tokaudio.tokenizers.banded_codec.BandedCodec].

    Its options are `sample_rate` (16 kHz unless told otherwise) and the fields of `BandedCodecShape`.

    Example:
        >>> import torch
        >>> body = BandedBody.from_options({"latent_dim": 32})
        >>> latents = body.encode(torch.zeros(2, 3200))
        >>> latents.shape, body.decode(latents).shape
        (torch.Size([2, 32, 10]), torch.Size([2, 3200]))
    """

    def __init__(self, sample_rate: int, shape: BandedCodecShape) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.dim, self.shape = sample_rate, shape.hop_length, shape.latent_dim, shape
        self.encoder: BandedEncoder = BandedEncoder(shape, sample_rate)
        self.decoder: BandedDecoder = BandedDecoder(shape, sample_rate)

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Return the names of the options that a recipe may set."""
        return ("sample_rate", *(field.name for field in dataclasses.fields(BandedCodecShape)))

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> BandedBody:
        """Return an untrained body.

        Raises:
            CheckpointError: if the sizes cannot be put together.
        """
        sizes = dict(options)
        rate = sizes.pop("sample_rate", 16_000)
        shape = BandedCodecShape(**sizes)
        try:
            if shape.hop_length % shape.subframes:
                raise ValueError(f"subframes must divide hop_length, got {shape.subframes} and {shape.hop_length}")
            return cls(rate, shape)
        except ValueError as error:
            raise CheckpointError(one_line("body 'banded'", str(error), "change its sizes")) from error

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
    ) -> BandedCodec:
        """Return a banded codec of the same networks.

        Raises:
            CheckpointError: if the quantizer is not the banded one, with as many bands.
        """
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
        return BandedCodec(spec, self.shape, quantizer.name, quantizer.options)
