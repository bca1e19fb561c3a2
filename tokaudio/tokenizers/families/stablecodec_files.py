"""What the published files of Stable Codec state, and how they name their tensors.

A folder holds `model_config.json`, in the language of stable-audio-tools, and `model.safetensors` or `model.ckpt`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tokaudio.checkpoints.configs import read_mapping
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.stable_codec import StableSide
from tokaudio.nn.window_transformer import frequencies
from tokaudio.tokenizers.families.fields import Fields
from tokaudio.tokenizers.published import PublishedSource

CONFIG = "model_config.json"
PREFER = ("model.safetensors", "model.ckpt")
# The head that a finetuning had, which guessed phonemes.
TRAINING = ("proj_head.",)
# stable-audio-tools gives every layer heads of this size, and these where a configuration is silent.
HEAD = 128
_DEFAULTS: dict[str, Any] = {
    "channels": 128,
    "c_mults": [1, 2, 4, 8],
    "strides": [2, 4, 8, 8],
    "transformer_depths": [3, 3, 3, 3],
    "use_snake": False,
    "sliding_window": [63, 64],
    "conformer": False,
    "layer_scale": True,
    "use_dilated_conv": False,
}
Pairs = Iterator[tuple[str, str]]


class Stated(NamedTuple):
    """What a configuration states.

    Attributes:
        sample_rate: in Hz.
        patch: samples per patch.
        latent_dim: dimensions of the latents.
        encoder: sizes.
        decoder: sizes.
        soft_clip: whether samples go through tanh at the end.
        levels: of each latent dimension in training.
    """

    sample_rate: int
    patch: int
    latent_dim: int
    encoder: StableSide
    decoder: StableSide
    soft_clip: bool
    levels: tuple[int, ...]

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return self.patch * math.prod(self.encoder.strides)


def config_of(source: PublishedSource) -> dict[str, Any] | None:
    """Return the fields of `model_config.json` in the folder or beside the file; None if there is none."""
    folder: Path = source.path if source.path.is_dir() else source.path.parent
    path = folder / CONFIG
    return read_mapping(path) if path.is_file() else None


def is_stable_codec(config: Mapping[str, Any] | None) -> bool:
    """Return whether a configuration is of an autoencoder whose encoder is a transformer on patches (`taae`).

    Example:
        >>> is_stable_codec({"model_type": "autoencoder", "model": {"encoder": {"type": "taae"}}})
        True
    """
    model = (config or {}).get("model")
    encoder = model.get("encoder") if isinstance(model, Mapping) else None
    return isinstance(encoder, Mapping) and encoder.get("type") == "taae"


def stated(config: Mapping[str, Any], where: str) -> Stated:
    """Return what a configuration states.

    Raises:
        CheckpointError: if a field is missing or impossible, or asks for what no published Stable Codec has.
    """
    fields = Fields(config, where)
    model = fields.section("model")
    for name in ("encoder", "decoder"):
        model.section(name).choice("type", ["taae"])
    if model.whole("io_channels") != 1:
        _refuse(where, f"has {model.get('io_channels')} audio channels")
    patch = 1
    if model.values.get("pretransform") is not None:
        pretransform = model.section("pretransform")
        pretransform.choice("type", ["patched"])
        patch = pretransform.section("config").whole("patch_size")
        if pretransform.section("config").values.get("oversampling", 1) != 1:
            _refuse(where, "oversamples before it cuts patches")
    width = model.whole("latent_dim")
    decoder = model.section("decoder")
    found = Stated(
        fields.whole("sample_rate"),
        patch,
        width,
        _side(model.section("encoder").section("config"), ("in_channels", patch), width),
        _side(decoder.section("config"), ("out_channels", patch), width),
        decoder.flag("soft_clip") if "soft_clip" in decoder.values else False,
        _levels(model.section("bottleneck"), width),
    )
    if math.prod(found.encoder.strides) != math.prod(found.decoder.strides):
        _refuse(where, f"has strides {found.encoder.strides} in one part and {found.decoder.strides} in the other")
    if model.whole("downsampling_ratio") != found.hop_length:
        problem = f"a downsampling_ratio of {model.get('downsampling_ratio')} and {found.hop_length} samples per frame"
        _refuse(where, f"states {problem}")
    return found


def _side(given: Fields, outside: tuple[str, int], latent_dim: int) -> StableSide:
    fields = Fields({**_DEFAULTS, **given.values}, given.where)
    for name, usual in (("conformer", False), ("use_dilated_conv", False), ("layer_scale", True)):
        if fields.flag(name) is not usual:
            _refuse(given.where, f"has {name} {not usual} in its configuration")
    for name, wanted in (outside, ("latent_dim", latent_dim)):
        if fields.whole(name) != wanted:
            _refuse(given.where, f"has {name} {fields.get(name)} in one place and {wanted} in another")
    channels = [fields.whole("channels") * multiple for multiple in fields.wholes("c_mults")]
    try:
        return StableSide(
            (channels[0], *channels),
            fields.wholes("strides"),
            fields.wholes("transformer_depths", minimum=0),
            fields.wholes("sliding_window", minimum=0),  # type: ignore[arg-type]
            fields.flag("use_snake"),
            HEAD,
        )
    except ValueError as error:
        raise CheckpointError(
            one_line(given.where, f"has sizes of no Stable Codec ({error})", "get its own")
        ) from error


def _levels(bottleneck: Fields, width: int) -> tuple[int, ...]:
    bottleneck.choice("type", ["dithered_fsq"])
    fields = bottleneck.section("config")
    levels = fields.get("levels")
    found = (fields.whole("levels"),) * width if isinstance(levels, int) else fields.wholes("levels")
    if fields.values.get("num_codebooks", 1) != 1 or fields.whole("dim") != width or len(found) != width:
        _refuse(fields.where, "has a quantizer of other dimensions than its latents")
    return found


def _refuse(where: str, problem: str) -> None:
    raise CheckpointError(one_line(where, f"{problem}, as no published Stable Codec does", "get the published files"))


def needed(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the tensors without the head of a finetuning and without fixed frequencies, which must be those computed.

    Raises:
        CheckpointError: if frequencies have other values.
    """
    kept = {}
    for name, value in tensors.items():
        if name.startswith(TRAINING):
            continue
        if not name.endswith(".rope.inv_freq"):
            kept[name] = value
            continue
        wanted = frequencies(HEAD)
        if value.shape != wanted.shape or not bool(torch.isclose(value.float(), wanted, rtol=1e-5, atol=0.0).all()):
            problem = f"holds other frequencies than Stable Codec's in {name!r}"
            raise CheckpointError(one_line(where, problem, "get an intact copy"))
    return kept


def published_names(encoder: StableSide, decoder: StableSide) -> dict[str, str]:
    """Return the name that every tensor of ours has in published files, frequencies left aside.

    Example:
        >>> side = StableSide((256, 256), (2,), (8,), (31, 32))
        >>> names = published_names(side, side)
        >>> names["encoder.2.2.7.up.bias"], names["decoder.1.2.weight"]
        ('encoder.layers.1.layers.2.8.ff.ff.0.proj.bias', 'decoder.layers.1.layers.2.weight')
    """
    return dict([*_encoder(encoder), *_decoder(decoder)])


def _layer(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.weight", f"{theirs}.weight"
    yield f"{ours}.bias", f"{theirs}.bias"


def _snake(ours: str, theirs: str, side: StableSide) -> Pairs:
    for part in ("alpha", "beta") if side.snake else ():
        yield f"{ours}.{part}", f"{theirs}.{part}"


def _transformer(ours: str, theirs: str, depth: int) -> Pairs:
    parts = {"query_norm": "self_attn.q_norm", "key_norm": "self_attn.k_norm", "up": "ff.ff.0.proj", "down": "ff.ff.2"}
    alone = {
        "norm1.weight": "pre_norm.gamma",
        "norm1.bias": "pre_norm.beta",
        "norm2.weight": "ff_norm.gamma",
        "norm2.bias": "ff_norm.beta",
        "qkv.weight": "self_attn.to_qkv.weight",
        "out.weight": "self_attn.to_out.weight",
        "scale1": "self_attn_scale.scale",
        "scale2": "ff_scale.scale",
    }
    for number in range(depth):
        # Before the first layer theirs has a transposition.
        mine, other = f"{ours}.{number}", f"{theirs}.{number + 1}"
        for our_part, their_part in alone.items():
            yield f"{mine}.{our_part}", f"{other}.{their_part}"
        for our_part, their_part in parts.items():
            yield from _layer(f"{mine}.{our_part}", f"{other}.{their_part}")


def _encoder(side: StableSide) -> Pairs:
    yield from _layer("encoder.1", "encoder.layers.0")
    for block, (stride, depth) in enumerate(zip(side.strides, side.depths, strict=True)):
        ours, theirs = f"encoder.{block + 2}", f"encoder.layers.{block + 1}.layers"
        yield from _snake(f"{ours}.0", f"{theirs}.0", side)
        if stride > 1:
            yield from _layer(f"{ours}.1", f"{theirs}.1")
        yield from _transformer(f"{ours}.2", f"{theirs}.2", depth)
    end = side.blocks
    yield from _snake(f"encoder.{end + 2}", f"encoder.layers.{end + 1}", side)
    yield from _layer(f"encoder.{end + 3}", f"encoder.layers.{end + 2}")


def _decoder(side: StableSide) -> Pairs:
    yield from _layer("decoder.0", "decoder.layers.0")
    for place, block in enumerate(reversed(range(side.blocks)), start=1):
        ours, theirs = f"decoder.{place}", f"decoder.layers.{place}.layers"
        yield from _transformer(f"{ours}.0", f"{theirs}.0", side.depths[block])
        yield from _snake(f"{ours}.1", f"{theirs}.1", side)
        if side.strides[block] > 1:
            yield from _layer(f"{ours}.2", f"{theirs}.2")
    end = side.blocks
    yield from _snake(f"decoder.{end + 1}", f"decoder.layers.{end + 1}", side)
    yield f"decoder.{end + 2}.weight", f"decoder.layers.{end + 2}.weight"
