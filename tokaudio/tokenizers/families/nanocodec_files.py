"""How published NanoCodec files name their tensors and say their sizes: NVIDIA's `.nemo` archives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.conv import Padding
from tokaudio.nn.hifigan import Activation
from tokaudio.nn.nanocodec import HiFiGAN
from tokaudio.tokenizers.families.fields import Fields
from tokaudio.tokenizers.published import PublishedSource

# What inference needs; archives may also hold discriminators and losses.
PARTS = ("audio_encoder.", "audio_decoder.", "vector_quantizer.")
# Two names that no other family has.
MARKS = {"audio_encoder.pre_conv.conv.weight", "audio_decoder.up_sample_conv_layers.0.conv.weight"}
_PADDINGS: dict[str, Padding] = {"zeros": "zeros", "reflect": "reflect", "replicate": "replicate"}
_ACTIVATIONS: dict[str, Activation] = {
    "elu": "elu",
    "lrelu": "lrelu",
    "snake": "snake",
    "half_snake": "half_snake",
}
# What NVIDIA's classes suppose of a field that is left out, where both agree; `Causal...` ones differ in two.
_DEFAULTS: dict[str, Any] = {
    "in_kernel_size": 7,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [1, 3, 5],
    "activation": "lrelu",
    "output_activation": "tanh",
}
_QUANTIZER = "GroupFiniteScalarQuantizer"
Pairs = Iterator[tuple[str, str]]


class NanoSizes(NamedTuple):
    """What a configuration says.

    Attributes:
        sample_rate: of the input, Hz.
        output_sample_rate: of decoded audio, Hz.
        encoder: sizes.
        decoder: sizes.
        levels: of a group of the quantizer.
        groups: their number.
        margin: of the quantizer's bounds.
    """

    sample_rate: int
    output_sample_rate: int
    encoder: HiFiGAN
    decoder: HiFiGAN
    levels: tuple[int, ...]
    groups: int
    margin: float


def sizes_of(source: PublishedSource, where: str) -> NanoSizes:
    """Return the sizes that `model_config.yaml` states, which lies in the archive or next to the weights.

    Raises:
        CheckpointError: if it is missing, or a field is missing or impossible, or means another network.
    """
    if source.config is None:
        raise CheckpointError(one_line(where, "has no configuration (model_config.yaml)", "give the .nemo file"))
    fields = Fields(source.config, where)
    if source.config.get("semantic_codec") or source.config.get("semantic_codec_path"):
        problem = "has a semantic codec in its configuration, as no NanoCodec has"
        raise CheckpointError(one_line(where, problem, "get the published archives"))
    rate = fields.whole("sample_rate")
    quantizer = fields.section("vector_quantizer")
    if (kind := _class(quantizer)) != _QUANTIZER:
        raise CheckpointError(one_line(where, f"has a quantizer {kind!r}", f"only {_QUANTIZER} is known"))
    margin = quantizer.values.get("eps", 1e-3)
    if not isinstance(margin, float) or not 0 <= margin < 0.1:
        raise CheckpointError(one_line(where, f"has eps {margin!r} in its configuration", "get an intact copy"))
    try:
        sizes = NanoSizes(
            rate,
            Fields({"output_sample_rate": rate, **source.config}, where).whole("output_sample_rate"),
            _encoder_sizes(fields.section("audio_encoder")),
            _decoder_sizes(fields.section("audio_decoder")),
            quantizer.wholes("num_levels_per_group", minimum=2),
            quantizer.whole("num_groups"),
            margin,
        )
    except ValueError as error:
        raise CheckpointError(one_line(where, f"has sizes of no NanoCodec ({error})", "get an intact copy")) from error
    _require_agreement(fields, sizes)
    return sizes


def published_names(encoder: HiFiGAN, decoder: HiFiGAN) -> dict[str, str]:
    """Return the name that every tensor of ours has in published files; the quantizer has none.

    Example:
        >>> sizes = HiFiGAN(latent_dim=8, rates=(2,), base_channels=4, dilations=(1,))
        >>> names = published_names(sizes, sizes)
        >>> names["encoder.downs.0.conv.weight"]
        'audio_encoder.down_sample_conv_layers.0.conv.weight'
        >>> names["decoder.layers.0.branches.2.0.body.1.conv.bias"]
        'audio_decoder.res_layers.0.res_blocks.2.res_blocks.0.skip_conv.conv.bias'
    """
    return dict([*_encoder_names(encoder), *_decoder_names(decoder)])


def our_tensors(source: PublishedSource, sizes: NanoSizes, where: str) -> dict[str, Tensor]:
    """Return what inference needs under its published names: alphas `[1, C, 1]` as rows, levels compared and left out.

    Raises:
        CheckpointError: if the levels of the quantizer are not those of the configuration.
    """
    kept = {name: value for name, value in source.tensors().items() if name.startswith(PARTS)}
    radix = [math.prod(sizes.levels[:place]) for place in range(len(sizes.levels))]
    for group in range(sizes.groups):
        for ending, wanted in (("num_levels", list(sizes.levels)), ("dim_base_index", radix)):
            name = f"vector_quantizer.fsqs.{group}.{ending}"
            # They hold nothing that the configuration does not say; some copies leave them out.
            found = kept.pop(name, None)
            if found is not None and found.flatten().tolist() != wanted:
                problem = f"holds {found.flatten().tolist()[:8]} in {name!r}, {wanted} in its configuration"
                raise CheckpointError(one_line(where, problem, "get an intact copy"))
    rows = (name for name, value in kept.items() if name.endswith(".alpha") and value.shape[::2] == torch.Size([1, 1]))
    return kept | {name: kept[name][0, :, 0] for name in rows}


def _class(fields: Fields) -> str:
    """Return the name of the class that a section is about, without its module."""
    return str(fields.get("_target_")).rpartition(".")[2]


def _encoder_sizes(fields: Fields) -> HiFiGAN:
    causal = _kind(fields, "Encoder")
    defaults = {"out_kernel_size": 7, "base_channels": 32, "pad_mode": "zeros" if causal else "reflect"}
    # What an encoder has no use for is as it is by default.
    unused = {"output_activation": "clamp", "n_groups_equal_to_out_channels": True}
    fields = Fields({**_DEFAULTS, **defaults, **fields.values, **unused}, fields.where)
    return _sizes(fields, fields.whole("encoded_dim"), fields.wholes("down_sample_rates"), causal=causal)


def _decoder_sizes(fields: Fields) -> HiFiGAN:
    causal = _kind(fields, "Decoder")
    defaults = {
        "out_kernel_size": 3,
        "base_channels": 512,
        "pad_mode": "zeros" if causal else "reflect",
        "n_groups_equal_to_out_channels": causal,
    }
    fields = Fields({**_DEFAULTS, **defaults, **fields.values}, fields.where)
    return _sizes(fields, fields.whole("input_dim"), fields.wholes("up_sample_rates"), causal=causal)


def _kind(fields: Fields, side: str) -> bool:
    """Return whether a network is the causal one of its side."""
    kind = _class(fields)
    if kind not in (f"HiFiGAN{side}", f"CausalHiFiGAN{side}"):
        problem = f"has {side.lower()} {kind!r} in its configuration"
        raise CheckpointError(one_line(fields.where, problem, f"only HiFiGAN{side} and CausalHiFiGAN{side} are known"))
    return kind.startswith("Causal")


def _sizes(fields: Fields, latent_dim: int, rates: tuple[int, ...], *, causal: bool) -> HiFiGAN:
    return HiFiGAN(
        latent_dim=latent_dim,
        rates=rates,
        base_channels=fields.whole("base_channels"),
        in_kernel_size=fields.whole("in_kernel_size"),
        out_kernel_size=fields.whole("out_kernel_size"),
        kernel_sizes=fields.wholes("resblock_kernel_sizes"),
        dilations=fields.wholes("resblock_dilation_sizes"),
        activation=_ACTIVATIONS[fields.choice("activation", tuple(_ACTIVATIONS))],
        causal=causal,
        padding=_PADDINGS[fields.choice("pad_mode", tuple(_PADDINGS))],
        paired=fields.flag("n_groups_equal_to_out_channels"),
        output=fields.choice("output_activation", ("tanh", "clamp")),
    )


def _require_agreement(fields: Fields, sizes: NanoSizes) -> None:
    hop, width = math.prod(sizes.encoder.rates), sizes.groups * len(sizes.levels)
    decoded = hop * sizes.output_sample_rate / sizes.sample_rate
    for name, found, wanted in (
        ("samples_per_frame", fields.whole("samples_per_frame"), hop),
        ("up_sample_rates that make", math.prod(sizes.decoder.rates), decoded),
        ("encoded_dim", sizes.encoder.latent_dim, width),
        ("input_dim", sizes.decoder.latent_dim, width),
    ):
        if found != wanted:
            problem = f"has {name} {found} in its configuration, where the other parts have {wanted:g}"
            raise CheckpointError(one_line(fields.where, problem, "get an intact copy"))


def _conv(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.weight", f"{theirs}.conv.weight"
    yield f"{ours}.bias", f"{theirs}.conv.bias"


def _act(sizes: HiFiGAN, ours: str, theirs: str) -> Pairs:
    inner = {"snake": "alpha", "half_snake": "snake_act.alpha"}.get(sizes.activation)
    if inner:
        yield f"{ours}.alpha", f"{theirs}.activation.{inner}"


def _layer(sizes: HiFiGAN, ours: str, theirs: str) -> Pairs:
    for branch in range(len(sizes.kernel_sizes)):
        for unit in range(len(sizes.dilations)):
            mine, yours = f"{ours}.branches.{branch}.{unit}.body", f"{theirs}.res_blocks.{branch}.res_blocks.{unit}"
            for place, part in enumerate(("input", "skip")):
                yield from _act(sizes, f"{mine}.{place}.act", f"{yours}.{part}_activation")
                yield from _conv(f"{mine}.{place}.conv", f"{yours}.{part}_conv")


def _encoder_names(sizes: HiFiGAN) -> Pairs:
    yield from _conv("encoder.entry", "audio_encoder.pre_conv")
    for i in range(len(sizes.rates)):
        yield from _layer(sizes, f"encoder.layers.{i}", f"audio_encoder.res_layers.{i}")
        yield from _act(sizes, f"encoder.downs.{i}.act", f"audio_encoder.activations.{i}")
        yield from _conv(f"encoder.downs.{i}.conv", f"audio_encoder.down_sample_conv_layers.{i}")
    yield from _act(sizes, "encoder.exit.act", "audio_encoder.post_activation")
    yield from _conv("encoder.exit.conv", "audio_encoder.post_conv")


def _decoder_names(sizes: HiFiGAN) -> Pairs:
    yield from _conv("decoder.entry", "audio_decoder.pre_conv")
    for i in range(len(sizes.rates)):
        yield from _act(sizes, f"decoder.acts.{i}", f"audio_decoder.activations.{i}")
        yield from _conv(f"decoder.ups.{i}", f"audio_decoder.up_sample_conv_layers.{i}")
        yield from _layer(sizes, f"decoder.layers.{i}", f"audio_decoder.res_layers.{i}")
    yield from _act(sizes, "decoder.exit.act", "audio_decoder.post_activation")
    yield from _conv("decoder.exit.conv", "audio_decoder.post_conv")
