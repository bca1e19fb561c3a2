"""EnCodec (arXiv:2210.13438): a SEANet with an LSTM, and Euclidean residual codebooks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tokaudio import catalogue
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.seanet import SEANet
from tokaudio.quantizers import ResidualVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokenizers.families import encodec_files as files
from tokaudio.tokenizers.published import PublishedSource, build


class EnCodec(Codec):
    """EnCodec at 24, 32 or 48 kHz.

    The causal model carries its state from block to block. The others look ahead by a few frames, which the blocks
    wait for; their LSTM runs forwards in time too, so that pieces give the codes of the whole.

    Example:
        >>> config = {"network": {"filters": 4, "dimension": 8, "causal": True}, "segment": None, "normalize": False}
        >>> spec = TokenizerSpec("tiny", "compression", 24_000, 320, (CodebookSpec(16),) * 2)
        >>> quantizer = {"codebook_size": 16, "num_codebooks": 2}
        >>> codec = EnCodec.from_config({**config, "quantizer": quantizer, "spec": spec.to_dict()}).eval()
        >>> import torch
        >>> codec.encode(torch.zeros(24_000), 24_000).codes.shape
        torch.Size([1, 2, 75])
    """

    FAMILY = "encodec"
    TITLE = "EnCodec"

    def __init__(self, spec: TokenizerSpec, network: SEANet, *, codebook_size: int, num_codebooks: int) -> None:
        """Make an untrained codec.

        Args:
            spec: its facts; hop, channels and codebooks must agree with the network.
            network: sizes of encoder and decoder.
            codebook_size: V of every codebook.
            num_codebooks: K.

        Raises:
            CheckpointError: if the parts do not agree.
        """
        quantizer = ResidualVectorQuantizer(network.dimension, codebook_size, num_codebooks=num_codebooks)
        super().__init__(spec, network.encoder(), quantizer, network.decoder())
        self.network = network
        for name, facts, parts in (
            ("hop_length", spec.hop_length, network.hop_length),
            ("channels", spec.channels, network.channels),
        ):
            if facts != parts:
                raise CheckpointError(f"{spec.name}: {name} is {facts} in the spec and {parts} in the network")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> EnCodec:
        """Make an untrained codec from what `config.json` holds.

        Raises:
            CheckpointError: if a field is missing or unknown.
        """
        try:
            network = SEANet(**config["network"])
            quantizer = dict(config["quantizer"])
            spec = TokenizerSpec.from_dict(config["spec"])
            return cls(spec, network, **quantizer)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit EnCodec: {error}") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        network = dataclasses.asdict(self.network)
        quantizer = {"codebook_size": self.spec.codebook_sizes[0], "num_codebooks": self.spec.num_codebooks}
        return {"family": self.FAMILY, "network": network, "quantizer": quantizer}

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether files are of EnCodec."""
        return files.is_encodec(source)

    @classmethod
    def from_published(cls, source: PublishedSource) -> EnCodec:
        """Load the files of transformers, or those of the first release.

        Raises:
            CheckpointError: if a tensor is missing, unknown, misshapen or non-finite, or the sizes do not fit.
        """
        tensors = files.our_tensors(source)
        found = files.sizes(source, tensors)
        if found["segment"] or found["normalize"]:
            problem = "codes segments with a scale each, as EnCodec at 48 kHz does"
            raise CheckpointError(one_line(source.path, problem, "this is not supported yet; take 24 or 32 kHz"))
        network = SEANet(**found["network"])
        config = {**found, "spec": published_spec(source, network, found).to_dict()}
        return build(lambda: cls.from_config(config), tensors, str(source.path))

    def padded_length(self, num_samples: int) -> int:
        """Return `num_samples`: every layer fills up its own last step, by reflection."""
        return num_samples


def published_spec(source: PublishedSource, network: SEANet, found: Mapping[str, Any]) -> TokenizerSpec:
    """Return the facts about published files: their sizes, and what is known about a repository of this name."""
    entry = catalogue.find(source.name)
    known = entry.spec if entry is not None and entry.family == EnCodec.FAMILY else None
    return TokenizerSpec(
        name=known.name if known else source.name,
        kind="compression",
        sample_rate=found["sample_rate"],
        hop_length=network.hop_length,
        codebooks=(CodebookSpec(found["quantizer"]["codebook_size"]),) * found["quantizer"]["num_codebooks"],
        channels=network.channels,
        causal=network.causal,
        chunking="state",
        licence=known.licence if known else "",
        paper=known.paper if known else "arXiv:2210.13438",
        origin=known.origin if known else "",
    )
