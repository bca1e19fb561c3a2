"""What published files call the tensors of HuBERT, wav2vec 2.0 and WavLM, and what they are called here.

Three dialects: transformers', fairseq's, in which WavLM's own files are written too, and torchaudio's. Each may stand
under any prefix (`hubert.`, `wavlm.`, `w2v_encoder.w2v_model.`), next to heads that are not needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from tokaudio.checkpoints import fold_weight_norm
from tokaudio.errors import CheckpointError, one_line

# Where a prefix ends.
_FIRST = re.compile(r"(.*?)feature_extractor\.conv_layers\.0\.(conv|0)\.weight$")
# Tensors of the training next to the model, and heads: nothing that hidden states need.
_UNUSED = (
    "masked_spec_embed", "mask_emb", "label_embs_concat", "final_proj.", "quantizer.", "project_q.", "project_hid.",
    "lm_head.", "classifier.", "projector.", "layer_weights", "tdnn.", "feature_extractor_objective.", "aux.",
)  # fmt: skip
# torchaudio's names in those of transformers.
_TORCHAUDIO = (
    ("encoder.feature_projection.", "feature_projection."),
    ("encoder.transformer.", "encoder."),
    (".attention.attention.", ".attention."),
    (".in_proj_weight", ".inputs.weight"),
    (".in_proj_bias", ".inputs.bias"),
)
_NAMES = (
    # Convolutions over samples: transformers, then fairseq, where a norm of a step is inside two transpositions.
    (r"feature_extractor\.conv_layers\.(\d+)\.conv", r"front.convs.\1"),
    (r"feature_extractor\.conv_layers\.(\d+)\.layer_norm", r"front.norms.\1"),
    (r"feature_extractor\.conv_layers\.(\d+)\.0", r"front.convs.\1"),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.1", r"front.norms.\1"),
    (r"feature_extractor\.conv_layers\.(\d+)\.2", r"front.norms.\1"),
    (r"feature_projection\.layer_norm", "front_norm"),
    (r"feature_projection\.projection", "projection"),
    (r"layer_norm", "front_norm"),
    (r"post_extract_proj", "projection"),
    (r"encoder\.pos_conv_embed\.conv", "positions.conv"),
    (r"encoder\.pos_conv\.0", "positions.conv"),
    (r"encoder\.layer_norm", "norm"),
    # WavLM's distances are in the first layer, and serve all.
    (r"encoder\.layers\.0\.attention\.rel_attn_embed", "distances.table"),
    (r"encoder\.layers\.0\.self_attn\.relative_attention_bias", "distances.table"),
    # Layers of the transformer.
    (r"encoder\.layers\.(\d+)\.(?:attention|self_attn)\.([qkv])_proj", r"layers.\1.attention.\2"),
    (r"encoder\.layers\.(\d+)\.attention\.inputs", r"layers.\1.attention.inputs"),
    (r"encoder\.layers\.(\d+)\.(?:attention|self_attn)\.out_proj", r"layers.\1.attention.out"),
    (r"encoder\.layers\.(\d+)\.attention\.gru_rel_pos_linear", r"layers.\1.attention.gate"),
    (r"encoder\.layers\.(\d+)\.self_attn\.grep_linear", r"layers.\1.attention.gate"),
    (r"encoder\.layers\.(\d+)\.(?:self_attn_)?layer_norm", r"layers.\1.norm1"),
    (r"encoder\.layers\.(\d+)\.final_layer_norm", r"layers.\1.norm2"),
    (r"encoder\.layers\.(\d+)\.(?:feed_forward\.intermediate_dense|fc1)", r"layers.\1.up"),
    (r"encoder\.layers\.(\d+)\.(?:feed_forward\.output_dense|fc2)", r"layers.\1.down"),
)  # fmt: skip
_PATTERNS = [(re.compile(rf"{theirs}\.(weight|bias)"), ours) for theirs, ours in _NAMES]
_SCALE = re.compile(r"encoder\.layers\.(\d+)\.(?:attention\.gru_rel_pos_const|self_attn\.grep_a)")
_LAYER = re.compile(r"layers\.(\d+)\.")


def speech_tensors(tensors: Mapping[str, Tensor], *, layers: int | None = None, where: str = "") -> dict[str, Tensor]:
    """Return the tensors of a [`SpeechModel`][tokaudio.nn.ssl.SpeechModel] under our names, weight norm folded.

    Tensors beside the model (heads, parts of the training, other parts of a file) are left out; those inside it that
    nobody knows stay as they are, so that a check against the model refuses them by name.

    Args:
        tensors: by published names, of either dialect.
        layers: how many layers of the transformer are kept, from the first; all by default.
        where: the file, for messages.

    Raises:
        CheckpointError: there is no such model among them, or more than one.

    Example:
        >>> sorted(speech_tensors({"hubert.feature_extractor.conv_layers.0.conv.weight": torch.zeros(1, 1, 10)}))
        ['front.convs.0.weight']
    """
    prefixes = {match[1] for name in tensors if (match := _FIRST.match(name))}
    if len(prefixes) != 1:
        problem = f"holds {len(prefixes) or 'none'} of HuBERT, wav2vec 2.0 and WavLM, where one is wanted"
        raise CheckpointError(one_line(where or "checkpoint", problem, "give the weights of one"))
    (prefix,) = prefixes
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    own = {name: tensor for name, tensor in own.items() if not name.startswith(_UNUSED)}
    named = {_ours(name): value for name, value in fold_weight_norm(own, where=where or "checkpoint").items()}
    if layers is not None:
        named = {name: value for name, value in named.items() if _number(name) < layers}
    return _joined(named)


def layers_of(tensors: Mapping[str, Tensor]) -> int:
    """Return how many layers the transformer has, of which there are tensors under our names.

    Example:
        >>> layers_of({"layers.11.up.bias": torch.zeros(1), "norm.bias": torch.zeros(1)})
        12
    """
    return max((_number(name) for name in tensors), default=-1) + 1


def _number(name: str) -> int:
    match = _LAYER.match(name)
    return int(match[1]) if match else -1


def _ours(name: str) -> str:
    for torchaudios, transformers in _TORCHAUDIO:
        name = name.replace(torchaudios, transformers)
    if match := _SCALE.fullmatch(name):
        return f"layers.{match[1]}.attention.gate_scale"
    for pattern, ours in _PATTERNS:
        if match := pattern.fullmatch(name):
            return f"{match.expand(ours)}.{match[match.re.groups]}"
    return name


def _joined(named: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put queries, keys and values of each layer into one tensor; scales of gates become one per head."""
    joined: dict[str, Tensor] = {}
    for name, value in named.items():
        stem, part, ending = name.rpartition(".attention.")
        if part and ending in ("q.weight", "q.bias"):
            others = [named.get(f"{stem}{part}{which}{ending[1:]}") for which in "kv"]
            if all(other is not None and other.shape == value.shape for other in others):
                joined[f"{stem}{part}inputs{ending[1:]}"] = torch.cat([value, *others])  # type: ignore[list-item]
                continue
        elif part and ending in ("k.weight", "k.bias", "v.weight", "v.bias"):
            query = named.get(f"{stem}{part}q{ending[1:]}")
            twin = named.get(f"{stem}{part}{'v' if ending[0] == 'k' else 'k'}{ending[1:]}")
            if query is not None and twin is not None and query.shape == twin.shape == value.shape:
                continue
        joined[name] = value.flatten() if ending == "gate_scale" else value
    return joined
