"""DAC, the Descript Audio Codec (Kumar et al. 2023, arXiv:2306.06546): 16, 24 and 44.1 kHz."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from tokaudio import catalogue
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.dac import DacDecoder, DacEncoder
from tokaudio.quantizers import FactorizedVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.building import require_frame
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokenizers.families.dac_files import (
    DacShape,
    Layout,
    published_names,
    renamed,
    sample_rate_of,
    shape_of,
)
from tokaudio.tokenizers.published import PublishedSource, build

# Only DAC has a Snake between the last block and the last convolution of the encoder; SNAC, named alike, has none.
_DESCRIPT = re.compile(r"encoder\.block\.\d+\.alpha")


class DAC(Codec):
    """Convolutions with Snake, and a factorised residual quantizer.

    The receptive field is finite: whole, chunked, batched and streamed runs give the same codes to the last bit.

    Example:
        >>> spec = TokenizerSpec("tiny", "compression", 8_000, 8, (CodebookSpec(16),) * 2, chunking="exact")
        >>> sizes = {"encoder_rates": (2, 4), "encoder_dim": 4, "decoder_dim": 8, "n_codebooks": 2}
        >>> codec = DAC(spec, DacShape(**sizes, codebook_size=16))
        >>> import torch
        >>> codec.encode(torch.zeros(801)).codes.shape
        torch.Size([1, 2, 101])
    """

    FAMILY, TITLE = "dac", "DAC"

    def __init__(self, spec: TokenizerSpec, shape: DacShape) -> None:
        """Make an untrained DAC.

        Raises:
            CheckpointError: if the spec and the sizes do not agree.
        """
        quantizer = FactorizedVectorQuantizer(
            shape.latent_dim,
            shape.codebook_size,
            num_codebooks=shape.n_codebooks,
            codebook_dim=shape.codebook_dim,
            dropout=shape.quantizer_dropout,
        )
        super().__init__(
            spec,
            DacEncoder(shape.encoder_dim, shape.encoder_rates, shape.latent_dim),
            quantizer,
            DacDecoder(shape.latent_dim, shape.decoder_dim, shape.decoder_rates),
        )
        self.shape = shape
        require_frame(spec, shape.hop_length)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DAC:
        """Make an untrained DAC from what our `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or no size.
        """
        try:
            return cls(TokenizerSpec.from_dict(config["spec"]), DacShape(**config["network"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit DAC: {error}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        return {"family": self.FAMILY, "network": dataclasses.asdict(self.shape)}

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the tensors have the names of either published layout."""
        return _layout(source) is not None

    @classmethod
    def from_published(cls, source: PublishedSource) -> DAC:
        """Make a DAC from a release file of descript, or from a folder of transformers.

        Raises:
            CheckpointError: if the configuration is missing, or a tensor missing, unknown, misshapen or non-finite.
        """
        layout = _layout(source)
        where = str(source.checkpoint().path)
        if layout is None:
            raise CheckpointError(one_line(where, "holds no DAC", "load it with Tokenizer.from_pretrained"))
        fields = _fields(source, layout)
        try:
            shape = shape_of(fields)
        except (TypeError, ValueError) as error:
            raise CheckpointError(one_line(where, f"has sizes of no DAC ({error})", "get an intact copy")) from error
        spec = spec_of(source, shape, sample_rate_of(fields, where))
        names, tensors = published_names(shape, layout), renamed(source.tensors())
        return build(lambda: cls(spec, shape), tensors, where, names=names)


def spec_of(source: PublishedSource, shape: DacShape, sample_rate: int) -> TokenizerSpec:
    """Return the facts about published weights; name, licence and origin only where it is known whose they are."""
    spec = TokenizerSpec(
        name=source.name,
        kind="compression",
        sample_rate=sample_rate,
        hop_length=shape.hop_length,
        codebooks=(CodebookSpec(shape.codebook_size),) * shape.n_codebooks,
        chunking="exact",
        paper="arXiv:2306.06546",
    )
    for known in catalogue.published():
        named = source.name in (known.name, known.repo) or source.path.name in known.originals
        if known.family != DAC.FAMILY or not named:
            continue
        rates = (known.spec.sample_rate, known.spec.hop_length, known.spec.codebook_sizes)
        if rates == (spec.sample_rate, spec.hop_length, spec.codebook_sizes):
            facts = known.spec
            return dataclasses.replace(spec, name=facts.name, licence=facts.licence, origin=facts.origin)
    return spec


def _layout(source: PublishedSource) -> Layout | None:
    names = source.names()
    if "quantizer.quantizers.0.in_proj.weight" not in names:
        return None
    if {"encoder.block.0.res_unit1.snake1.alpha", "decoder.block.0.conv_t1.weight"} <= names:
        return "transformers"
    if "decoder.model.0.weight" in names and any(map(_DESCRIPT.fullmatch, names)):
        return "descript"
    return None


def _fields(source: PublishedSource, layout: Layout) -> Mapping[str, Any]:
    """Return the published configuration: `config.json`, or what descript's files hold inside."""
    if layout == "transformers":
        fields, lacking = source.config, "config.json"
    else:
        inside = source.checkpoint().metadata.get("metadata")
        fields, lacking = inside.get("kwargs") if isinstance(inside, dict) else None, "metadata.kwargs"
    if not isinstance(fields, dict):
        path = source.checkpoint().path
        raise CheckpointError(one_line(path, f"has no configuration ({lacking})", "get the published files"))
    return fields
