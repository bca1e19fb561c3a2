"""How the files of XCodec2 and NeuCodec name their tensors, and the sizes that follow from them.

Two layouts: the authors' (`CodecEnc`, `generator`), without a configuration that tells sizes, and that of transformers
(`acoustic_encoder`, `acoustic_decoder`), with one. NeuCodec's own file leaves the speech model to that model's file.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.ssl.wav2vec2_bert import Wav2Vec2BertSizes
from tokaudio.nn.xcodec2 import HEAD
from tokaudio.tokenizers.families.bigcodec_files import without_filters
from tokaudio.tokenizers.families.fields import Fields

# A tensor that only files of a layout have.
MARKS = {"original": "fc_prior.weight", "transformers": "fc_encoder.weight"}
SPEECH_MARK = "encoder.layers.0.self_attn.distance_embedding.weight"
# Layers of the speech model that are used, of which published files may hold more.
SPEECH_LAYERS = 16
_PREFIX = {"original": "semantic_model.", "transformers": "semantic_encoder."}
# Constants of the layers, and what only training needs.
_UNUSED = re.compile(
    r"generator\.quantizer\.layers\.|generator\.head\.istft\.|fc_post_s\.|SemanticDecoder|.*\.rotary_embed\."
    r"|.*\.upsample\.filter|.*\.downsample\.(lowpass\.)?filter|(semantic_\w+\.)?masked_spec_embed"
)
_SLOPE = re.compile(r"\.act\.bias$")
_SPEECH_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")
_QKV = ("q_proj", "k_proj", "v_proj")
# What transformers leaves out of a configuration where it is as in its class.
_DEFAULTS: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "attention_bias": False,
    "encoder_hidden_size": 48,
    "downsampling_ratios": [2, 2, 4, 4, 5],
    "quantization_dim": 2048,
    "quantization_levels": [4] * 8,
    "input_sampling_rate": 16_000,
    "output_sampling_rate": 24_000,
    "sampling_rate": 16_000,
    "semantic_model_config": {},
}
_SPEECH_DEFAULTS: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": SPEECH_LAYERS,
    "num_attention_heads": 16,
    "feature_projection_input_dim": 160,
    "hidden_act": "swish",
    "position_embeddings_type": "relative_key",
    "left_max_position_embeddings": 64,
    "right_max_position_embeddings": 8,
    "conv_depthwise_kernel_size": 31,
    "layer_norm_eps": 1e-5,
    "add_adapter": False,
}
Pairs = Iterator[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class XCodec2Shape:
    """The sizes of an XCodec2; the defaults are those of the published one.

    Attributes:
        encoder_dim: channels after the acoustic encoder's first convolution.
        strides: of its blocks.
        dim: width of the acoustic encoder's result, and of the decoder.
        hidden: width inside the feed-forward parts of the decoder's transformer.
        layers: of that transformer.
        levels: of the quantizer's dimensions.
        decode_hop: samples per frame of decoded sound.
        edge: zeros around the signal before its mel energies are computed, in samples.
        speech: sizes of the speech model.

    Example:
        >>> XCodec2Shape().hop_length, XCodec2Shape().latents
        (320, 2048)
    """

    encoder_dim: int = 48
    strides: tuple[int, ...] = (2, 2, 4, 4, 5)
    dim: int = 1024
    hidden: int = 4096
    layers: int = 12
    levels: tuple[int, ...] = (4,) * 8
    decode_hop: int = 320
    edge: int = 160
    speech: Wav2Vec2BertSizes = dataclasses.field(default_factory=lambda: Wav2Vec2BertSizes(layers=SPEECH_LAYERS))

    def __post_init__(self) -> None:
        object.__setattr__(self, "strides", tuple(self.strides))
        object.__setattr__(self, "levels", tuple(self.levels))
        if isinstance(self.speech, Mapping):
            object.__setattr__(self, "speech", Wav2Vec2BertSizes(**self.speech))
        numbers = (self.encoder_dim, *self.strides, self.dim, self.hidden, self.layers, *self.levels, self.decode_hop)
        if not all(type(number) is int and number > 0 for number in numbers):
            raise ValueError(f"sizes {numbers} are not all whole numbers above 0")

    @property
    def hop_length(self) -> int:
        """Samples per frame of encoded sound."""
        return math.prod(self.strides)

    @property
    def latents(self) -> int:
        """Width of what is quantized."""
        return self.dim + self.speech.width


def layout_of(names: frozenset[str]) -> str | None:
    """Return the layout that names of tensors, weight norm folded, are of; None if they are of neither family.

    Example:
        >>> layout_of(frozenset(["fc_prior.weight", "generator.backbone.embed.weight"]))
        'original'
    """
    decoder = {"original": "generator.backbone.embed.weight", "transformers": "acoustic_decoder.embed.weight"}
    return next((layout for layout, mark in MARKS.items() if {mark, decoder[layout]} <= names), None)


def is_neucodec(shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any] | None, layout: str) -> bool:
    """Return whether sound comes out at another rate than it goes in: by the configuration, or by the last layer."""
    if layout == "transformers":
        return (config or {}).get("model_type") == "neucodec"
    rows = shapes.get("generator.head.out.weight", (0,))[0]
    return (rows - 2) // 4 != math.prod(_strides(shapes))


def prepared(tensors: Mapping[str, Tensor], layout: str, where: str) -> dict[str, Tensor]:
    """Return the tensors of a file without those that are not needed, weight norm not folded yet.

    Where a weight is there both as it is and as norm and direction, the module that reads it decides, as the authors'
    code does: encoders have weight norm, decoders have none.

    Raises:
        CheckpointError: if a filter has other values than the published ones.
    """
    # Models that were loaded and saved again call the second slope of a bend its bias.
    kept = {_SLOPE.sub(".act.beta", name): value for name, value in without_filters(tensors, where).items()}
    for name in [name for name in kept if f"{name}_g" in kept and f"{name}_v" in kept]:
        for other in (f"{name}_g", f"{name}_v") if name.startswith("generator.") else (name,):
            del kept[other]
    prefix = _PREFIX[layout]
    return {
        name: value
        for name, value in kept.items()
        if not _UNUSED.match(name) and not (name.startswith(prefix) and beyond(name.removeprefix(prefix)))
    }


def beyond(name: str) -> bool:
    """Return whether a tensor of the speech model is of a layer that is not used.

    Example:
        >>> beyond("encoder.layers.16.ffn1.output_dense.bias"), beyond("encoder.layers.2.ffn1.output_dense.bias")
        (True, False)
    """
    match = _SPEECH_LAYER.match(name)
    return match is not None and int(match[1]) >= SPEECH_LAYERS


def joined_rows(tensors: dict[str, Tensor], layers: int, where: str) -> dict[str, Tensor]:
    """Return tensors of transformers' layout with queries, keys and values of each layer as one, as the authors have.

    Raises:
        CheckpointError: if one of them is missing or misshapen.
    """
    out = dict(tensors)
    for layer in range(layers):
        stem = f"acoustic_decoder.layers.{layer}.self_attn"
        names = [f"{stem}.{part}.weight" for part in _QKV]
        for name in names:
            if name not in out:
                raise CheckpointError(one_line(where, f"lacks tensor {name!r}", "get an intact copy"))
            if out[name].shape != out[names[0]].shape:
                problem = f"tensor {name!r} has shape {list(out[name].shape)}, not {list(out[names[0]].shape)}"
                raise CheckpointError(one_line(where, problem, "get an intact copy"))
        out[f"{stem}.qkv_proj.weight"] = torch.cat([out.pop(name) for name in names])
    return out


# --- sizes ---------------------------------------------------------------------------------------------------------


def shape_from_config(config: Mapping[str, Any], where: str) -> XCodec2Shape:
    """Return the sizes that transformers' `config.json` states.

    Raises:
        CheckpointError: if a field is impossible, or asks for what no published model has.
    """
    fields = Fields({**_DEFAULTS, **config}, where)
    speech = Fields({**_SPEECH_DEFAULTS, **fields.section("semantic_model_config").values}, where)
    for section, name, only in (
        (fields, "hidden_act", "silu"),
        (speech, "hidden_act", "swish"),
        (speech, "position_embeddings_type", "relative_key"),
    ):
        section.choice(name, [only])
    dim, heads = fields.whole("hidden_size"), fields.whole("num_attention_heads")
    neucodec = config.get("model_type") == "neucodec"
    hop = math.prod(fields.wholes("downsampling_ratios"))
    rates = ("input_sampling_rate", "output_sampling_rate") if neucodec else ("sampling_rate", "sampling_rate")
    taken, given = (fields.whole(name) for name in rates)
    odd = heads * HEAD != dim or fields.whole("num_key_value_heads") != heads or fields.flag("attention_bias")
    if odd or speech.flag("add_adapter") or taken != 16_000 or fields.get("rms_norm_eps") != 1e-6:
        problem = "has another kind of layers in its configuration than any published model"
        raise CheckpointError(one_line(where, problem, "get the configuration that belongs to the weights"))
    return XCodec2Shape(
        encoder_dim=fields.whole("encoder_hidden_size"),
        strides=fields.wholes("downsampling_ratios"),
        dim=dim,
        hidden=fields.whole("intermediate_size"),
        layers=fields.whole("num_hidden_layers"),
        levels=fields.wholes("quantization_levels", minimum=2),
        decode_hop=hop * given // taken,
        edge=0 if neucodec else hop // 2,
        speech=Wav2Vec2BertSizes(
            inputs=speech.whole("feature_projection_input_dim"),
            width=speech.whole("hidden_size"),
            hidden=speech.whole("intermediate_size"),
            layers=speech.whole("num_hidden_layers"),
            heads=speech.whole("num_attention_heads"),
            taps=speech.whole("conv_depthwise_kernel_size"),
            back=speech.whole("left_max_position_embeddings"),
            ahead=speech.whole("right_max_position_embeddings"),
            eps=float(speech.get("layer_norm_eps")),
        ),
    )


def shape_from_tensors(shapes: Mapping[str, tuple[int, ...]], *, neucodec: bool, where: str) -> XCodec2Shape:
    """Return the sizes that tensors of the authors' layout have; what no tensor tells is as in their code.

    Raises:
        CheckpointError: if a tensor that tells a size is missing.
    """

    def size(name: str, axis: int) -> int:
        if len(shapes.get(name, ())) <= axis:
            raise CheckpointError(one_line(where, f"lacks tensor {name!r}, or it is misshapen", "get an intact copy"))
        return shapes[name][axis]

    speech = f"{_PREFIX['original']}encoder.layers"
    hop, dim = math.prod(_strides(shapes)), size("generator.backbone.embed.bias", 0)
    distances, head = (size(f"{speech}.0.self_attn.distance_embedding.weight", axis) for axis in (0, 1))
    sizes = Wav2Vec2BertSizes()
    width = size(f"{speech}.0.final_layer_norm.bias", 0)
    if distances != sizes.back + sizes.ahead + 1 or width % head:
        problem = f"has a speech model with {distances} distances and heads of {head} of {width} dimensions"
        raise CheckpointError(one_line(where, problem, "get the published weights"))
    return XCodec2Shape(
        encoder_dim=size("CodecEnc.conv_blocks.0.bias", 0),
        strides=_strides(shapes),
        dim=dim,
        hidden=size("generator.backbone.transformers.0.mlp.fc1.weight", 0),
        layers=_count(shapes, r"generator\.backbone\.transformers\.(\d+)\.att_norm\.weight"),
        levels=(4,) * size("generator.quantizer.project_in.bias", 0),
        decode_hop=(size("generator.head.out.bias", 0) - 2) // 4,
        edge=0 if neucodec else hop // 2,
        speech=dataclasses.replace(
            sizes,
            inputs=size("semantic_model.feature_projection.layer_norm.bias", 0),
            width=width,
            hidden=size(f"{speech}.0.ffn1.intermediate_dense.bias", 0),
            layers=min(SPEECH_LAYERS, _count(shapes, rf"{re.escape(speech)}\.(\d+)\.final_layer_norm\.bias")),
            heads=width // head,
            taps=size(f"{speech}.0.conv_module.depthwise_conv.weight", 2),
        ),
    )


def _strides(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Return half the lengths of the kernels that shorten, in any dialect of weight norm."""
    pattern = r"CodecEnc\.conv_blocks\.(\d+)\.block\.4\.(weight|weight_v|parametrizations\.weight\.original1)"
    found = {int(match[1]): size[-1] // 2 for name, size in shapes.items() if (match := re.fullmatch(pattern, name))}
    return tuple(found[block] for block in sorted(found)) or (1,)


def _count(names: Mapping[str, Any], pattern: str) -> int:
    return len([name for name in names if re.fullmatch(pattern, name)])
