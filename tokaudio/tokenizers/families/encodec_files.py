"""How published EnCodec files say what they hold: the configuration of transformers, or the tensors alone.

The first release (arXiv:2210.13438) is a flat state dict without configuration. Sizes then follow from the shapes;
what shapes do not show is one of two published models: causal at 24 kHz, or stereo at 48 kHz with group norm.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.seanet import seanet_name
from tokaudio.tokenizers.published import PublishedSource

# Beginnings of the names of a codebook's tensors in both layouts, and the statistics of training beside the vectors.
_CODEBOOK = re.compile(r"quantizer\.(?:vq\.)?layers\.(\d+)\.(?:codebook|_codebook)\.(\w+)")
_STATISTICS = {"inited", "cluster_size", "embed_avg"}
_FIRST = ("quantizer.layers.0.codebook.embed", "quantizer.vq.layers.0._codebook.embed")
_FRONT = ("encoder.layers.0.conv.weight", "encoder.model.0.conv.conv.weight")


def is_encodec(source: PublishedSource) -> bool:
    """Return whether files are of EnCodec: by `model_type` or, without it, by names of tensors."""
    config = source.config or {}
    if "model_type" in config:
        return config["model_type"] == "encodec"
    names = source.names()
    known = any(first in names and front in names for first, front in zip(_FIRST, _FRONT, strict=True))
    # SpeechTokenizer has the same names, and more.
    return known and "transform.weight" not in names and not any("_reverse" in name for name in names)


def our_names(published: Collection[str]) -> dict[str, str]:
    """Return the published names of tensors by ours, without the statistics of training.

    Example:
        >>> our_names(["encoder.layers.0.conv.bias", "quantizer.layers.0.codebook.embed_avg"])
        {'encoder.layers.0.bias': 'encoder.layers.0.conv.bias'}
    """
    normed = any(name.endswith(".norm.weight") for name in published)
    ours = {}
    for name in published:
        if match := _CODEBOOK.fullmatch(name):
            if match[2] not in _STATISTICS:
                ours[f"quantizer.levels.{match[1]}.book.{'table' if match[2] == 'embed' else match[2]}"] = name
        else:
            ours[seanet_name(name, normed=normed)] = name
    return ours


def sizes(source: PublishedSource, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what `EnCodec.from_config` takes besides the spec, and `sample_rate`.

    Raises:
        CheckpointError: if the files leave it open.
    """
    books = [value for name, value in tensors.items() if name.endswith(".book.table")]
    if not books or any(value.ndim != 2 for value in books):
        raise CheckpointError(one_line(source.path, "holds no codebooks [V, D]", "get an intact copy"))
    made = _configured(source.config) if source.config else _inferred(source, tensors)
    made["quantizer"] = {"codebook_size": books[0].shape[0], "num_codebooks": len(books)}
    if source.config:
        size = source.config.get("codebook_size", 1024)
        if size != books[0].shape[0]:
            problem = f"has codebooks of {books[0].shape[0]} codes, and {size} in its configuration"
            raise CheckpointError(one_line(source.path, problem, "get both files from one place"))
    return made


def _configured(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return sizes as transformers' configuration gives them; fields that it leaves out have its defaults."""
    rate = config.get("sampling_rate", 24_000)
    network = {ours: config[theirs] for ours, theirs in _FIELDS.items() if theirs in config}
    normed = config.get("norm_type", "weight_norm") == "time_group_norm"
    network |= {
        "causal": bool(config.get("use_causal_conv", True)),
        "norm": "group" if normed else "none",
        "padding": {"reflect": "reflect", "constant": "zeros", "replicate": "replicate"}[
            config.get("pad_mode", "reflect")
        ],
    }
    if config.get("codebook_dim") not in (None, network.get("dimension", 128)):
        raise ValueError(f"codebooks of width {config['codebook_dim']} for latents of {network.get('dimension', 128)}")
    segment = None
    if config.get("chunk_length_s") is not None:
        length = int(config["chunk_length_s"] * rate)
        stride = max(1, int((1.0 - (config.get("overlap") or 0.0)) * length))
        segment = {"length": length, "stride": stride}
    return {
        "network": network,
        "segment": segment,
        "normalize": bool(config.get("normalize", False)),
        "sample_rate": rate,
    }


# Our name of a size -> that of transformers' configuration.
_FIELDS = {
    "channels": "audio_channels",
    "filters": "num_filters",
    "dimension": "hidden_size",
    "ratios": "upsampling_ratios",
    "kernel_size": "kernel_size",
    "last_kernel_size": "last_kernel_size",
    "residual_kernel_size": "residual_kernel_size",
    "residual_layers": "num_residual_layers",
    "dilation_base": "dilation_growth_rate",
    "compress": "compress",
    "trim_right_ratio": "trim_right_ratio",
    "conv_shortcut": "use_conv_shortcut",
    "lstm_layers": "num_lstm_layers",
}


def _inferred(source: PublishedSource, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the sizes of the first release's files from the shapes of their tensors."""
    normed = any(name.endswith(".norm.weight") for name in tensors)
    name = re.compile(r"encoder\.layers\.(\d+)\." + (r"conv\.weight" if normed else "weight"))
    convs = {int(match[1]): tensors[key] for key in tensors if (match := name.fullmatch(key))}
    first, *strided, last = (convs[number] for number in sorted(convs))
    hidden = tensors[f"encoder.layers.1.body.1.{'conv.' if normed else ''}weight"]
    numbers = sorted(convs)
    network = {
        "channels": first.shape[1],
        "filters": first.shape[0],
        "dimension": last.shape[0],
        "ratios": [weight.shape[2] // 2 for weight in reversed(strided)],
        "kernel_size": first.shape[2],
        "last_kernel_size": last.shape[2],
        "residual_kernel_size": hidden.shape[2],
        "residual_layers": numbers[1] - numbers[0] - 2,
        "compress": first.shape[0] // hidden.shape[0],
        "conv_shortcut": any(".shortcut." in key for key in tensors),
        "lstm_layers": sum(".weight_ih_l" in key for key in tensors if key.startswith("encoder.")),
        "causal": not normed,
        "norm": "group" if normed else "none",
    }
    stereo = first.shape[1] == 2
    if stereo != normed:
        problem = "has no configuration, and is neither of the two models that were released without one"
        raise CheckpointError(one_line(source.path, problem, "put its config.json next to it"))
    segment = {"length": 48_000, "stride": 47_520} if stereo else None
    rate = 48_000 if stereo else 24_000
    return {"network": network, "segment": segment, "normalize": stereo, "sample_rate": rate}
