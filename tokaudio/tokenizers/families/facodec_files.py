"""How the published files of FACodec name their tensors, and the sizes that follow from them.

Two files: `ns3_facodec_encoder.bin` and `ns3_facodec_decoder.bin`, which also holds the quantizers, the timbre
extractor, and predictors that only training needs. There is no configuration.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.timbre import first_position
from tokaudio.tokenizers.families.bigcodec_files import without_filters
from tokaudio.tokenizers.published import PublishedSource

ENCODER, DECODER = "ns3_facodec_encoder", "ns3_facodec_decoder"
# Beginnings of what only training needs: predictors of pitch, phones and speakers.
TRAINING = (
    "f0_predictor.",
    "phone_predictor.",
    "res_f0_predictor.",
    "res_phone_predictor.",
    "content_f0_predictor.",
    "prosody_phone_predictor.",
    "x_timbre_predictor.",
)
_POSITIONS = "timbre_encoder.position_emb.pe"
# No tensor tells them; the published model has these.
_DILATIONS, _HEADS = (1, 3, 9), 4
_TELLING = {"timbre_linear.weight", "model.0.weight", "quantizer.0.layers.0._codebook.weight"}
Pairs = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class FACodecShape:
    """The sizes of a FACodec; the defaults are those of the published one.

    Attributes:
        encoder_dim: channels after the encoder's first convolution.
        decoder_dim: channels after the decoder's first convolution.
        strides: of the encoder's blocks; the decoder's are the same in reverse.
        latent_dim: width of what is quantized, and of a voice.
        counts: codebooks of prosody, content and detail.
        sizes: V of the codebooks of prosody, content and detail.
        codebook_dim: width of the search.
        timbre_layers: layers of the timbre extractor.
        timbre_heads: heads of its attention.
        timbre_hidden: width of its convolutions.
        timbre_kernel: their taps.

    Example:
        >>> FACodecShape().hop_length
        200
    """

    encoder_dim: int = 32
    decoder_dim: int = 1024
    strides: tuple[int, ...] = (2, 4, 5, 5)
    latent_dim: int = 256
    counts: tuple[int, ...] = (1, 2, 3)
    sizes: tuple[int, ...] = (1024, 1024, 1024)
    codebook_dim: int = 8
    timbre_layers: int = 4
    timbre_heads: int = _HEADS
    timbre_hidden: int = 1024
    timbre_kernel: int = 5

    def __post_init__(self) -> None:
        for name in ("strides", "counts", "sizes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, value in dataclasses.asdict(self).items():
            numbers = value if isinstance(value, tuple) else (value,)
            if not numbers or not all(type(number) is int and number > 0 for number in numbers):
                raise ValueError(f"{name} is {value!r}, not whole numbers above 0")
        if not len(self.counts) == len(self.sizes) == 3:
            raise ValueError(f"counts are {self.counts} and sizes {self.sizes}; there are three kinds of codebooks")
        if self.decoder_dim % (1 << len(self.strides)):
            raise ValueError(f"decoder_dim is {self.decoder_dim}, which {len(self.strides)} blocks cannot halve")

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return math.prod(self.strides)


def files_of(source: PublishedSource) -> tuple[PublishedSource, PublishedSource] | None:
    """Return the encoder's and the decoder's file; None if they are not both there.

    Given one of the two, the other is looked for beside it.
    """
    folder, found = source.path if source.path.is_dir() else source.path.parent, []
    if source.path != folder and source.path.stem not in (ENCODER, DECODER):
        return None
    for stem in (ENCODER, DECODER):
        files = [path for path in _weights(folder) if path.stem == stem]
        if len(files) != 1:
            return None
        found.append(PublishedSource(files[0], name=source.name))
    return (found[0], found[1]) if found[1].names() >= _TELLING else None


def _weights(folder: Path) -> list[Path]:
    return PublishedSource(folder).weight_files() if folder.is_dir() else []


def shape_of(encoder: Mapping[str, Tensor], decoder: Mapping[str, Tensor], where: tuple[str, str]) -> FACodecShape:
    """Return the sizes that the tensors of both files have.

    Raises:
        CheckpointError: if a tensor that tells a size is missing, or the sizes are no FACodec's.
    """
    blocks = _count(encoder, r"block\.(\d+)\.block\.4\.weight")
    chains = range(_count(decoder, r"quantizer\.(\d+)\.layers\.0\._codebook\.weight"))

    def size(tensors: Mapping[str, Tensor], name: str, axis: int) -> int:
        file = where[tensors is decoder]
        if name not in tensors:
            raise CheckpointError(one_line(file, f"lacks tensor {name!r}", "get an intact copy"))
        if len(tensors[name].shape) <= axis:
            problem = f"tensor {name!r} has shape {list(tensors[name].shape)}, which has no axis {axis}"
            raise CheckpointError(one_line(file, problem, "get an intact copy"))
        return tensors[name].shape[axis]

    try:
        return FACodecShape(
            encoder_dim=size(encoder, "block.0.weight", 0),
            decoder_dim=size(decoder, "model.0.weight", 0),
            strides=tuple(size(encoder, f"block.{block + 1}.block.4.weight", 2) // 2 for block in range(blocks)),
            latent_dim=size(decoder, "model.0.weight", 1),
            counts=tuple(_count(decoder, rf"quantizer\.{c}\.layers\.(\d+)\._codebook\.weight") for c in chains),
            sizes=tuple(size(decoder, f"quantizer.{c}.layers.0._codebook.weight", 0) for c in chains),
            codebook_dim=size(decoder, "quantizer.0.layers.0._codebook.weight", 1),
            timbre_layers=_count(decoder, r"timbre_encoder\.layers\.(\d+)\.ln_1\.weight"),
            timbre_hidden=size(decoder, "timbre_encoder.layers.0.ffn.ffn_1.weight", 0),
            timbre_kernel=size(decoder, "timbre_encoder.layers.0.ffn.ffn_1.weight", 2),
        )
    except ValueError as error:
        raise CheckpointError(one_line(where[1], f"has sizes of no FACodec ({error})", "get an intact copy")) from error


def needed(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the tensors without fixed filters and positions, which must be those computed here, and predictors.

    Raises:
        CheckpointError: if a filter or the first position has other values.
    """
    kept = {name: value for name, value in tensors.items() if not name.startswith(TRAINING)}
    positions = kept.pop(_POSITIONS, None)
    if positions is not None:
        first = positions.flatten()[: positions.shape[-1]].float()
        if not bool(((first - first_position(len(first))).abs() <= 1e-6).all()):
            problem = f"holds other positions than FACodec's in {_POSITIONS!r}"
            raise CheckpointError(one_line(where, problem, "get an intact copy"))
    return without_filters(kept, where)


def encoder_names(shape: FACodecShape) -> dict[str, str]:
    """Return the name that every tensor of ours has in the encoder's file, filters left aside.

    Example:
        >>> encoder_names(FACodecShape())["encoder.1.2.body.1.weight"]
        'block.1.block.2.block.1.weight'
    """
    return dict(_encoder(shape))


def decoder_names(shape: FACodecShape) -> dict[str, str]:
    """Return the name that every tensor of ours has in the decoder's file, filters left aside.

    Example:
        >>> names = decoder_names(FACodecShape())
        >>> names["quantizer.chains.1.levels.0.codebook"], names["timbre.layers.0.qkv.weight"]
        ('quantizer.1.layers.0._codebook.weight', 'timbre_encoder.layers.0.self_attn.in_proj_weight')
    """
    return dict([*_quantizer(shape), *_timbre(shape), *_decoder(shape)])


def _count(names: Mapping[str, Tensor], pattern: str) -> int:
    """Return how many different numbers names have at one place."""
    found = (re.fullmatch(pattern, name) for name in names)
    return len({match[1] for match in found if match})


def _layer(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.weight", f"{theirs}.weight"
    yield f"{ours}.bias", f"{theirs}.bias"


def _snake(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.alpha", f"{theirs}.act.alpha"
    yield f"{ours}.beta", f"{theirs}.act.beta"


def _unit(ours: str, theirs: str) -> Pairs:
    for place, kind in enumerate((_snake, _layer, _snake, _layer)):
        yield from kind(f"{ours}.body.{place}", f"{theirs}.block.{place}")


def _encoder(shape: FACodecShape) -> Pairs:
    blocks, units = len(shape.strides), len(_DILATIONS)
    yield from _layer("encoder.0.0", "block.0")
    for block in range(1, blocks + 1):
        ours, theirs = f"encoder.{block}", f"block.{block}.block"
        for unit in range(units):
            yield from _unit(f"{ours}.{unit}", f"{theirs}.{unit}")
        yield from _snake(f"{ours}.{units}", f"{theirs}.{units}")
        yield from _layer(f"{ours}.{units + 1}", f"{theirs}.{units + 1}")
    yield from _snake(f"encoder.{blocks + 1}", f"block.{blocks + 1}")
    yield from _layer(f"encoder.{blocks + 2}", f"block.{blocks + 2}")


def _decoder(shape: FACodecShape) -> Pairs:
    blocks = len(shape.strides)
    yield from _layer("voiced.style", "timbre_linear")
    yield from _layer("decoder.0", "model.0")
    for block in range(1, blocks + 1):
        ours, theirs = f"decoder.{block}", f"model.{block}.block"
        yield from _snake(f"{ours}.0", f"{theirs}.0")
        yield from _layer(f"{ours}.1", f"{theirs}.1")
        for unit in range(2, 2 + len(_DILATIONS)):
            yield from _unit(f"{ours}.{unit}", f"{theirs}.{unit}")
    yield from _snake(f"decoder.{blocks + 1}.0", f"model.{blocks + 1}")
    yield from _layer(f"decoder.{blocks + 1}.1", f"model.{blocks + 2}")


def _quantizer(shape: FACodecShape) -> Pairs:
    for chain, count in enumerate(shape.counts):
        for level in range(count):
            ours, theirs = f"quantizer.chains.{chain}.levels.{level}", f"quantizer.{chain}.layers.{level}"
            yield from _layer(f"{ours}.in_proj", f"{theirs}.in_proj")
            yield f"{ours}.codebook", f"{theirs}._codebook.weight"
            yield from _layer(f"{ours}.out_proj", f"{theirs}.out_proj")


def _timbre(shape: FACodecShape) -> Pairs:
    parts = {"norm1": "ln_1", "norm2": "ln_2", "out": "self_attn.out_proj", "conv": "ffn.ffn_1", "down": "ffn.ffn_2"}
    for layer in range(shape.timbre_layers):
        ours, theirs = f"timbre.layers.{layer}", f"timbre_encoder.layers.{layer}"
        yield f"{ours}.qkv.weight", f"{theirs}.self_attn.in_proj_weight"
        yield f"{ours}.qkv.bias", f"{theirs}.self_attn.in_proj_bias"
        for our_part, their_part in parts.items():
            yield from _layer(f"{ours}.{our_part}", f"{theirs}.{their_part}")
    yield from _layer("timbre.norm", "timbre_encoder.last_ln")
