"""NanoCodec (Casanova et al. 2025, arXiv:2508.05835): 12.5 or 21.5 frames a second, 4 to 13 groups of levels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.nanocodec import HiFiGAN, NanoDecoder, NanoEncoder
from tokaudio.quantizers import GroupedFiniteScalarQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.building import build
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokenizers.families.fields import known_facts
from tokaudio.tokenizers.families.nanocodec_files import MARKS, NanoSizes, our_tensors, published_names, sizes_of
from tokaudio.tokenizers.published import PublishedSource

_MARGIN = 1e-3


class NanoCodec(Codec):
    """Convolutions in branches side by side, and groups of dimensions that are rounded to a few levels.

    The groups do not build on each other: fewer codebooks mean that the dimensions of the others are zero. Everything
    has a finite field of view, so that pieces and batches give the codes of the whole.

    Example:
        >>> spec = TokenizerSpec("tiny", "compression", 8_000, 6, (CodebookSpec(12),) * 2)
        >>> sizes = {"latent_dim": 4, "rates": (2, 3), "base_channels": 4, "dilations": (1,)}
        >>> codec = NanoCodec(spec, HiFiGAN(**sizes), HiFiGAN(**sizes, causal=True), levels=(4, 3)).eval()
        >>> import torch
        >>> codec.encode(torch.zeros(600)).codes.shape
        torch.Size([1, 2, 100])
    """

    FAMILY, TITLE = "nanocodec", "NanoCodec"
    # Longer than elsewhere: at 88 steps a second, two seconds use the widest weights too little.
    block_seconds = 4.0

    def __init__(
        self,
        spec: TokenizerSpec,
        encoder: HiFiGAN,
        decoder: HiFiGAN,
        *,
        levels: Sequence[int],
        margin: float = _MARGIN,
    ) -> None:
        """Make an untrained NanoCodec.

        Args:
            spec: its facts; hop, channels and codebooks must agree with the networks.
            encoder: sizes.
            decoder: sizes.
            levels: of the dimensions of each group; there are as many groups as codebooks.
            margin: see `GroupedFiniteScalarQuantizer`, whose bounds are the inner ones here.

        Raises:
            CheckpointError: if the parts do not agree.
        """
        quantizer = GroupedFiniteScalarQuantizer(
            levels, num_codebooks=spec.num_codebooks, bounds="inside", margin=margin
        )
        super().__init__(spec, NanoEncoder(encoder), quantizer, NanoDecoder(decoder))
        self.encoder_sizes, self.decoder_sizes, self.margin = encoder, decoder, margin
        decoded = spec.hop_length * spec.output_sample_rate / spec.sample_rate
        for name, facts, parts in (
            ("hop_length", spec.hop_length, math.prod(encoder.rates)),
            ("hop_length of decoded audio", decoded, math.prod(decoder.rates)),
            ("channels", spec.channels, 1),
            ("latent width", quantizer.dim, encoder.latent_dim),
            ("latent width", quantizer.dim, decoder.latent_dim),
        ):
            if facts != parts:
                raise CheckpointError(f"{spec.name}: {name} is {facts:g} in one part and {parts} in the network")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> NanoCodec:
        """Make an untrained NanoCodec from what our `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or no size.
        """
        try:
            spec, levels = TokenizerSpec.from_dict(config["spec"]), tuple(config["levels"])
            sizes = HiFiGAN(**config["encoder"]), HiFiGAN(**config["decoder"])
            return cls(spec, *sizes, levels=levels, margin=config.get("margin", _MARGIN))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit NanoCodec: {error}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        quantizer = self.quantizer
        assert isinstance(quantizer, GroupedFiniteScalarQuantizer)
        return {
            "family": self.FAMILY,
            "encoder": dataclasses.asdict(self.encoder_sizes),
            "decoder": dataclasses.asdict(self.decoder_sizes),
            "levels": quantizer.levels,
            "margin": self.margin,
        }

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the tensors have NVIDIA's names."""
        return source.names() >= MARKS

    @classmethod
    def from_published(cls, source: PublishedSource) -> NanoCodec:
        """Make a NanoCodec from a `.nemo` archive, or from weights next to its `model_config.yaml`.

        Raises:
            CheckpointError: if the configuration is missing, or a tensor missing, unknown, misshapen or non-finite.
        """
        where = str(source.checkpoint().path)
        if not cls.recognises(source):
            raise CheckpointError(one_line(where, "holds no NanoCodec", "load it with Tokenizer.from_pretrained"))
        sizes = sizes_of(source, where)
        spec = spec_of(source, sizes)

        def make() -> NanoCodec:
            return cls(spec, sizes.encoder, sizes.decoder, levels=sizes.levels, margin=sizes.margin)

        names, tensors = published_names(sizes.encoder, sizes.decoder), our_tensors(source, sizes, where)
        return build(make, tensors, where, names=names)


def spec_of(source: PublishedSource, sizes: NanoSizes) -> TokenizerSpec:
    """Return the facts about published weights; name, licence and origin only where it is known whose they are."""
    facts = known_facts(source.name)
    other_rate = sizes.output_sample_rate != sizes.sample_rate
    return TokenizerSpec(
        name=facts.name,
        kind="compression",
        sample_rate=sizes.sample_rate,
        hop_length=math.prod(sizes.encoder.rates),
        codebooks=(CodebookSpec(math.prod(sizes.levels)),) * sizes.groups,
        decode_sample_rate=sizes.output_sample_rate if other_rate else None,
        causal=sizes.encoder.causal,
        chunking="exact",
        licence=facts.licence,
        paper=facts.paper or "arXiv:2508.05835",
        origin=facts.origin,
    )
