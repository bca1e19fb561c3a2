"""What bodies share whose networks work on frames of a spectrum: sizes in one shape, and context at the ends."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.banded_codec import BandedDecoder, BandedEncoder
from tokaudio.nn.spectral_codec import SpectralDecoder, SpectralEncoder, pad_context
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.training.bodies import About, Body

Encoder = SpectralEncoder | BandedEncoder
Decoder = SpectralDecoder | BandedDecoder


class FramewiseBody(Body):
    """Encoder and decoder made of a shape and a sample rate.

    Its options are `sample_rate` (16 kHz unless told otherwise) and the fields of the shape.

    Attributes:
        NAME: of the body.
        SHAPE: class of the shape.
        shape: the sizes.

    Example:
        >>> from tokaudio.training.spectral_body import SpectralBody
        >>> issubclass(SpectralBody, FramewiseBody)
        True
    """

    NAME: ClassVar[str]
    SHAPE: ClassVar[type[Any]]
    shape: Any
    encoder: Encoder
    decoder: Decoder

    def __init__(self, sample_rate: int, shape: Any) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.dim, self.shape = sample_rate, shape.hop_length, shape.latent_dim, shape
        self.encoder, self.decoder = self.networks()

    @abstractmethod
    def networks(self) -> tuple[Encoder, Decoder]:
        """Return an untrained encoder and decoder of the shape."""

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Return the names of the options that a recipe may set."""
        return ("sample_rate", *(field.name for field in dataclasses.fields(cls.SHAPE)))

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Return an untrained body.

        Raises:
            CheckpointError: if the sizes cannot be put together.
        """
        sizes = dict(options)
        rate = sizes.pop("sample_rate", 16_000)
        shape = cls.SHAPE(**sizes)
        try:
            if shape.hop_length % shape.subframes:
                raise ValueError(f"subframes must divide hop_length, got {shape.subframes} and {shape.hop_length}")
            return cls(rate, shape)
        except ValueError as error:
            raise CheckpointError(one_line(f"body {cls.NAME!r}", str(error), "change its sizes")) from error

    def encode(self, signal: Tensor) -> Tensor:
        """Return latents `[B, D, T]` of signals `[B, S]`."""
        latents: Tensor = self.encoder(pad_context(signal, self.encoder.context))
        return latents

    def decode(self, vectors: Tensor) -> Tensor:
        """Return float32 signals `[B, T * hop]` of vectors `[B, D, T]`."""
        signal: Tensor = self.decoder(vectors)
        return signal[:, self.decoder.context : signal.shape[1] - self.decoder.context]

    def spec(self, sizes: tuple[CodebookSpec, ...], about: About) -> TokenizerSpec:
        """Return the facts of a tokenizer of these networks."""
        return TokenizerSpec(
            about.name,
            about.kind,
            self.sample_rate,
            self.hop_length,
            sizes,
            chunking="exact",
            licence=about.licence,
            origin=about.origin,
        )
