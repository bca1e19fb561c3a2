"""What published files call the tensors of FocalCodec, and what they are called here.

They exist in two layouts, of versions 0.0.1 and 0.0.2 of the authors' package; the configuration is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# Kept by version 0.0.1 beside the weights: a norm that is not used, and tables that follow from the size.
_UNUSED = ("encoder.encoder.norm.", "quantizer.")
_BLOCK = (
    (r"modulation_norm\.", "norm1."),
    (r"feed_forward_norm\.", "norm2."),
    (r"modulation\.in_proj\.", "modulation.inputs."),
    (r"modulation\.layers\.(\d+)\.0\.", r"modulation.contexts.\1."),
    (r"modulation\.context_proj\.", "modulation.mix."),
    (r"modulation\.out_proj\.", "modulation.out."),
    (r"feed_forward\.in_proj\.", "up."),
    (r"feed_forward\.out_proj\.", "down."),
    (r"modulation_gamma", "scale1"),
    (r"feed_forward_gamma", "scale2"),
)
_PATTERNS = (
    (r"encoder\.feature_extractor\.layers\.(\d+)\.conv\.", r"encoder.speech.front.convs.\1."),
    (r"encoder\.feature_extractor\.layers\.(\d+)\.norm\.", r"encoder.speech.front.norms.\1."),
    (r"encoder\.norm\.", "encoder.speech.front_norm."),
    (r"encoder\.feature_proj\.", "encoder.speech.projection."),
    (r"encoder\.encoder\.positional_embedding\.", "encoder.speech.positions."),
    (r"encoder\.encoder\.relative_embedding\.", "encoder.speech.distances.table."),
    (r"encoder\.encoder\.layers\.(\d+)\.attention_norm\.", r"encoder.speech.layers.\1.norm1."),
    (r"encoder\.encoder\.layers\.(\d+)\.feed_forward_norm\.", r"encoder.speech.layers.\1.norm2."),
    (r"encoder\.encoder\.layers\.(\d+)\.attention\.qkv_proj\.", r"encoder.speech.layers.\1.attention.inputs."),
    (r"encoder\.encoder\.layers\.(\d+)\.attention\.out_proj\.", r"encoder.speech.layers.\1.attention.out."),
    (r"encoder\.encoder\.layers\.(\d+)\.attention\.gru_rel_pos_linear\.", r"encoder.speech.layers.\1.attention.gate."),
    (
        r"encoder\.encoder\.layers\.(\d+)\.attention\.gru_rel_pos_const",
        r"encoder.speech.layers.\1.attention.gate_scale",
    ),
    (r"encoder\.encoder\.layers\.(\d+)\.feed_forward\.in_proj\.", r"encoder.speech.layers.\1.up."),
    (r"encoder\.encoder\.layers\.(\d+)\.feed_forward\.out_proj\.", r"encoder.speech.layers.\1.down."),
    (r"compressor\.layers\.(\d+)\.(?:downscale|0)\.downscale\.", r"encoder.compressor.layers.\1.conv."),
    (r"compressor\.layers\.(\d+)\.(?:downscale|0)\.activation\.", r"encoder.compressor.layers.\1.activation."),
    (r"compressor\.layers\.(\d+)\.(?:focal_block|1)\.", r"encoder.compressor.layers.\1.block."),
    (r"compressor\.out_proj\.", "encoder.compressor.out."),
    (r"decompressor\.in_proj\.", "decoder.decompressor.inputs."),
    (r"decompressor\.layers\.(\d+)\.(?:upscale|1)\.upscale\.", r"decoder.decompressor.layers.\1.conv."),
    (r"decompressor\.layers\.(\d+)\.(?:upscale|1)\.activation\.", r"decoder.decompressor.layers.\1.activation."),
    (r"decompressor\.layers\.(\d+)\.(?:focal_block|0)\.", r"decoder.decompressor.layers.\1.block."),
    (r"decoder\.backbone\.embedding\.", "decoder.embed."),
    (r"decoder\.backbone\.input_norm\.", "decoder.norm."),
    (r"decoder\.backbone\.layers\.(\d+)\.", r"decoder.convnext.\1."),
    (r"decoder\.backbone\.output_norm\.", "decoder.final_norm."),
    (r"decoder\.head\.proj\.", "decoder.head.out."),
)  # fmt: skip


def needed_tensors(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of either layout in the shapes that are used here, and their names by ours.

    Those that are not needed are left out. Names that nobody knows stay as they are, so that a check refuses them.

    Example:
        >>> needed_tensors({"compressor.layers.0.1.modulation_norm.bias": torch.zeros(2)})[1]
        {'encoder.compressor.layers.0.block.norm1.bias': 'compressor.layers.0.1.modulation_norm.bias'}
    """
    kept, names = {}, {}
    for name, value in _joined(tensors).items():
        if not name.startswith(_UNUSED):
            ours = _our_name(name)
            flat = ours.endswith((".gate_scale", ".alpha"))
            kept[name] = value.flatten() if flat else value.flatten(1) if ours.endswith("mix.weight") else value
            names[ours] = name
    return kept, names


def _our_name(name: str) -> str:
    for theirs, ours in _PATTERNS:
        if match := re.match(theirs, name):
            stem, block, rest = (match.expand(ours) + name[match.end() :]).partition(".block.")
            for inner, own in _BLOCK if block else ():
                if found := re.match(inner, rest):
                    return f"{stem}{block}{found.expand(own)}{rest[found.end() :]}"
            return f"{stem}{block}{rest}"
    return name


def _joined(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put queries, keys and values of each layer into one tensor, where they are three."""
    joined = dict(tensors)
    for name in tensors:
        stem, query, ending = name.rpartition("q_proj.")
        parts = [tensors.get(f"{stem}{which}_proj.{ending}") for which in "qkv"] if query else [None]
        found = [part for part in parts if part is not None]
        if len(found) == 3 and len({part.shape for part in found}) == 1:
            joined[f"{stem}qkv_proj.{ending}"] = torch.cat(found)
            for which in "qkv":
                del joined[f"{stem}{which}_proj.{ending}"]
    return joined
