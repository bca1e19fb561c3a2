"""How published Mimi files name their tensors: the port in transformers, and the authors' own (the package moshi)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.seanet import seanet_name
from tokaudio.nn.transformer import halves_from_pairs
from tokaudio.tokenizers.published import PublishedSource

Layout = Literal["moshi", "transformers"]

# The authors' repositories hold a language model beside the tokenizer.
PREFER = ("tokenizer-*.safetensors",)
# A codebook is the sum of the vectors assigned to each code divided by their number, which is at least this.
_LEAST_USAGE = 1e-5

# Names in either layout, then ours. SEANet's layers are renamed by `seanet_name`.
CODEBOOK = re.compile(
    r"quantizer\.(?:(rvq_first|semantic_residual_vector_quantizer)|rvq_rest|acoustic_residual_vector_quantizer)\."
    r"(?:vq\.)?layers\.(\d+)\.(?:_codebook|codebook)\.(\w+)"
)
BOOK_PARTS = {
    **dict.fromkeys(("embedding_sum", "embed_sum", "embed_avg"), "sum"),
    **dict.fromkeys(("cluster_usage", "cluster_size"), "usage"),
    **dict.fromkeys(("_initialized", "initialized", "inited"), "started"),
}
_RENAMED = (
    (r"quantizer\.(?:rvq_first|semantic_residual_vector_quantizer)\.", "quantizer.semantic."),
    (r"quantizer\.(?:rvq_rest|acoustic_residual_vector_quantizer)\.", "quantizer.acoustic."),
    (r"\.input_proj\.", ".inward."),
    (r"\.output_proj\.", ".outward."),
    (r"^downsample\.(?:conv\.)+", "encoder.downsample."),
    (r"^upsample\.(?:convtr\.|conv\.)+", "decoder.upsample."),
    (r"^(encoder|decoder)_transformer\.(?:transformer\.)?", r"\1.transformer."),
    (r"\.self_attn\.(?:out_projs\.0|out_proj|o_proj)\.", ".out."),
    (r"\.self_attn\.(?:in_projs\.0\.weight|in_proj\.weight|in_proj_weight)$", ".qkv.weight"),
    (r"\.(?:linear1|mlp\.fc1)\.", ".up."),
    (r"\.(?:linear2|mlp\.fc2)\.", ".down."),
    (r"\.input_layernorm\.", ".norm1."),
    (r"\.post_attention_layernorm\.", ".norm2."),
    (r"\.(?:layer_scale_1|self_attn_layer_scale)\.scale$", ".scale1"),
    (r"\.(?:layer_scale_2|mlp_layer_scale)\.scale$", ".scale2"),
)
_PART = re.compile(r"(.*)\.self_attn\.([qkv])_proj\.weight")


def layout_of(source: PublishedSource) -> Layout | None:
    """Return which layout files are in, by names of tensors; None if they are no Mimi's."""
    names = source.names(PREFER)
    if "quantizer.rvq_first.input_proj.weight" in names and "encoder.model.0.conv.conv.weight" in names:
        return "moshi"
    semantic = "quantizer.semantic_residual_vector_quantizer.input_proj.weight"
    return "transformers" if {semantic, "encoder.layers.0.conv.weight", "downsample.conv.weight"} <= names else None


def our_name(name: str) -> str:
    """Return our name of a tensor from that of either layout; codebooks and single q, k, v aside.

    Example:
        >>> our_name("encoder_transformer.transformer.layers.0.self_attn.in_proj_weight")
        'encoder.transformer.layers.0.qkv.weight'
        >>> our_name("decoder.layers.3.block.1.conv.bias"), our_name("upsample.convtr.convtr.convtr.weight")
        ('decoder.seanet.layers.3.body.1.bias', 'decoder.upsample.weight')
    """
    if re.match(r"(?:en|de)coder\.(?:model|layers)\.", name):
        return re.sub(r"^(encoder|decoder)\.", r"\1.seanet.", seanet_name(name))
    for pattern, ours in _RENAMED:
        name = re.sub(pattern, ours, name)
    return name


def our_tensors(source: PublishedSource, layout: Layout, heads: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors under our names, and for each of them a name of the file that it comes from.

    Codebooks become vectors; q, k and v one matrix, whose heads are rotated in halves.

    Raises:
        CheckpointError: if a tensor is not finite, or a codebook or an attention lacks a part.
    """
    where = str(source.checkpoint(PREFER).path)
    made: dict[str, Tensor] = {}
    origins: dict[str, str] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in source.tensors(PREFER).items():
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(one_line(where, f"tensor {name!r} holds a NaN or an Inf", "get an intact copy"))
        ours, part = _place(name)
        origins.setdefault(ours, name)
        if part == "whole":
            made[ours] = value
        elif part != "started":
            parts.setdefault(ours, {})[part] = value
    for ours, found in parts.items():
        made[ours] = _joined(found, origins[ours], where)
    for ours, value in made.items():
        if ours.endswith("ward.weight") and value.ndim == 3 and value.shape[2] == 1:
            made[ours] = value[..., 0]
        if layout == "moshi" and ours.endswith(".qkv.weight") and value.ndim == 2 and not len(value) % (6 * heads):
            query, key, rest = value.chunk(3)
            made[ours] = torch.cat([halves_from_pairs(query, heads), halves_from_pairs(key, heads), rest])
    return made, origins


def _place(name: str) -> tuple[str, str]:
    """Return our name for what a tensor belongs to, and which part of it the tensor is: `whole` for all of it."""
    if match := CODEBOOK.fullmatch(name):
        side = "semantic" if match[1] else "acoustic"
        if match[3] in BOOK_PARTS:
            return f"quantizer.{side}.chain.levels.{match[2]}.book.table", BOOK_PARTS[match[3]]
    if match := _PART.fullmatch(name):
        return our_name(f"{match[1]}.qkv.weight"), match[2]
    return our_name(name), "whole"


def _joined(found: Mapping[str, Tensor], name: str, where: str) -> Tensor:
    """Return the one tensor that parts make up: a codebook from sums and numbers, or a matrix from q, k and v."""
    wanted = ("sum", "usage") if set(found) <= {"sum", "usage"} else tuple("qkv")
    shapes = [tuple(found[part].shape) if part in found else () for part in wanted]
    fits = (
        shapes[0][:1] == shapes[1] if "usage" in wanted else all(len(s) == 2 and s[1] == shapes[0][1] for s in shapes)
    )
    if set(found) != set(wanted) or len(shapes[0]) != 2 or not fits:
        problem = f"lacks a part of the {'codebook' if 'usage' in wanted else 'attention'} of tensor {name!r}"
        raise CheckpointError(one_line(where, f"{problem}, or they do not fit together", "get an intact copy"))
    if "usage" in wanted:
        return found["sum"].float() / found["usage"].float().clamp(min=_LEAST_USAGE)[:, None]
    return torch.cat([found[part] for part in wanted])
