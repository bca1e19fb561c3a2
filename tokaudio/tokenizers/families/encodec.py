"""EnCodec (arXiv:2210.13438): a SEANet with an LSTM, and Euclidean residual codebooks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tokaudio import catalogue
from tokaudio.errors import CheckpointError, TokensError
from tokaudio.nn.seanet import SEANet, SEANetDecoder, SEANetEncoder
from tokaudio.quantizers import ResidualVectorQuantizer
from tokaudio.spec import Chunking, CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.families import encodec_files as files
from tokaudio.tokenizers.published import PublishedSource, build
from tokaudio.tokenizers.segment_codec import SegmentCodec


class EnCodec(SegmentCodec):
    """EnCodec at 24, 32 or 48 kHz.

    The causal model carries its state from block to block. The one at 32 kHz looks ahead by a few frames, which the
    blocks wait for; its LSTM runs forwards in time too, so that pieces give the codes of the whole. The one at 48 kHz
    codes segments of a second each alone.

    Example:
        >>> config = {"network": {"filters": 4, "dimension": 8, "causal": True}}
        >>> spec = TokenizerSpec("tiny", "compression", 24_000, 320, (CodebookSpec(16),) * 2)
        >>> quantizer = {"codebook_size": 16, "num_codebooks": 2}
        >>> codec = EnCodec.from_config({**config, "quantizer": quantizer, "spec": spec.to_dict()}).eval()
        >>> import torch
        >>> codec.encode(torch.zeros(24_000), 24_000).codes.shape
        torch.Size([1, 2, 75])
    """

    FAMILY = "encodec"
    TITLE = "EnCodec"

    def __init__(
        self,
        spec: TokenizerSpec,
        network: SEANet,
        *,
        codebook_size: int,
        num_codebooks: int,
        normalize: bool = False,
    ) -> None:
        """Make an untrained codec.

        Args:
            spec: its facts; hop, channels and codebooks must agree with the network.
            network: sizes of encoder and decoder.
            codebook_size: V of every codebook.
            num_codebooks: K.
            normalize: whether the segments of the spec are divided by a scale each.

        Raises:
            CheckpointError: if the parts do not agree.
        """
        quantizer = ResidualVectorQuantizer(network.dimension, codebook_size, num_codebooks=num_codebooks)
        super().__init__(spec, network.encoder(), quantizer, network.decoder())
        self.network, self.normalize = network, normalize
        if normalize and spec.segments is None:
            raise CheckpointError(f"{spec.name}: divides by a scale without segments; that is not supported")
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
            return cls(spec, network, normalize=bool(config.get("normalize", False)), **quantizer)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit EnCodec: {error}") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        network = dataclasses.asdict(self.network)
        quantizer = {"codebook_size": self.spec.codebook_sizes[0], "num_codebooks": self.spec.num_codebooks}
        return {"family": self.FAMILY, "network": network, "quantizer": quantizer, "normalize": self.normalize}

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
        published = source.tensors()
        names = files.our_names(published)
        found = files.sizes(source, {ours: published[theirs] for ours, theirs in names.items()})
        network = SEANet(**found["network"])
        try:
            spec = published_spec(source, network, found)
        except TokensError as error:
            raise CheckpointError(f"{source.path}: {error}") from error
        config = {**found, "spec": spec.to_dict()}
        tensors = {name: published[name] for name in names.values()}
        return build(lambda: cls.from_config(config), tensors, str(source.path), names=names)

    def encode_segments(self, blocks: list[Tensor]) -> list[Tensor]:
        """Return latents `[T, D]` of whole segments `[n, C]`, each as it would be alone."""
        assert isinstance(self.encoder, SEANetEncoder)
        return self.encoder.each_alone(blocks)

    def decode_segments(self, blocks: list[Tensor]) -> list[Tensor]:
        """Return samples `[n, C]` of whole segments of vectors `[T, D]`, each as it would be alone."""
        assert isinstance(self.decoder, SEANetDecoder)
        return self.decoder.each_alone(blocks)

    def padded_length(self, num_samples: int) -> int:
        """Return `num_samples`: every layer fills up its own last step, by reflection."""
        return num_samples


def published_spec(source: PublishedSource, network: SEANet, found: Mapping[str, Any]) -> TokenizerSpec:
    """Return the facts about published files: their sizes, and what is known about a repository of this name."""
    segment = found["segment"] or {"length": None, "stride": None}
    # Group norm over a whole signal needs all of it; over segments, it needs one.
    chunking: Chunking = "exact" if found["segment"] else "none" if network.norm == "group" else "state"
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
        chunking=chunking,
        licence=known.licence if known else "",
        paper=known.paper if known else "arXiv:2210.13438",
        origin=known.origin if known else "",
        segment_length=segment["length"],
        segment_stride=segment["stride"],
    )
