"""How published DAC files name their sizes and tensors: descript's releases, and the port in transformers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line

Layout = Literal["descript", "transformers"]
Pairs = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class DacShape:
    """The sizes of a DAC; the defaults are those of both implementations, for fields that a file leaves out.

    Attributes:
        encoder_dim: channels after the encoder's first convolution.
        encoder_rates: strides of its blocks.
        latent_dim: width of what is quantized; 0 for that of the encoder's last block.
        decoder_dim: channels after the decoder's first convolution.
        decoder_rates: strides of its blocks; empty for the encoder's in reverse.
        n_codebooks: K.
        codebook_size: V.
        codebook_dim: width of the search.
        quantizer_dropout: share of training items with fewer codebooks.

    Example:
        >>> DacShape().latent_dim, DacShape().decoder_rates, DacShape(encoder_rates=(2, 4, 5, 8)).hop_length
        (1024, (8, 8, 4, 2), 320)
    """

    encoder_dim: int = 64
    encoder_rates: tuple[int, ...] = (2, 4, 8, 8)
    latent_dim: int = 0
    decoder_dim: int = 1536
    decoder_rates: tuple[int, ...] = ()
    n_codebooks: int = 9
    codebook_size: int = 1024
    codebook_dim: int = 8
    quantizer_dropout: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoder_rates", tuple(self.encoder_rates))
        rates = tuple(self.decoder_rates) or self.encoder_rates[::-1]
        object.__setattr__(self, "decoder_rates", rates)
        object.__setattr__(self, "latent_dim", self.latent_dim or self.encoder_dim << len(self.encoder_rates))
        for name, value in dataclasses.asdict(self).items():
            numbers = value if isinstance(value, tuple) else (value,)
            whole = name == "quantizer_dropout" or all(type(number) is int and number > 0 for number in numbers)
            if not whole or not numbers:
                raise ValueError(f"{name} is {value!r}, not whole numbers above 0")
        if math.prod(rates) != self.hop_length or self.decoder_dim % (1 << len(rates)):
            raise ValueError(
                f"a decoder of {self.decoder_dim} channels and rates {rates} undoes no {self.encoder_rates}"
            )

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return math.prod(self.encoder_rates)


# Fields of transformers' config.json that have another name than in descript's metadata.
_TRANSFORMERS_FIELDS = {
    "encoder_hidden_size": "encoder_dim",
    "downsampling_ratios": "encoder_rates",
    "hidden_size": "latent_dim",
    "decoder_hidden_size": "decoder_dim",
    "upsampling_ratios": "decoder_rates",
}


def shape_of(fields: Mapping[str, Any]) -> DacShape:
    """Return the sizes that a configuration of either layout holds; other fields are left aside.

    Raises:
        ValueError: if a size is none.

    Example:
        >>> shape_of({"encoder_hidden_size": 16, "downsampling_ratios": [2, 4], "sampling_rate": 16000}).latent_dim
        64
    """
    named = {_TRANSFORMERS_FIELDS.get(name, name): value for name, value in fields.items()}
    known = {field.name: named[field.name] for field in dataclasses.fields(DacShape) if named.get(field.name)}
    # The first releases allow one width per codebook; all published weights have one for all.
    width = known.get("codebook_dim")
    if isinstance(width, list) and len(set(width)) == 1:
        known["codebook_dim"] = width[0]
    return DacShape(**known | {"quantizer_dropout": float(known.get("quantizer_dropout", 0.0))})


def sample_rate_of(fields: Mapping[str, Any], where: str) -> int:
    """Return the sample rate in Hz.

    Raises:
        CheckpointError: if the configuration does not say it.

    Example:
        >>> sample_rate_of({"sample_rate": 44100}, "weights.pth")
        44100
    """
    rate = fields.get("sample_rate", fields.get("sampling_rate"))
    if not isinstance(rate, int) or rate <= 0:
        raise CheckpointError(one_line(where, f"says sample rate {rate!r}", "get the published configuration"))
    return rate


def published_names(shape: DacShape, layout: Layout) -> dict[str, str]:
    """Return the name that every tensor of ours has in published files.

    Example:
        >>> published_names(DacShape(), "transformers")["encoder.blocks.1.2.body.1.weight"]
        'encoder.block.1.res_unit3.conv1.weight'
        >>> published_names(DacShape(), "descript")["encoder.blocks.1.2.body.1.weight"]
        'encoder.block.2.block.2.block.1.weight'
    """
    coders = _descript if layout == "descript" else _transformers
    return dict([*coders(len(shape.encoder_rates)), *_quantizer(shape.n_codebooks)])


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return published tensors in the shapes that ours have: single steps and alphas lose their axes of length 1.

    Example:
        >>> import torch
        >>> renamed({"decoder.snake1.alpha": torch.ones(1, 6, 1)})["decoder.snake1.alpha"].shape
        torch.Size([6])
    """
    return {name: _squeezed(name, value) for name, value in tensors.items()}


def _squeezed(name: str, value: Tensor) -> Tensor:
    if name.endswith(".alpha") and value.dim() == 3 and value.shape[0] == value.shape[2] == 1:
        return value[0, :, 0]
    if name.endswith("_proj.weight") and value.dim() == 3 and value.shape[2] == 1:
        return value[:, :, 0]
    return value


def _conv(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.weight", f"{theirs}.weight"
    yield f"{ours}.bias", f"{theirs}.bias"


def _snake(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.alpha", f"{theirs}.alpha"


def _unit(ours: str, parts: Sequence[str]) -> Pairs:
    for place, (kind, theirs) in enumerate(zip((_snake, _conv, _snake, _conv), parts, strict=True)):
        yield from kind(f"{ours}.body.{place}", theirs)


def _transformers(blocks: int) -> Pairs:
    layers = ("snake1", "conv1", "snake2", "conv2")
    for side in ("encoder", "decoder"):
        yield from _conv(f"{side}.entry", f"{side}.conv1")
        yield from _snake(f"{side}.snake", f"{side}.snake1")
        yield from _conv(f"{side}.exit", f"{side}.conv2")
        # An encoder's block ends with what a decoder's begins with.
        rescale, name, first = (3, "conv1", 0) if side == "encoder" else (0, "conv_t1", 2)
        for block in range(blocks):
            ours, theirs = f"{side}.blocks.{block}", f"{side}.block.{block}"
            yield from _snake(f"{ours}.{rescale}", f"{theirs}.snake1")
            yield from _conv(f"{ours}.{rescale + 1}", f"{theirs}.{name}")
            for unit in range(3):
                yield from _unit(f"{ours}.{first + unit}", [f"{theirs}.res_unit{unit + 1}.{layer}" for layer in layers])


def _descript(blocks: int) -> Pairs:
    for side, stem in (("encoder", "encoder.block"), ("decoder", "decoder.model")):
        yield from _conv(f"{side}.entry", f"{stem}.0")
        yield from _snake(f"{side}.snake", f"{stem}.{blocks + 1}")
        yield from _conv(f"{side}.exit", f"{stem}.{blocks + 2}")
        rescale, first = (3, 0) if side == "encoder" else (0, 2)
        for block in range(blocks):
            ours, theirs = f"{side}.blocks.{block}", f"{stem}.{block + 1}.block"
            yield from _snake(f"{ours}.{rescale}", f"{theirs}.{rescale}")
            yield from _conv(f"{ours}.{rescale + 1}", f"{theirs}.{rescale + 1}")
            for unit in range(first, first + 3):
                yield from _unit(f"{ours}.{unit}", [f"{theirs}.{unit}.block.{layer}" for layer in range(4)])


def _quantizer(codebooks: int) -> Pairs:
    for level in range(codebooks):
        ours, theirs = f"quantizer.levels.{level}", f"quantizer.quantizers.{level}"
        yield from _conv(f"{ours}.in_proj", f"{theirs}.in_proj")
        yield f"{ours}.codebook", f"{theirs}.codebook.weight"
        yield from _conv(f"{ours}.out_proj", f"{theirs}.out_proj")
