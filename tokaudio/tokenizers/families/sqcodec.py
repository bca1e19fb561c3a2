"""SQ-Codec (Yang et al. 2024, arXiv:2406.02328): every latent dimension is rounded to a few levels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.sq_codec import DILATIONS, sq_decoder, sq_encoder
from tokaudio.quantizers.finite_scalar import GroupedFiniteScalarQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.building import require_frame
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokenizers.families.fields import Fields, known_facts
from tokaudio.tokenizers.published import PublishedSource, build

_PREFIX = "codec_model."
# Levels and dimensions per code, by the number of latent dimensions: no file states them, the code that reads it does.
_ROUNDING = {36: (3, 9), 50: (19, 1), 32: (11, 1)}
_TELLING = {f"{_PREFIX}{part}.0.weight" for part in ("encoder", "decoder")} | {
    f"{_PREFIX}decoder.1.convs.{len(DILATIONS) - 1}.activation2.weight"
}
Pairs = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SQCodecShape:
    """The sizes of an SQ-Codec.

    Attributes:
        width: channels after the encoder's first convolution.
        strides: of the encoder's blocks.
        kernels: taps of their strided convolutions.
        up_strides: of the decoder's blocks.
        up_kernels: taps of their transposed convolutions.
        latent_dim: dimensions that are rounded.
        levels: of each of them, an odd number.
        group: dimensions that make one code together.
        back: whether convolutions look back only, all but the decoder's first.
        pool: samples that are averaged at once at the encoder's beginning; 1 for none.
        edge_kernel: taps of the first and last convolutions.
        look_kernel: taps of the decoder's first convolution.
        unit_kernel: taps of the residual units.

    Example:
        >>> shape = SQCodecShape(8, (2, 5), (4, 10), (5, 2), (10, 4), latent_dim=18)
        >>> shape.hop_length, shape.codebook_sizes
        (10, (19683, 19683))
    """

    width: int
    strides: tuple[int, ...]
    kernels: tuple[int, ...]
    up_strides: tuple[int, ...]
    up_kernels: tuple[int, ...]
    latent_dim: int = 36
    levels: int = 3
    group: int = 9
    back: bool = True
    pool: int = 1
    edge_kernel: int = 7
    look_kernel: int = 5
    unit_kernel: int = 7

    def __post_init__(self) -> None:
        for name in ("strides", "kernels", "up_strides", "up_kernels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, value in dataclasses.asdict(self).items():
            numbers = value if isinstance(value, tuple) else (value,)
            if name != "back" and not (numbers and all(type(number) is int and number > 0 for number in numbers)):
                raise ValueError(f"{name} is {value!r}, not whole numbers above 0")
        if type(self.back) is not bool:
            raise ValueError(f"back is {self.back!r}, not true or false")
        self._require(len(self.strides) == len(self.kernels), "as many kernels as strides")
        self._require(len(self.up_strides) == len(self.up_kernels), "as many up_kernels as up_strides")
        self._require(math.prod(self.strides) == math.prod(self.up_strides), "strides and up_strides of one product")
        self._require(self.latent_dim % self.group == 0, "a latent_dim that group divides")
        self._require(self.levels % 2 == 1 and self.levels > 1, "an odd number of levels from 3")
        edges = (self.edge_kernel, self.look_kernel, self.unit_kernel)
        self._require(all(kernel % 2 == 1 for kernel in edges), "odd edge_kernel, look_kernel and unit_kernel")
        twice = [2 * stride for stride in self.up_strides] == list(self.up_kernels)
        self._require(twice or not self.back, "up_kernels of twice the up_strides where it looks back")

    @staticmethod
    def _require(holds: bool, wanted: str) -> None:
        if not holds:
            raise ValueError(f"the sizes must have {wanted}")

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return math.prod(self.strides) * self.pool

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """V of each codebook."""
        return (self.levels**self.group,) * (self.latent_dim // self.group)


class SQCodec(Codec):
    """Convolutions, and a rounding of every latent dimension after tanh.

    Example:
        >>> import torch
        >>> spec = TokenizerSpec("tiny", "compression", 8_000, 4, (CodebookSpec(9),) * 2)
        >>> codec = SQCodec(spec, SQCodecShape(4, (2, 2), (4, 4), (2, 2), (4, 4), latent_dim=4, group=2)).eval()
        >>> codec.encode(torch.zeros(400)).codes.shape
        torch.Size([1, 2, 100])
    """

    FAMILY, TITLE = "sqcodec", "SQ-Codec"

    def __init__(self, spec: TokenizerSpec, shape: SQCodecShape) -> None:
        """Make an untrained SQ-Codec.

        Raises:
            CheckpointError: if the spec and the sizes do not agree.
        """
        shared = {"pool": shape.pool, "edge_kernel": shape.edge_kernel, "unit_kernel": shape.unit_kernel}
        super().__init__(
            spec,
            sq_encoder(shape.width, shape.strides, shape.kernels, shape.latent_dim, back=shape.back, **shared),
            GroupedFiniteScalarQuantizer(
                (shape.levels,) * shape.group, num_codebooks=len(shape.codebook_sizes), margin=0.0
            ),
            sq_decoder(
                shape.latent_dim,
                shape.width,
                shape.up_strides,
                shape.up_kernels,
                back=shape.back,
                look_kernel=shape.look_kernel,
                **shared,
            ),
        )
        self.shape = shape
        require_frame(spec, shape.hop_length)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SQCodec:
        """Make an untrained SQ-Codec from what our `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or no size.
        """
        try:
            return cls(TokenizerSpec.from_dict(config["spec"]), SQCodecShape(**config["network"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit SQ-Codec: {error}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        return {"family": self.FAMILY, "network": dataclasses.asdict(self.shape)}

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the tensors have the names of the authors' checkpoints."""
        return source.names() >= _TELLING

    @classmethod
    def from_published(cls, source: PublishedSource) -> SQCodec:
        """Make an SQ-Codec from a checkpoint such as `ckpt_00190000.pth` and the `config.yaml` beside it.

        Raises:
            CheckpointError: if there is no configuration, the rounding is not known, or a tensor is missing, unknown,
                misshapen or non-finite.
        """
        where = str(source.checkpoint().path)
        if source.config is None:
            problem = "is an SQ-Codec checkpoint without a configuration"
            raise CheckpointError(one_line(where, problem, "put the config.yaml of its archive beside it"))
        fields = Fields(source.config, where).section("generator").section("config")
        shape, rate = shape_of(fields), fields.whole("sample_rate")
        spec = spec_of(source, shape, rate)
        # The checkpoint also holds what only training needs, such as discriminators.
        tensors = {name: value for name, value in source.tensors().items() if name.startswith(_PREFIX)}
        names = published_names(shape)
        return build(lambda: cls(spec, shape), tensors, where, names=names)


def shape_of(fields: Fields) -> SQCodecShape:
    """Return the sizes that a published configuration states, with the rounding that belongs to its latent width.

    Raises:
        CheckpointError: if a field is missing or impossible, or the rounding is not known.
    """
    bands, width = fields.whole("num_bands"), fields.whole("latent_hidden_dim")
    if bands != 1:
        problem = f"splits sound into {bands} bands, as no published SQ-Codec does"
        raise CheckpointError(one_line(fields.where, problem, "get the published weights"))
    if width not in _ROUNDING:
        known = ", ".join(f"{levels} levels for {dim}" for dim, (levels, _) in _ROUNDING.items())
        problem = f"has {width} latent dimensions, whose rounding no file states (known: {known})"
        raise CheckpointError(one_line(fields.where, problem, "make it with SQCodec.from_config and save that"))
    levels, group = _ROUNDING[width]
    try:
        return SQCodecShape(
            width=fields.whole("init_channel"),
            strides=fields.wholes("downsample_factors"),
            kernels=fields.wholes("downsample_kernel_sizes"),
            up_strides=fields.wholes("upsample_factors"),
            up_kernels=fields.wholes("upsample_kernel_sizes"),
            latent_dim=width,
            levels=levels,
            group=group,
            back=fields.flag("causal"),
            pool=fields.whole("num_samples"),
            edge_kernel=fields.whole("default_kernel_size"),
            look_kernel=fields.whole("delay_kernel_size"),
            unit_kernel=fields.whole("res_kernel_size"),
        )
    except ValueError as error:
        raise CheckpointError(one_line(fields.where, f"has sizes of no SQ-Codec ({error})", "get its own")) from error


def spec_of(source: PublishedSource, shape: SQCodecShape, sample_rate: int) -> TokenizerSpec:
    """Return the facts about published weights; name, licence and origin only where it is known whose they are."""
    facts = known_facts(source.name)
    return TokenizerSpec(
        name=facts.name,
        kind="compression",
        sample_rate=sample_rate,
        hop_length=shape.hop_length,
        codebooks=tuple(CodebookSpec(size) for size in shape.codebook_sizes),
        causal=shape.back,
        chunking="exact",
        licence=facts.licence,
        paper=facts.paper or "arXiv:2406.02328",
        origin=facts.origin,
    )


def published_names(shape: SQCodecShape) -> dict[str, str]:
    """Return the name that every tensor of ours has in published files.

    Example:
        >>> names = published_names(SQCodecShape(8, (2, 5), (4, 10), (5, 2), (10, 4)))
        >>> names["encoder.1.2.body.2.weight"], names["decoder.2.0.bias"]
        ('codec_model.encoder.1.convs.2.conv2.weight', 'codec_model.decoder.2.up_conv.layer.bias')
    """
    pairs = [*_encoder(shape), *_decoder(shape)]
    return {ours: f"{_PREFIX}{theirs}" for ours, theirs in pairs}


def _layer(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.weight", f"{theirs}.weight"
    yield f"{ours}.bias", f"{theirs}.bias"


def _slope(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.weight", f"{theirs}.weight"


def _unit(ours: str, theirs: str) -> Pairs:
    yield from _layer(f"{ours}.body.0", f"{theirs}.conv1")
    yield from _slope(f"{ours}.body.1", f"{theirs}.activation1")
    yield from _layer(f"{ours}.body.2", f"{theirs}.conv2")
    yield from _slope(f"{ours}.body.3", f"{theirs}.activation2")


def _encoder(shape: SQCodecShape) -> Pairs:
    blocks, pooled = len(shape.strides), int(shape.pool > 1)
    yield from _layer("encoder.0.0", "encoder.0")
    if pooled:
        yield from _layer("encoder.0.1", "encoder.1.conv")
        yield from _slope("encoder.0.2", "encoder.1.activation")
    for block in range(1, blocks + 1):
        ours, theirs = f"encoder.{block}", f"encoder.{block + pooled}"
        for unit in range(len(DILATIONS)):
            yield from _unit(f"{ours}.{unit}", f"{theirs}.convs.{unit}")
        yield from _layer(f"{ours}.{len(DILATIONS)}", f"{theirs}.down_conv.layer")
        yield from _slope(f"{ours}.{len(DILATIONS) + 1}", f"{theirs}.down_conv.activation")
    yield from _layer(f"encoder.{blocks + 1}", f"encoder.{blocks + 1 + pooled}")


def _decoder(shape: SQCodecShape) -> Pairs:
    blocks, pooled = len(shape.up_strides), int(shape.pool > 1)
    yield from _layer("decoder.0", "decoder.0")
    for block in range(1, blocks + 1):
        yield from _layer(f"decoder.{block}.0", f"decoder.{block}.up_conv.layer")
        for unit in range(len(DILATIONS)):
            yield from _unit(f"decoder.{block}.{unit + 1}", f"decoder.{block}.convs.{unit}")
    last = f"decoder.{blocks + 1}"
    if pooled:
        yield from _layer(f"{last}.1", f"decoder.{blocks + 1}.conv")
        yield from _slope(f"{last}.2", f"decoder.{blocks + 1}.activation")
    yield from _layer(f"{last}.{3 * pooled}", f"decoder.{blocks + 1 + pooled}")
