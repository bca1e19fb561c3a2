"""The name that every tensor of our XCodec2 and NeuCodec has in published files."""

from __future__ import annotations

from collections.abc import Iterator

from tokaudio.tokenizers.families.xcodec2_files import XCodec2Shape

Pairs = Iterator[tuple[str, str]]

_ADAPTER = {
    "original": ("initial_conv", "residual_blocks.1", "residual_blocks.3", "final_conv"),
    "transformers": ("conv1", "conv2", "conv3", "conv4"),
}
# Ours, the authors' and transformers' names of the parts.
_PARTS = {
    "encoder.semantic": ("semantic_model", "semantic_encoder"),
    "encoder.adapter": ("SemanticEncoder_module", "semantic_adapter"),
    "encoder.mix": ("fc_prior", "fc_encoder"),
    "quantizer.down": ("generator.quantizer.project_in", "quantizer.project_in"),
    "quantizer.up": ("generator.quantizer.project_out", "quantizer.project_out"),
    "decoder.project": ("fc_post_a", "acoustic_decoder.fc"),
    "decoder.embed": ("generator.backbone.embed", "acoustic_decoder.embed"),
    "decoder.before": ("generator.backbone.prior_net", "acoustic_decoder.prior_net"),
    "decoder.layers": ("generator.backbone.transformers", "acoustic_decoder.layers"),
    "decoder.after": ("generator.backbone.post_net", "acoustic_decoder.post_net"),
    "decoder.norm": ("generator.backbone.final_layer_norm", "acoustic_decoder.norm"),
    "decoder.head.out": ("generator.head.out", "acoustic_decoder.head.linear"),
}
_LAYER = {
    "norm1": ("att_norm", "input_layernorm"),
    "qkv": ("att.c_attn", "self_attn.qkv_proj"),
    "out": ("att.c_proj", "self_attn.o_proj"),
    "norm2": ("ffn_norm", "post_attention_layernorm"),
    "up": ("mlp.fc1", "mlp.fc1"),
    "down": ("mlp.fc2", "mlp.fc2"),
}


def published_names(shape: XCodec2Shape, layout: str) -> dict[str, str]:
    """Return the published name of every tensor of ours; `qkv_proj` stands for three in transformers' layout.

    Example:
        >>> names = published_names(XCodec2Shape(), "original")
        >>> names["encoder.acoustic.1.4.weight"], names["decoder.layers.0.up.weight"]
        ('CodecEnc.conv_blocks.1.block.4.weight', 'generator.backbone.transformers.0.mlp.fc1.weight')
    """
    pairs = [*_acoustic(shape, layout), *_speech(shape, layout), *_adapter(layout), *_decoder(shape, layout)]
    for part in ("encoder.mix", "quantizer.down", "quantizer.up"):
        pairs += _affine(part, _part(part, layout))
    return dict(pairs)


def _part(ours: str, layout: str) -> str:
    return _PARTS[ours][layout == "transformers"]


def _affine(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.weight", f"{theirs}.weight"
    yield f"{ours}.bias", f"{theirs}.bias"


def _snake(ours: str, theirs: str) -> Pairs:
    yield f"{ours}.alpha", f"{theirs}.act.alpha"
    yield f"{ours}.beta", f"{theirs}.act.beta"


def _acoustic(shape: XCodec2Shape, layout: str) -> Pairs:
    original, blocks = layout == "original", len(shape.strides)
    yield from _affine("encoder.acoustic.0.0", "CodecEnc.conv_blocks.0" if original else "acoustic_encoder.conv1")
    for block in range(1, blocks + 1):
        ours = f"encoder.acoustic.{block}"
        theirs = f"CodecEnc.conv_blocks.{block}.block" if original else f"acoustic_encoder.block.{block - 1}"
        for unit in range(3):
            inner = f"{theirs}.{unit}.block" if original else f"{theirs}.res_unit{unit + 1}"
            parts = ("0", "1", "2", "3") if original else ("snake1", "conv1", "snake2", "conv2")
            for place, part in enumerate(parts):
                kind = _affine if place % 2 else _snake
                yield from kind(f"{ours}.{unit}.body.{place}", f"{inner}.{part}")
        yield from _snake(f"{ours}.3", f"{theirs}.3" if original else f"{theirs}.snake1")
        yield from _affine(f"{ours}.4", f"{theirs}.4" if original else f"{theirs}.conv1")
    last = ("CodecEnc.conv_final_block.0", "CodecEnc.conv_final_block.1")
    snake, conv = last if original else ("acoustic_encoder.snake1", "acoustic_encoder.conv2")
    yield from _snake(f"encoder.acoustic.{blocks + 1}", snake)
    yield from _affine(f"encoder.acoustic.{blocks + 2}", conv)


def speech_names(layers: int) -> list[str]:
    """Return the names of the speech model's tensors, which are those of its own published file.

    Example:
        >>> speech_names(16)[0], len(speech_names(16))
        ('feature_projection.layer_norm.weight', 516)
    """
    names = [f"feature_projection.{part}.{end}" for part in ("layer_norm", "projection") for end in ("weight", "bias")]
    affine = [
        *(
            f"{ffn}{part}"
            for ffn in ("ffn1", "ffn2")
            for part in ("_layer_norm", ".intermediate_dense", ".output_dense")
        ),
        *(f"self_attn.linear_{part}" for part in ("q", "k", "v", "out")),
        *("self_attn_layer_norm", "conv_module.layer_norm", "conv_module.depthwise_layer_norm", "final_layer_norm"),
    ]
    plain = ["self_attn.distance_embedding"]
    plain += [f"conv_module.{part}" for part in ("pointwise_conv1", "depthwise_conv", "pointwise_conv2")]
    for layer in range(layers):
        names += [f"encoder.layers.{layer}.{part}.{end}" for part in affine for end in ("weight", "bias")]
        names += [f"encoder.layers.{layer}.{part}.weight" for part in plain]
    return names


def _speech(shape: XCodec2Shape, layout: str) -> Pairs:
    for name in speech_names(shape.speech.layers):
        yield f"encoder.semantic.{name}", f"{_part('encoder.semantic', layout)}.{name}"


def _adapter(layout: str) -> Pairs:
    first, second, third, last = (f"{_part('encoder.adapter', layout)}.{name}" for name in _ADAPTER[layout])
    yield "encoder.adapter.0.weight", f"{first}.weight"
    yield from _affine("encoder.adapter.2.body.0", second)
    yield from _affine("encoder.adapter.2.body.2", third)
    yield "encoder.adapter.3.weight", f"{last}.weight"


def _decoder(shape: XCodec2Shape, layout: str) -> Pairs:
    for part in ("decoder.project", "decoder.embed", "decoder.norm", "decoder.head.out"):
        yield from _affine(part, _part(part, layout))
    for part in ("decoder.before", "decoder.after"):
        for unit in range(2):
            for place, name in {0: "norm1", 2: "conv1", 3: "norm2", 5: "conv2"}.items():
                yield from _affine(f"{part}.{unit}.body.{place}", f"{_part(part, layout)}.{unit}.{name}")
    for layer in range(shape.layers):
        for name, theirs in _LAYER.items():
            stem = f"{_part('decoder.layers', layout)}.{layer}"
            yield f"decoder.layers.{layer}.{name}.weight", f"{stem}.{theirs[layout == 'transformers']}.weight"
