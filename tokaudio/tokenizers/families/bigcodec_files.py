"""How published BigCodec files name their tensors, and the sizes that follow from them.

Two layouts: the authors' `bigcodec.pt`, with `CodecEnc` and `generator` and no configuration, and the folder of the
`bigcodec` package on PyPI, with `encoder`, `decoder` and a `config.json`. Both hold the same nested lists of layers,
and the fixed filters of every activation.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.alias_free import kaiser_sinc
from tokaudio.tokenizers.families.fields import Fields

# Beginnings of the names of encoder and decoder, per layout.
LAYOUTS = {"official": ("CodecEnc.", "generator."), "hub": ("encoder.", "decoder.")}
_FILTERS = (".upsample.filter", ".downsample.lowpass.filter")
_FILTER_TOLERANCE = 1e-6
# No tensor tells them; every published model has these.
DILATIONS = (1, 3, 9)
Pairs = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class BigCodecShape:
    """The sizes of a BigCodec; the defaults are those of the published one.

    Attributes:
        encoder_dim: channels after the encoder's first convolution.
        decoder_dim: channels after the decoder's first convolution.
        strides: of the encoder's blocks; the decoder's are the same in reverse.
        dilations: of the residual units of each block.
        latent_dim: width of what is quantized.
        encoder_lstm_layers: LSTM layers in the encoder.
        decoder_lstm_layers: LSTM layers in the decoder.
        n_codebooks: K.
        codebook_size: V.
        codebook_dim: width of the search.

    Example:
        >>> BigCodecShape().hop_length
        200
    """

    encoder_dim: int = 48
    decoder_dim: int = 1536
    strides: tuple[int, ...] = (2, 2, 2, 5, 5)
    dilations: tuple[int, ...] = DILATIONS
    latent_dim: int = 1024
    encoder_lstm_layers: int = 2
    decoder_lstm_layers: int = 2
    n_codebooks: int = 1
    codebook_size: int = 8192
    codebook_dim: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "strides", tuple(self.strides))
        object.__setattr__(self, "dilations", tuple(self.dilations))
        for name, value in dataclasses.asdict(self).items():
            numbers = value if isinstance(value, tuple) else (value,)
            if not numbers or not all(type(number) is int and number > 0 for number in numbers):
                raise ValueError(f"{name} is {value!r}, not whole numbers above 0")
        if self.decoder_dim % (1 << len(self.strides)):
            raise ValueError(f"decoder_dim is {self.decoder_dim}, which {len(self.strides)} blocks cannot halve")

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        hop = 1
        for stride in self.strides:
            hop *= stride
        return hop


def layout_of(names: frozenset[str]) -> str | None:
    """Return the layout that names of tensors, weight norm folded, are of; None if they are of no BigCodec.

    Example:
        >>> names = ["CodecEnc.block.0.weight", "generator.quantizer.layers.0._codebook.weight"]
        >>> layout_of(frozenset(names))
        'official'
    """
    for layout, (encoder, decoder) in LAYOUTS.items():
        if {f"{encoder}block.0.weight", f"{decoder}quantizer.layers.0._codebook.weight"} <= names:
            return layout
    return None


def shape_of(tensors: Mapping[str, Tensor], layout: str, config: Mapping[str, Any] | None, where: str) -> BigCodecShape:
    """Return the sizes that tensors have; dilations come from the configuration, which must agree in all else.

    Raises:
        CheckpointError: if a tensor that tells a size is missing, or the configuration says another.
    """
    encoder, decoder = LAYOUTS[layout]
    size = _Sizes(tensors, where)
    blocks = _count(tensors, rf"{re.escape(encoder)}block\.(\d+)\.block\.0\.block\.1\.weight")
    if f"{encoder}block.{blocks + 1}.lstm.weight_ih_l0_reverse" in tensors:
        problem = "has an LSTM that runs in both directions, as no published BigCodec does"
        raise CheckpointError(one_line(where, problem, "get the published weights"))
    fields = Fields(config or {}, where) if layout == "hub" else None
    dilations = fields.wholes("dilations") if fields is not None else DILATIONS
    units = _count(tensors, rf"{re.escape(encoder)}block\.1\.block\.(\d+)\.block\.1\.weight")
    if len(dilations) != units:
        problem = f"has {units} residual units per block and {len(dilations)} dilations"
        raise CheckpointError(one_line(where, problem, "get the configuration that belongs to the weights"))
    down = f"{encoder}block.{{}}.block.{units + 1}.weight"
    try:
        shape = BigCodecShape(
            encoder_dim=size(f"{encoder}block.0.weight", 0),
            decoder_dim=size(f"{decoder}model.0.weight", 0),
            strides=tuple(size(down.format(block + 1), 2) // 2 for block in range(blocks)),
            dilations=dilations,
            latent_dim=size(f"{decoder}model.0.weight", 1),
            encoder_lstm_layers=_count(tensors, rf"{re.escape(encoder)}.*\.lstm\.weight_ih_l(\d+)"),
            decoder_lstm_layers=_count(tensors, rf"{re.escape(decoder)}.*\.lstm\.weight_ih_l(\d+)"),
            n_codebooks=_count(tensors, rf"{re.escape(decoder)}quantizer\.layers\.(\d+)\._codebook\.weight"),
            codebook_size=size(f"{decoder}quantizer.layers.0._codebook.weight", 0),
            codebook_dim=size(f"{decoder}quantizer.layers.0._codebook.weight", 1),
        )
    except ValueError as error:
        raise CheckpointError(one_line(where, f"has sizes of no BigCodec ({error})", "get an intact copy")) from error
    if fields is not None:
        _require_agreement(fields, shape)
    return shape


def published_names(shape: BigCodecShape, layout: str) -> dict[str, str]:
    """Return the name that every tensor of ours has in published files, filters left aside.

    Example:
        >>> names = published_names(BigCodecShape(), "official")
        >>> names["encoder.1.2.body.1.weight"], names["decoder.2.1.weight"]
        ('CodecEnc.block.1.block.2.block.1.weight', 'generator.model.2.block.1.weight')
    """
    encoder, decoder = LAYOUTS[layout]
    return dict([*_encoder(shape, f"{encoder}block"), *_decoder(shape, f"{decoder}model"), *_quantizer(shape, decoder)])


def without_filters(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the tensors without the fixed filters, which must be those that are computed here.

    Raises:
        CheckpointError: if a filter has other values.
    """
    wanted = kaiser_sinc()
    kept = {}
    for name, value in tensors.items():
        if not name.endswith(_FILTERS):
            kept[name] = value
        elif value.numel() != len(wanted) or not bool(
            ((value.detach().float().flatten() - wanted).abs() <= _FILTER_TOLERANCE).all()
        ):
            problem = f"holds another filter than BigCodec's in {name!r}"
            raise CheckpointError(one_line(where, problem, "get an intact copy"))
    return kept


class _Sizes:
    """Sizes of tensors by name and axis."""

    def __init__(self, tensors: Mapping[str, Tensor], where: str) -> None:
        self.tensors, self.where = tensors, where

    def __call__(self, name: str, axis: int) -> int:
        if name not in self.tensors:
            raise CheckpointError(one_line(self.where, f"lacks tensor {name!r}", "get an intact copy"))
        shape = self.tensors[name].shape
        if len(shape) <= axis:
            problem = f"tensor {name!r} has shape {list(shape)}, which has no axis {axis}"
            raise CheckpointError(one_line(self.where, problem, "get an intact copy"))
        return shape[axis]


def _count(names: Mapping[str, Tensor], pattern: str) -> int:
    """Return how many different numbers names have at one place."""
    found = (re.fullmatch(pattern, name) for name in names)
    return len({match[1] for match in found if match})


def _require_agreement(fields: Fields, shape: BigCodecShape) -> None:
    said: dict[str, int | Sequence[int]] = {
        "ngf": shape.encoder_dim,
        "up_ratios": shape.strides,
        "out_channels": shape.latent_dim,
        "codebook_size": shape.codebook_size,
        "vq_num_quantizers": shape.n_codebooks,
        "codebook_dim": shape.codebook_dim,
    }
    for name, ours in said.items():
        value = fields.whole(name) if isinstance(ours, int) else fields.wholes(name)
        if value != ours:
            problem = f"has {name} {value} in its configuration and {ours} in its tensors"
            raise CheckpointError(one_line(fields.where, problem, "get files that belong together"))


def _conv(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.weight", f"{theirs}.weight"
    yield f"{ours}.bias", f"{theirs}.bias"


def _snake(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.alpha", f"{theirs}.act.alpha"
    yield f"{ours}.beta", f"{theirs}.act.beta"


def _unit(ours: str, theirs: str) -> Pairs:
    for place, kind in enumerate((_snake, _conv, _snake, _conv)):
        yield from kind(f"{ours}.body.{place}", f"{theirs}.block.{place}")


def _lstm(ours: str, theirs: str, layers: int) -> Pairs:
    for layer in range(layers):
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            yield f"{ours}.lstm.{part}_l{layer}", f"{theirs}.lstm.{part}_l{layer}"


def _encoder(shape: BigCodecShape, stem: str) -> Pairs:
    blocks, units = len(shape.strides), len(shape.dilations)
    yield from _conv("encoder.0.0", f"{stem}.0")
    for block in range(1, blocks + 1):
        ours, theirs = f"encoder.{block}", f"{stem}.{block}.block"
        for unit in range(units):
            yield from _unit(f"{ours}.{unit}", f"{theirs}.{unit}")
        yield from _snake(f"{ours}.{units}", f"{theirs}.{units}")
        yield from _conv(f"{ours}.{units + 1}", f"{theirs}.{units + 1}")
    yield from _lstm(f"encoder.{blocks + 1}", f"{stem}.{blocks + 1}", shape.encoder_lstm_layers)
    yield from _snake(f"encoder.{blocks + 2}", f"{stem}.{blocks + 2}")
    yield from _conv(f"encoder.{blocks + 3}", f"{stem}.{blocks + 3}")


def _decoder(shape: BigCodecShape, stem: str) -> Pairs:
    blocks = len(shape.strides)
    yield from _conv("decoder.0", f"{stem}.0")
    yield from _lstm("decoder.1", f"{stem}.1", shape.decoder_lstm_layers)
    for block in range(2, blocks + 2):
        ours, theirs = f"decoder.{block}", f"{stem}.{block}.block"
        yield from _snake(f"{ours}.0", f"{theirs}.0")
        yield from _conv(f"{ours}.1", f"{theirs}.1")
        for unit in range(2, 2 + len(shape.dilations)):
            yield from _unit(f"{ours}.{unit}", f"{theirs}.{unit}")
    yield from _snake(f"decoder.{blocks + 2}.0", f"{stem}.{blocks + 2}")
    yield from _conv(f"decoder.{blocks + 2}.1", f"{stem}.{blocks + 3}")


def _quantizer(shape: BigCodecShape, decoder: str) -> Pairs:
    for level in range(shape.n_codebooks):
        ours, theirs = f"quantizer.levels.{level}", f"{decoder}quantizer.layers.{level}"
        yield from _conv(f"{ours}.in_proj", f"{theirs}.in_proj")
        yield f"{ours}.codebook", f"{theirs}._codebook.weight"
        yield from _conv(f"{ours}.out_proj", f"{theirs}.out_proj")
