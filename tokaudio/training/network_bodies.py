"""Bodies of SEANet's and of DAC's networks, so that codecs shaped like EnCodec and DAC can be trained.

They compute with plain differentiable layers; the fast paths of the same modules are for inference, and read what was
learned when a tokenizer is made of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.seanet import SEANet
from tokaudio.nn.weight_norm import add_weight_norm, fold_weight_norm
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.trained_codec import NETWORKS, Network, TrainedCodec
from tokaudio.training.bodies import About, Body, QuantizerChoice


class NetworkBody(Body):
    """Encoder and decoder from sizes; see `SEANetBody` and `DacBody`.

    Args:
        sample_rate: in Hz.
        network: the sizes.
        weight_norm: train convolutions as direction and length (arXiv:1602.07868), as published codecs were; what
            is saved has plain weights all the same.
    """

    NAME: ClassVar[str]
    RATE: ClassVar[int]
    PAPER: ClassVar[str]

    def __init__(self, sample_rate: int, network: Network, *, weight_norm: bool = False) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.dim = sample_rate, network.hop_length, network.dimension
        self.network, self.weight_norm = network, weight_norm
        self.encoder, self.decoder = network.encoder(), network.decoder()
        if weight_norm:
            add_weight_norm(self)

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Return the names of the options that a recipe may set."""
        return ("sample_rate", "weight_norm", *(field.name for field in dataclasses.fields(NETWORKS[cls.NAME])))

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> NetworkBody:
        """Return an untrained body.

        Raises:
            CheckpointError: if the sizes cannot be put together.
        """
        sizes = dict(options)
        rate, weight_norm = sizes.pop("sample_rate", cls.RATE), sizes.pop("weight_norm", False)
        try:
            network = NETWORKS[cls.NAME](**sizes)
            if isinstance(network, SEANet) and (network.norm != "none" or network.channels != 1):
                raise ValueError("group norm and several channels cannot be trained")
            return cls(rate, network, weight_norm=weight_norm)
        except (TypeError, ValueError) as error:
            raise CheckpointError(one_line(f"body {cls.NAME!r}", str(error), "change its sizes")) from error

    def encode(self, signal: Tensor) -> Tensor:
        """Return latents `[B, D, T]` of signals `[B, S]`."""
        latents: Tensor = self.encoder(signal[:, None])
        return latents

    def decode(self, vectors: Tensor) -> Tensor:
        """Return float32 signals `[B, T * hop]` of vectors `[B, D, T]`."""
        signal: Tensor = self.decoder(vectors)[:, 0].float()
        return F.pad(signal, (0, vectors.shape[-1] * self.hop_length - signal.shape[1]))

    def untrained_tokenizer(
        self, quantizer: QuantizerChoice, sizes: tuple[CodebookSpec, ...], about: About
    ) -> TrainedCodec:
        """Return a codec of the same networks."""
        spec = TokenizerSpec(
            about.name,
            about.kind,
            self.sample_rate,
            self.hop_length,
            sizes,
            causal=isinstance(self.network, SEANet) and self.network.causal,
            chunking="state" if isinstance(self.network, SEANet) else "exact",
            licence=about.licence,
            paper=self.PAPER,
            origin=about.origin,
        )
        return TrainedCodec(spec, self.network, quantizer.name, quantizer.options)

    def start_from(self, tokenizer: Tokenizer) -> None:
        """Copy the weights of a tokenizer of the same networks; make optimizers of this body after it.

        Raises:
            CheckpointError: if its networks are others.
        """
        fold_weight_norm(self)
        try:
            super().start_from(tokenizer)
        finally:
            if self.weight_norm:
                add_weight_norm(self)


class SEANetBody(NetworkBody):
    """The networks of EnCodec; options are `sample_rate`, `weight_norm` and the fields of `SEANet`.

    Example:
        >>> import torch
        >>> body = SEANetBody.from_options({"filters": 4, "dimension": 8, "ratios": (4, 2), "causal": True})
        >>> latents = body.encode(torch.zeros(2, 80))
        >>> latents.shape, body.decode(latents).shape
        (torch.Size([2, 8, 10]), torch.Size([2, 80]))
    """

    NAME, RATE, PAPER = "seanet", 24_000, "arXiv:2210.13438"


class DacBody(NetworkBody):
    """The networks of DAC; options are `sample_rate`, `weight_norm` and the fields of `DacNetwork`.

    Example:
        >>> import torch
        >>> body = DacBody.from_options({"encoder_dim": 4, "encoder_rates": (2, 5), "decoder_dim": 8})
        >>> latents = body.encode(torch.zeros(2, 80))
        >>> latents.shape, body.decode(latents).shape
        (torch.Size([2, 16, 8]), torch.Size([2, 80]))
    """

    NAME, RATE, PAPER = "dac", 16_000, "arXiv:2306.06546"
