"""HuBERT, wav2vec 2.0 and WavLM from published files: a folder as on the Hub, or a part of a codec's file.

model = load_speech_model("./hubert-base-ls960")
model = speech_model(tensors, speech_sizes(config), layers=6, where=str(path))  # part of another file
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tokaudio.checkpoints.configs import read_mapping
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.ssl import SpeechModel, SpeechSizes
from tokaudio.tokenizers.backbone_names import speech_tensors
from tokaudio.tokenizers.families.fields import Fields
from tokaudio.tokenizers.published import PublishedSource, build

__all__ = ["SPEECH_TYPES", "load_speech_model", "speech_model", "speech_sizes", "speech_tensors"]

# What transformers' feature extractor adds to the variance.
NORMALISE_EPSILON = 1e-7
SPEECH_TYPES = ("hubert", "wav2vec2", "wavlm")
# What fields mean where they are missing: files leave out what is as usual, and older ones what came later.
_USUAL: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_bias": False,
    "feat_extract_norm": "group",
    "feat_proj_layer_norm": True,
    "do_stable_layer_norm": False,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "conv_pos_batch_norm": False,
    "num_buckets": 320,
    "max_bucket_distance": 800,
    "layer_norm_eps": 1e-5,
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "add_adapter": False,
    "adapter_attn_dim": None,
}


def speech_sizes(
    config: Mapping[str, Any], *, normalise: float | None = None, where: str = "config.json"
) -> SpeechSizes:
    """Return the sizes that a configuration of transformers states.

    Args:
        config: its fields; `model_type` must be one of the three models.
        normalise: None, or what is added to the variance when signals are normalised: no field of the configuration.
        where: the file, for messages.

    Raises:
        CheckpointError: it is another model's, or has an impossible value, or a variant that is not known here.

    Example:
        >>> speech_sizes({"model_type": "wavlm", "hidden_size": 1024, "num_attention_heads": 16}).buckets
        320
    """
    fields = Fields({**_USUAL, **config}, where)
    kind = fields.choice("model_type", SPEECH_TYPES)
    for name in ("hidden_act", "feat_extract_activation"):
        fields.choice(name, ["gelu"])
    for name in ("conv_pos_batch_norm", "add_adapter"):
        if fields.flag(name):
            raise CheckpointError(one_line(where, f"has {name}, which is not known here", "give another model"))
    if fields.get("adapter_attn_dim") is not None:
        raise CheckpointError(one_line(where, "has adapters in its layers", "give a model without"))
    epsilon = fields.get("layer_norm_eps")
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise CheckpointError(one_line(where, f"has layer_norm_eps {epsilon!r}", "it must be above 0 and below 1"))
    try:
        return SpeechSizes(
            width=fields.whole("hidden_size"),
            layers=fields.whole("num_hidden_layers"),
            heads=fields.whole("num_attention_heads"),
            inner=fields.whole("intermediate_size"),
            conv_widths=fields.wholes("conv_dim"),
            conv_kernels=fields.wholes("conv_kernel"),
            conv_strides=fields.wholes("conv_stride"),
            conv_bias=fields.flag("conv_bias"),
            conv_norm="group" if fields.choice("feat_extract_norm", ["group", "layer"]) == "group" else "layer",
            projection_norm=fields.flag("feat_proj_layer_norm"),
            norm_first=fields.flag("do_stable_layer_norm"),
            position_taps=fields.whole("num_conv_pos_embeddings"),
            position_groups=fields.whole("num_conv_pos_embedding_groups"),
            buckets=fields.whole("num_buckets") if kind == "wavlm" else 0,
            max_distance=fields.whole("max_bucket_distance"),
            epsilon=epsilon,
            normalise=normalise,
        )
    except ValueError as error:
        raise CheckpointError(one_line(where, f"has sizes that do not fit ({error})", "get an intact copy")) from error


def speech_model(
    tensors: Mapping[str, Tensor], sizes: SpeechSizes, *, layers: int | None = None, where: str = "checkpoint"
) -> SpeechModel:
    """Make a model of tensors under published names; see [`speech_tensors`][tokaudio.tokenizers.backbone_names].

    Args:
        tensors: of a file, or of the part of it that holds the model; other models must not be among them.
        sizes: from `speech_sizes`.
        layers: how many layers of the transformer are kept, from the first; all by default.
        where: the file, for messages.

    Raises:
        CheckpointError: if a tensor is missing, unknown, misshapen or non-finite.
    """
    kept = sizes.layers if layers is None else layers
    if not 0 <= kept <= sizes.layers:
        raise CheckpointError(one_line(where, f"has {sizes.layers} layers, not {kept}", "ask for fewer"))
    own = speech_tensors(tensors, layers=kept, where=where)
    if sizes.norm_first and kept < sizes.layers:
        own.pop("norm.weight", None), own.pop("norm.bias", None)
    return build(lambda: SpeechModel(sizes, layers=kept), own, where).eval()


def load_speech_model(
    path: str | os.PathLike[str], *, layers: int | None = None, normalise: bool | None = None
) -> SpeechModel:
    """Load a folder as on the Hub: `config.json`, weights, `preprocessor_config.json`.

    Args:
        path: the folder, or the file of weights in it.
        layers: how many layers of the transformer are kept, from the first; all by default.
        normalise: whether signals are brought to mean 0 and variance 1; what `preprocessor_config.json` says by
            default.

    Raises:
        CheckpointError: if a file is missing or does not fit.
    """
    source = PublishedSource(path)
    if source.config is None:
        raise CheckpointError(one_line(source.path, "has no config.json", "give a folder with it"))
    if normalise is None:
        normalise = _normalises(source.path if source.path.is_dir() else source.path.parent)
    sizes = speech_sizes(source.config, normalise=NORMALISE_EPSILON if normalise else None, where=str(source.path))
    file = source.checkpoint()
    return speech_model(file.tensors, sizes, layers=layers, where=str(file.path))


def _normalises(folder: Path) -> bool:
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        problem = "is missing, which says whether signals are normalised"
        raise CheckpointError(one_line(path, problem, "get it, or give normalise=True or False"))
    return Fields({"do_normalize": True, **read_mapping(path)}, str(path)).flag("do_normalize")
