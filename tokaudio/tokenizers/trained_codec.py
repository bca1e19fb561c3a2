"""A codec of SEANet's or DAC's networks with any quantizer: what trainings and fine-tunings of these end up in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokaudio.errors import CheckpointError
from tokaudio.nn.dac import DacDecoder, DacEncoder
from tokaudio.nn.seanet import SEANet
from tokaudio.quantizers import make_quantizer
from tokaudio.spec import TokenizerSpec
from tokaudio.tokenizers.building import require_frame
from tokaudio.tokenizers.codec import Codec


@dataclass(frozen=True, slots=True)
class DacNetwork:
    """Sizes of DAC's encoder and decoder (arXiv:2306.06546); by default those of its model at 16 kHz.

    Attributes:
        encoder_dim: channels after the encoder's first convolution; doubled at every stride.
        encoder_rates: strides of its blocks.
        latent_dim: width of the latents; 0 for that of the encoder's last block.
        decoder_dim: channels after the decoder's first convolution; halved at every stride.
        decoder_rates: strides of its blocks; empty for the encoder's in reverse.

    Example:
        >>> DacNetwork().hop_length, DacNetwork(encoder_dim=16, decoder_dim=128).dimension
        (320, 256)
    """

    encoder_dim: int = 64
    encoder_rates: tuple[int, ...] = (2, 4, 5, 8)
    latent_dim: int = 0
    decoder_dim: int = 1536
    decoder_rates: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse sizes that no network has, before anything is made."""
        object.__setattr__(self, "encoder_rates", tuple(self.encoder_rates))
        object.__setattr__(self, "decoder_rates", tuple(self.decoder_rates) or self.encoder_rates[::-1])
        sizes = (self.encoder_dim, self.decoder_dim, *self.encoder_rates, *self.decoder_rates)
        if not self.encoder_rates or not all(type(size) is int and size > 0 for size in sizes) or self.latent_dim < 0:
            raise ValueError("channels and rates must be whole numbers above 0")
        if math.prod(self.decoder_rates) != self.hop_length:
            raise ValueError(f"the rates multiply to {self.hop_length} and {math.prod(self.decoder_rates)}")
        if self.decoder_dim % (1 << len(self.decoder_rates)):
            raise ValueError(
                f"decoder_dim must be a multiple of {1 << len(self.decoder_rates)}, got {self.decoder_dim}"
            )

    @property
    def hop_length(self) -> int:
        """Samples per step of the latents."""
        return math.prod(self.encoder_rates)

    @property
    def dimension(self) -> int:
        """Width of the latents."""
        return self.latent_dim or self.encoder_dim << len(self.encoder_rates)

    def encoder(self) -> DacEncoder:
        """Return an untrained encoder `[B, 1, S]` to `[B, D, T]`."""
        return DacEncoder(self.encoder_dim, self.encoder_rates, self.dimension)

    def decoder(self) -> DacDecoder:
        """Return an untrained decoder `[B, D, T]` to `[B, 1, T * hop]`."""
        return DacDecoder(self.dimension, self.decoder_dim, self.decoder_rates, complete=True)


Network = SEANet | DacNetwork
NETWORKS: dict[str, type[SEANet] | type[DacNetwork]] = {"seanet": SEANet, "dac": DacNetwork}
"""Sizes of networks by name."""


class TrainedCodec(Codec):
    """The networks of EnCodec (`seanet`) or of DAC, and any quantizer by name.

    Example:
        >>> import torch
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("tiny", "compression", 8_000, 8, (CodebookSpec(16),) * 2, chunking="exact")
        >>> network = DacNetwork(encoder_dim=4, encoder_rates=(2, 4), decoder_dim=8)
        >>> codec = TrainedCodec(spec, network, "rvq", {"codebook_size": 16, "num_codebooks": 2}).eval()
        >>> codec.encode(torch.zeros(801), 8_000).codes.shape
        torch.Size([1, 2, 101])
    """

    FAMILY, TITLE = "trained-codec", "trained codec"

    def __init__(self, spec: TokenizerSpec, network: Network, quantizer: str, options: Mapping[str, Any]) -> None:
        """Make an untrained codec.

        Args:
            spec: its facts; hop and codebooks must agree with the parts.
            network: sizes of encoder and decoder.
            quantizer: name of the quantizer.
            options: its arguments besides `dim`.

        Raises:
            CheckpointError: if the parts do not agree.
            UnknownNameError: if no quantizer has this name.
        """
        parts = make_quantizer(quantizer, {"dim": network.dimension, **options})
        super().__init__(spec, network.encoder(), parts, network.decoder())
        self.network, self.quantizer_name, self.quantizer_options = network, quantizer, dict(options)
        require_frame(spec, network.hop_length)
        if isinstance(network, SEANet) and (network.norm != "none" or network.channels != 1):
            raise CheckpointError(f"{spec.name}: has group norm or several channels; only EnCodec itself can have them")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TrainedCodec:
        """Make an untrained codec from what `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or no size.
            UnknownNameError: if no quantizer has this name.
        """
        try:
            sizes, quantizer = dict(config["network"]), dict(config["quantizer"])
            network = NETWORKS[sizes.pop("name")](**sizes)
            return cls(TokenizerSpec.from_dict(config["spec"]), network, quantizer.pop("name"), quantizer)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"the configuration does not fit a {cls.TITLE}: {error}") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        name = next(name for name, kind in NETWORKS.items() if type(self.network) is kind)
        return {
            "family": self.FAMILY,
            "network": {"name": name, **dataclasses.asdict(self.network)},
            "quantizer": {"name": self.quantizer_name, **self.quantizer_options},
        }

    def padded_length(self, num_samples: int) -> int:
        """Return the samples that a signal is filled up to; layers of SEANet fill up their own last step."""
        return num_samples if isinstance(self.network, SEANet) else super().padded_length(num_samples)
