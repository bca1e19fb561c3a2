"""How the published file of the Qwen3-TTS tokenizer at 12 Hz names its tensors, and what its configuration says.

Its encoder is a Mimi in the layout of transformers, without a decoder; its decoder has a quantizer in the layout of
Mimi's authors. Both are read by Mimi's own tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.qwen3tts import DecoderSizes
from tokaudio.tokenizers.families.fields import Fields
from tokaudio.tokenizers.families.mimi_files import our_tensors as mimi_tensors
from tokaudio.tokenizers.families.mimi_sizes import sizes_of as mimi_sizes
from tokaudio.tokenizers.published import PublishedSource

MARKS = {
    "encoder.quantizer.semantic_residual_vector_quantizer.input_proj.weight",
    "decoder.pre_transformer.input_proj.weight",
}
# What the published class supposes of a field that is left out.
_DEFAULTS: dict[str, Any] = {
    "attention_bias": False,
    "hidden_act": "silu",
    "num_semantic_quantizers": 1,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10_000.0,
}
# Endings of names inside a layer of the transformer, then ours; and ours that are made of several.
_LAYER = {
    "input_layernorm.weight": "norm1.weight",
    "post_attention_layernorm.weight": "norm2.weight",
    "self_attn_layer_scale.scale": "scale1",
    "mlp_layer_scale.scale": "scale2",
    "self_attn.o_proj.weight": "out.weight",
    "mlp.down_proj.weight": "down.weight",
}
_JOINED = {
    "qkv.weight": ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
    "gates.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
}
_PER_STEP = {"norm": "norm", "pwconv1": "widen", "pwconv2": "narrow"}
_LEVEL = re.compile(r"quantizer\.acoustic_residual_vector_quantizer\.layers\.(\d+)\.")
Sources = tuple[str, ...]


class QwenSizes(NamedTuple):
    """What a configuration says.

    Attributes:
        mimi: sizes of the encoder, as `Mimi.from_config` takes them, with its number of codebooks cut to those used.
        decoder: sizes.
        words: arguments of the decoder's quantizer.
    """

    mimi: dict[str, Any]
    decoder: DecoderSizes
    words: dict[str, Any]


class _Part(PublishedSource):
    """The tensors of one part of a file, under the names that they would have in a file of their own."""

    def __init__(self, whole: PublishedSource, start: str, config: dict[str, Any], keep: Callable[[str], bool]) -> None:
        super().__init__(whole.path, name=whole.name)
        self.config = config
        tensors = {name.removeprefix(start): v for name, v in whole.tensors().items() if name.startswith(start)}
        self.kept = {name: value for name, value in tensors.items() if keep(name)}

    def tensors(self, prefer: Sequence[str] = ()) -> dict[str, Tensor]:
        """Return the tensors of the part."""
        return self.kept


def sizes_of(source: PublishedSource, where: str) -> QwenSizes:
    """Return the sizes of `config.json`.

    Raises:
        CheckpointError: if a size is missing or impossible, or means a network that is not known.
    """
    if source.config is None:
        raise CheckpointError(one_line(where, "has no configuration (config.json)", "get the published files"))
    fields = Fields(source.config, where)
    count = fields.whole("encoder_valid_num_quantizers", minimum=2)
    part = _Part(source, "encoder.", dict(fields.section("encoder_config").values), bool)
    mimi = mimi_sizes(part, "transformers")
    if mimi["quantizer"]["num_codebooks"] < count:
        has = mimi["quantizer"]["num_codebooks"]
        raise CheckpointError(one_line(where, f"uses {count} of {has} codebooks", "get an intact copy"))
    mimi["quantizer"] = {**mimi["quantizer"], "num_codebooks": count}
    decoder = fields.section("decoder_config")
    decoder = Fields({**_DEFAULTS, **decoder.values}, where)
    sizes = _decoder(decoder)
    hop = math.prod(mimi["network"]["ratios"]) * mimi["stride"]
    for name, found, wanted in (
        ("attention_bias", decoder.flag("attention_bias"), False),
        ("hidden_act", decoder.get("hidden_act"), "silu"),
        ("num_key_value_heads", decoder.whole("num_key_value_heads"), sizes.heads),
        ("num_semantic_quantizers", decoder.whole("num_semantic_quantizers"), mimi["quantizer"]["num_semantic"]),
        ("num_quantizers", decoder.whole("num_quantizers"), count),
        ("codebook_size", decoder.whole("codebook_size"), mimi["quantizer"]["codebook_size"]),
        ("input_sample_rate", fields.whole("input_sample_rate"), mimi["sample_rate"]),
        ("output_sample_rate", fields.whole("output_sample_rate"), mimi["sample_rate"]),
        ("decode_upsample_rate", fields.whole("decode_upsample_rate"), hop),
        ("upsample_rates that make", sizes.hop_length, hop),
    ):
        if found != wanted:
            problem = f"has {name} {ascii(found)[:60]} in its configuration"
            raise CheckpointError(one_line(where, problem, f"only {wanted!r} is known beside its other fields"))
    words = {"codebook_size": decoder.whole("codebook_size"), "codebook_dim": sizes.vector_dim // 2}
    return QwenSizes(mimi, sizes, words)


def our_tensors(source: PublishedSource, sizes: QwenSizes, where: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors under our names, and for each of them a name of the file that it comes from.

    Codebooks of the encoder beyond those that are used are left out.

    Raises:
        CheckpointError: if a tensor is not finite, or a codebook or a matrix lacks a part.
    """
    used = sizes.mimi["quantizer"]["num_codebooks"] - sizes.mimi["quantizer"]["num_semantic"]
    heads = sizes.mimi["transformer"]["heads"]

    def is_used(name: str) -> bool:
        found = _LEVEL.match(name)
        return found is None or int(found[1]) < used

    def is_quantizer(name: str) -> bool:
        return name.startswith("quantizer.")

    made, names = mimi_tensors(_Part(source, "encoder.", {}, is_used), "transformers", heads)
    origins = {ours: f"encoder.{theirs}" for ours, theirs in names.items()}
    words, names = mimi_tensors(_Part(source, "decoder.", {}, is_quantizer), "moshi", heads)
    made |= {ours.replace("quantizer.", "words.", 1): value for ours, value in words.items()}
    origins |= {ours.replace("quantizer.", "words.", 1): f"decoder.{theirs}" for ours, theirs in names.items()}
    others = ("encoder.", "decoder.quantizer.")
    rest = {name: value for name, value in source.tensors().items() if not name.startswith(others)}
    for ours, theirs in decoder_names(sizes.decoder).items():
        missing = [name for name in theirs if name not in rest]
        if missing:
            raise CheckpointError(one_line(where, f"lacks tensor {missing[0]!r}", "get an intact copy"))
        parts = [rest.pop(name) for name in theirs]
        try:
            made[ours] = torch.cat(parts) if len(parts) > 1 else parts[0]
        except RuntimeError as error:
            problem = f"has tensors {theirs[0]!r} and {theirs[1]!r} that do not fit together"
            raise CheckpointError(one_line(where, problem, "get an intact copy")) from error
        origins[ours] = theirs[0]
    return made | rest, origins | {name: name for name in rest}


def decoder_names(sizes: DecoderSizes) -> dict[str, Sources]:
    """Return the names in the file of what each of the decoder's tensors is made from; the quantizer left aside.

    Example:
        >>> names = decoder_names(DecoderSizes())
        >>> names["decoder.transformer.layers.3.gates.weight"][1]
        'decoder.pre_transformer.layers.3.mlp.up_proj.weight'
        >>> names["decoder.blocks.0.2.body.1.act.beta"]
        ('decoder.decoder.1.block.2.act2.beta',)
    """
    names: dict[str, Sources] = {"decoder.norm.weight": ("decoder.pre_transformer.norm.weight",)}

    def layer(ours: str, theirs: str) -> None:
        names.update({f"decoder.{ours}.{part}": (f"decoder.{theirs}.{part}",) for part in ("weight", "bias")})

    def snake(ours: str, theirs: str) -> None:
        names.update({f"decoder.{ours}.{part}": (f"decoder.{theirs}.{part}",) for part in ("alpha", "beta")})

    layer("entry", "pre_conv.conv")
    layer("inward", "pre_transformer.input_proj")
    layer("outward", "pre_transformer.output_proj")
    for number in range(sizes.layers):
        ours, theirs = f"decoder.transformer.layers.{number}", f"decoder.pre_transformer.layers.{number}"
        names |= {f"{ours}.{mine}": (f"{theirs}.{name}",) for name, mine in _LAYER.items()}
        names |= {f"{ours}.{mine}": tuple(f"{theirs}.{n}" for n in several) for mine, several in _JOINED.items()}
    for number in range(len(sizes.doublings)):
        layer(f"upsample.{number}.0", f"upsample.{number}.0.conv")
        layer(f"upsample.{number}.1.body.0", f"upsample.{number}.1.dwconv.conv")
        for name, mine in _PER_STEP.items():
            layer(f"upsample.{number}.1.body.1.{mine}", f"upsample.{number}.1.{name}")
        names[f"decoder.upsample.{number}.1.body.1.scale"] = (f"decoder.upsample.{number}.1.gamma",)
    layer("head", "decoder.0.conv")
    blocks = len(sizes.rates)
    for block in range(blocks):
        ours, theirs = f"blocks.{block}", f"decoder.{block + 1}.block"
        snake(f"{ours}.0", f"{theirs}.0")
        layer(f"{ours}.1", f"{theirs}.1.conv")
        for unit in (2, 3, 4):
            for place in (0, 1):
                snake(f"{ours}.{unit}.body.{place}.act", f"{theirs}.{unit}.act{place + 1}")
                layer(f"{ours}.{unit}.body.{place}.conv", f"{theirs}.{unit}.conv{place + 1}.conv")
    snake("exit.act", f"decoder.{blocks + 1}")
    layer("exit.conv", f"decoder.{blocks + 2}.conv")
    return names


def _decoder(fields: Fields) -> DecoderSizes:
    heads, hidden = fields.whole("num_attention_heads"), fields.whole("hidden_size")
    try:
        return DecoderSizes(
            vector_dim=fields.whole("codebook_dim", minimum=2),
            latent_dim=fields.whole("latent_dim"),
            width=fields.whole("decoder_dim"),
            rates=fields.wholes("upsample_rates"),
            doublings=fields.wholes("upsampling_ratios"),
            layers=fields.whole("num_hidden_layers"),
            hidden_size=hidden,
            heads=heads,
            head_dim=Fields({"head_dim": hidden // heads, **fields.values}, fields.where).whole("head_dim"),
            hidden=fields.whole("intermediate_size"),
            window=fields.whole("sliding_window"),
            max_period=float(fields.get("rope_theta")),
            eps=float(fields.get("rms_norm_eps")),
        )
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            one_line(fields.where, f"has impossible sizes ({error})", "get an intact copy")
        ) from error
