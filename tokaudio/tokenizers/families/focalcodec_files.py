"""The published configuration of FocalCodec: one section per part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.focal import FocalSizes
from tokaudio.nn.ssl import SpeechSizes
from tokaudio.tokenizers.families.fields import Fields

RATE = 16_000
_NAMES = {
    "encoder": "WavLM",
    "compressor": "FocalEncoder",
    "quantizer": "BinarySphericalQuantizer",
    "decompressor": "FocalDecoder",
    "decoder": "Vocos",
}
_FOCAL: dict[str, Any] = {
    "focal_window": 14,
    "focal_level": 2,
    "focal_factor": 4,
    "use_post_norm": False,
    "use_layerscale": False,
    "normalize_modulator": False,
    "causal": False,
}
# What a field means where it is missing.
_USUAL: dict[str, dict[str, Any]] = {
    "encoder": {
        "hidden_dims": [512] * 7,
        "kernel_sizes": [10, 3, 3, 3, 3, 2, 2],
        "strides": [5, 2, 2, 2, 2, 2, 2],
        "num_layers": 6,
        "dim": 1024,
        "ffn_dim": 4096,
        "num_heads": 16,
        "num_buckets": 320,
        "max_distance": 800,
        "conv_pos": 128,
        "conv_pos_groups": 16,
        "causal": False,
    },
    "compressor": {
        "input_dim": 1024,
        "output_dim": 12,
        "hidden_dims": [1024] * 3,
        "downscale_factors": [1] * 3,
        **_FOCAL,
    },
    "quantizer": {"codebook_size": 4096},
    "decompressor": {
        "input_dim": 12,
        "output_dim": 1024,
        "hidden_dims": [1024] * 3,
        "upscale_factors": [1] * 3,
        **_FOCAL,
    },
    "decoder": {
        "input_dim": 1024,
        "num_layers": 8,
        "dim": 512,
        "ffn_dim": 1536,
        "kernel_size": 7,
        "n_fft": 1024,
        "hop_length": 320,
        "causal": False,
    },
}


@dataclass(frozen=True)
class FocalStack:
    """Sizes of a compressor or a decompressor: the arguments of those."""

    in_width: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    out_width: int
    sizes: FocalSizes


@dataclass(frozen=True)
class FocalCodecShape:
    """Everything that a configuration says.

    Attributes:
        speech: of WavLM; it has one layer more than are kept, as those of the middle have no final norm.
        compressor: D of WavLM to the bits of a code.
        decompressor: and back.
        vocoder: sizes of the vocoder, as `FocalDecoder` takes them.
        settings: the configuration itself, complete.
    """

    speech: SpeechSizes
    compressor: FocalStack
    decompressor: FocalStack
    vocoder: dict[str, int]
    settings: dict[str, Any]

    @property
    def stride(self) -> int:
        """Frames of WavLM per code."""
        product = 1
        for stride in self.compressor.strides:
            product *= stride
        return product


def shape_of(config: Mapping[str, Any], where: str) -> FocalCodecShape:
    """Return the sizes that a configuration states.

    Raises:
        CheckpointError: a field is impossible, parts do not fit each other, or it is a variant that is not known here,
            such as the causal ones.

    Example:
        >>> stack = {"hidden_dims": [1024, 512, 256], "output_dim": 13, "downscale_factors": [2, 1, 1]}
        >>> back = {"hidden_dims": [256, 512, 1024], "input_dim": 13, "upscale_factors": [1, 1, 2]}
        >>> config = {"compressor_config": stack, "decompressor_config": back}
        >>> shape_of({**config, "quantizer_config": {"codebook_size": 8192}}, "config.json").stride
        2
    """
    parts = {part: _part(config, part, where) for part in _NAMES}
    encoder, decoder = parts["encoder"], parts["decoder"]
    if decoder.whole("kernel_size") != 7:
        raise CheckpointError(one_line(where, "has a decoder whose kernel_size is not 7", "get a published one"))
    there = _stack(parts["compressor"], "downscale_factors")
    back = _stack(parts["decompressor"], "upscale_factors")
    speech = _speech(encoder, where)
    size = 2**there.out_width if there.out_width <= 30 else 0
    fitting = (
        (there.in_width, speech.width),
        (parts["quantizer"].whole("codebook_size"), size),
        (back.in_width, there.out_width),
        (sorted(back.strides), sorted(there.strides)),
        (back.out_width, decoder.whole("input_dim")),
    )
    for one, other in fitting:
        if one != other:
            problem = f"has parts that do not fit each other ({one} and {other})"
            raise CheckpointError(one_line(where, problem, "get an intact copy"))
    names = {
        "dim": "dim",
        "intermediate": "ffn_dim",
        "layers": "num_layers",
        "n_fft": "n_fft",
        "hop_length": "hop_length",
    }
    vocoder = {ours: decoder.whole(theirs) for ours, theirs in names.items()}
    if not vocoder["hop_length"] <= vocoder["n_fft"] or (vocoder["n_fft"] - vocoder["hop_length"]) % 2:
        raise CheckpointError(one_line(where, "has an n_fft that its hop_length does not fit", "get an intact copy"))
    settings = {f"{part}_config": dict(fields.values) for part, fields in parts.items()}
    return FocalCodecShape(speech, there, back, vocoder, {**_names(), **settings})


def _names() -> dict[str, str]:
    return {f"{part}_name": name for part, name in _NAMES.items()}


def _part(config: Mapping[str, Any], part: str, where: str) -> Fields:
    """Return the section of a part, complete; other fields than ours are of training, or of speed."""
    Fields({f"{part}_name": _NAMES[part], **config}, where).choice(f"{part}_name", [_NAMES[part]])
    section = Fields({f"{part}_config": {}, **config}, where).section(f"{part}_config").values
    if part == "decoder" and "input_channels" in section:
        section = {"input_dim": section["input_channels"], **section}
    usual = _USUAL[part]
    fields = Fields({**usual, **{name: value for name, value in section.items() if name in usual}}, where)
    if "causal" in usual and fields.flag("causal"):
        problem = f"is a causal FocalCodec ({part}), which is not known here"
        raise CheckpointError(one_line(where, problem, "give one of those at 50, 25 and 12.5 Hz"))
    return fields


def _stack(fields: Fields, strides: str) -> FocalStack:
    stack = FocalStack(
        fields.whole("input_dim"),
        fields.wholes("hidden_dims"),
        fields.wholes(strides),
        fields.whole("output_dim"),
        FocalSizes(
            window=fields.whole("focal_window"),
            levels=fields.whole("focal_level"),
            factor=fields.whole("focal_factor", minimum=0),
            norm_after=fields.flag("use_post_norm"),
            scaled=fields.flag("use_layerscale"),
            averaged=fields.flag("normalize_modulator"),
        ),
    )
    # With more, the published padding loses the last frames of some signals.
    if max(stack.strides) > 2 or len(stack.strides) != len(stack.widths):
        problem = f"has {strides} {list(stack.strides)} for {len(stack.widths)} layers"
        raise CheckpointError(one_line(fields.where, problem, "give one whose factors are 1 or 2, one per layer"))
    return stack


def _speech(fields: Fields, where: str) -> SpeechSizes:
    try:
        return SpeechSizes(
            width=fields.whole("dim"),
            layers=fields.whole("num_layers") + 1,
            heads=fields.whole("num_heads"),
            inner=fields.whole("ffn_dim"),
            conv_widths=fields.wholes("hidden_dims"),
            conv_kernels=fields.wholes("kernel_sizes"),
            conv_strides=fields.wholes("strides"),
            conv_norm="layer",
            norm_first=True,
            position_taps=fields.whole("conv_pos"),
            position_groups=fields.whole("conv_pos_groups"),
            buckets=fields.whole("num_buckets"),
            max_distance=fields.whole("max_distance"),
        )
    except ValueError as error:
        raise CheckpointError(one_line(where, f"has sizes that do not fit ({error})", "get an intact copy")) from error
