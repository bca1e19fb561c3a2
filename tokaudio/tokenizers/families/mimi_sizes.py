"""What published Mimi files say about sizes.

The port in transformers has a configuration. The authors' files come without one, or with one next to the language
model's: what the shapes of tensors do not show is then what their package supposes.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tokaudio.checkpoints.configs import read_mapping
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.conv import Padding
from tokaudio.nn.mimi import TransformerSizes
from tokaudio.nn.seanet import SEANet
from tokaudio.quantizers import SplitResidualVectorQuantizer
from tokaudio.tokenizers.families.fields import Fields
from tokaudio.tokenizers.families.mimi_files import BOOK_PARTS, CODEBOOK, PREFER, Layout
from tokaudio.tokenizers.published import PublishedSource

# Fields that a configuration of transformers may leave out.
_TRANSFORMERS_DEFAULTS: dict[str, Any] = {
    "sampling_rate": 24_000,
    "audio_channels": 1,
    "hidden_size": 512,
    "num_filters": 64,
    "num_residual_layers": 1,
    "upsampling_ratios": [8, 6, 5, 4],
    "kernel_size": 7,
    "last_kernel_size": 3,
    "residual_kernel_size": 3,
    "dilation_growth_rate": 2,
    "use_causal_conv": True,
    "pad_mode": "constant",
    "compress": 2,
    "trim_right_ratio": 1.0,
    "codebook_size": 2048,
    "codebook_dim": 256,
    "num_quantizers": 32,
    "use_conv_shortcut": False,
    "vector_quantization_hidden_dimension": 256,
    "num_semantic_quantizers": 1,
    "upsample_groups": 512,
    "num_hidden_layers": 8,
    "intermediate_size": 2048,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "hidden_act": "gelu",
    "norm_eps": 1e-5,
    "sliding_window": 250,
    "attention_bias": False,
}
# What the package moshi supposes of files without configuration, where no tensor shows it.
_MOSHI_DEFAULTS: dict[str, Any] = {
    "sample_rate": 24_000,
    "num_heads": 8,
    "context": 250,
    "max_period": 10_000.0,
    "dilation_base": 2,
    "pad_mode": "constant",
}
# Where a configuration of theirs has a choice and Mimi has none.
_MOSHI_FIXED: dict[str, Any] = {
    "causal": True,
    "activation": "ELU",
    "gating": "none",
    "norm": "layer_norm",
    "positional_embedding": "rope",
}
_PADDINGS: dict[str, Padding] = {"constant": "zeros", "replicate": "replicate"}


def sizes_of(source: PublishedSource, layout: Layout) -> dict[str, Any]:
    """Return what `Mimi.from_config` takes besides the spec, and `sample_rate`.

    Raises:
        CheckpointError: if a size is missing or impossible, or means a network that Mimi's is not.
    """
    where = str(source.weight_file(PREFER))
    if layout == "moshi":
        return _moshi(source, where, _authors_config(source))
    if source.config is None:
        raise CheckpointError(one_line(where, "has no configuration (config.json)", "get the published files"))
    return _transformers(Fields({**_TRANSFORMERS_DEFAULTS, **source.config}, where))


def _transformers(fields: Fields) -> dict[str, Any]:
    """Return the sizes of a configuration of transformers."""
    dim, heads = fields.whole("hidden_size"), fields.whole("num_attention_heads")
    # Where this port has a choice and Mimi has none.
    width = fields.whole("codebook_dim")
    rope = fields.values.get("rope_parameters") or {}
    for name, wanted in (
        ("use_causal_conv", True),
        ("trim_right_ratio", 1.0),
        ("hidden_act", "gelu"),
        ("attention_bias", False),
        ("num_key_value_heads", heads),
        ("vector_quantization_hidden_dimension", width),
    ):
        _require(fields, name, fields.values[name], wanted)
    _require(fields, "rope_parameters", rope.get("rope_type", "default"), "default")
    _require(fields, "head_dim", fields.values.get("head_dim") or dim // heads, dim // heads)
    groups = fields.whole("upsample_groups")
    if groups not in (1, dim):
        _require(fields, "upsample_groups", groups, dim)
    ratios, rate = fields.wholes("upsampling_ratios"), fields.whole("sampling_rate")
    hop = math.prod(ratios)
    frame_rate = fields.values.get("frame_rate") or rate / hop / 2
    return {
        "sample_rate": rate,
        "network": {
            "channels": fields.whole("audio_channels"),
            "filters": fields.whole("num_filters"),
            "dimension": dim,
            "ratios": ratios,
            "kernel_size": fields.whole("kernel_size"),
            "last_kernel_size": fields.whole("last_kernel_size"),
            "residual_kernel_size": fields.whole("residual_kernel_size"),
            "residual_layers": fields.whole("num_residual_layers"),
            "dilation_base": fields.whole("dilation_growth_rate"),
            "compress": fields.whole("compress"),
            "padding": _PADDINGS[fields.choice("pad_mode", tuple(_PADDINGS))],
            "conv_shortcut": fields.flag("use_conv_shortcut"),
        },
        "transformer": {
            "layers": fields.whole("num_hidden_layers"),
            "heads": heads,
            "hidden": fields.whole("intermediate_size"),
            "window": fields.whole("sliding_window"),
            "max_period": float(rope.get("rope_theta") or fields.values.get("rope_theta") or 10_000.0),
            "eps": float(fields.values["norm_eps"]),
        },
        "quantizer": {
            "codebook_size": fields.whole("codebook_size"),
            "num_codebooks": fields.whole("num_quantizers"),
            "num_semantic": fields.whole("num_semantic_quantizers"),
            "codebook_dim": width,
        },
        "stride": round(math.ceil(rate / hop) / frame_rate),
        "depthwise": groups == dim,
        "fill": "layers",
    }


def _authors_config(source: PublishedSource) -> Mapping[str, Any]:
    """Return the authors' configuration of the tokenizer, where there is one; that of the language model is none."""
    config = source.config or {}
    folder = source.path if source.path.is_dir() else source.path.parent
    name = config.get("mimi_config_name")
    if isinstance(name, str) and (folder / Path(name).name).is_file():
        config = read_mapping(folder / Path(name).name)
    return config if isinstance(config.get("seanet"), Mapping) else {}


def _moshi(source: PublishedSource, where: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes of the authors' files: from the shapes of tensors, and what these do not show as configured."""
    flat = {name: value for name, value in config.items() if not isinstance(value, Mapping)}
    for section in ("seanet", "transformer"):
        flat |= {name: value for name, value in (config.get(section) or {}).items() if name != "norm"}
    fields = Fields({**_MOSHI_DEFAULTS, **flat}, where)
    for name, wanted in _MOSHI_FIXED.items():
        _require(fields, name, fields.values.get(name, wanted), wanted)
    shapes = source.shapes(PREFER)

    def shape(name: str) -> tuple[int, ...]:
        if len(shapes.get(name, ())) < 2:
            raise CheckpointError(one_line(where, f"lacks tensor {name!r}", "get an intact copy"))
        return shapes[name]

    numbers = sorted(_numbers(shapes, r"encoder\.model\.(\d+)\.conv\.conv\.weight"))
    first, *strided, last = (shape(f"encoder.model.{number}.conv.conv.weight") for number in numbers)
    unit = shape("encoder.model.1.block.1.conv.conv.weight")
    layers = _numbers(shapes, r"encoder_transformer\.transformer\.layers\.(\d+)\.linear1\.weight")
    counts = [len(_numbers(shapes, rf"quantizer\.{side}\.vq\.layers\.(\d+)\..*")) for side in ("rvq_first", "rvq_rest")]
    upsample = shape("upsample.convtr.convtr.convtr.weight")
    return {
        "sample_rate": fields.whole("sample_rate"),
        "network": {
            "channels": first[1],
            "filters": first[0],
            "dimension": last[0],
            "ratios": tuple(weight[2] // 2 for weight in reversed(strided)),
            "kernel_size": first[2],
            "last_kernel_size": last[2],
            "residual_kernel_size": unit[2],
            "residual_layers": numbers[1] - numbers[0] - 2,
            "dilation_base": fields.whole("dilation_base"),
            "compress": first[0] // unit[0],
            "padding": _PADDINGS[fields.choice("pad_mode", tuple(_PADDINGS))],
            "conv_shortcut": any(".shortcut." in name for name in shapes),
        },
        "transformer": {
            "layers": len(layers),
            "heads": fields.whole("num_heads"),
            "hidden": shape("encoder_transformer.transformer.layers.0.linear1.weight")[0],
            "window": fields.whole("context"),
            "max_period": float(fields.values["max_period"]),
        },
        "quantizer": {
            "codebook_size": _codebook_size(shapes),
            "num_codebooks": sum(counts),
            "num_semantic": counts[0],
            "codebook_dim": shape("quantizer.rvq_first.input_proj.weight")[0],
        },
        "stride": shape("downsample.conv.conv.conv.weight")[2] // 2,
        "depthwise": upsample[1] == 1,
        "fill": "signal",
    }


def _numbers(names: Iterable[str], pattern: str) -> set[int]:
    return {int(match[1]) for name in names if (match := re.fullmatch(pattern, name))}


def _codebook_size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    sizes = [s[0] for name, s in shapes.items() if (m := CODEBOOK.fullmatch(name)) and BOOK_PARTS.get(m[3]) == "sum"]
    return sizes[0] if sizes else 0


def _require(fields: Fields, name: str, value: Any, wanted: Any) -> None:
    if value != wanted:
        problem = f"has {name} {ascii(value)[:60]} in its configuration"
        raise CheckpointError(one_line(fields.where, problem, f"only {wanted!r} is known of Mimi"))


# --- our own configuration, which Qwen3-TTS's encoder shares -------------------------------------------------------

_FIXED = ("causal", "lstm_layers", "bidirectional", "trim_right_ratio", "activation", "norm")


def network_of(fields: Mapping[str, Any]) -> SEANet:
    """Return the convolutions of Mimi with such sizes.

    Raises:
        TypeError: a field is unknown.
        ValueError: a size is impossible.
    """
    network = SEANet(**{"padding": "zeros", **fields, "causal": True, "lstm_layers": 0})
    return dataclasses.replace(network, ratios=tuple(network.ratios))


def encoder_config(
    network: SEANet, transformer: TransformerSizes, quantizer: SplitResidualVectorQuantizer, *, codebook_size: int
) -> dict[str, Any]:
    """Return the configuration of an encoder and its quantizer, without what is the same in every Mimi."""
    return {
        "network": {name: value for name, value in dataclasses.asdict(network).items() if name not in _FIXED},
        "transformer": dataclasses.asdict(transformer),
        "quantizer": {
            "codebook_size": codebook_size,
            "num_codebooks": quantizer.num_codebooks,
            "num_semantic": quantizer.num_semantic,
            "codebook_dim": quantizer.semantic.chain.dim,
        },
    }
