"""Published files of Whisper: transformers' folders, OpenAI's own files, and CTranslate2's.

Sizes come from `config.json`, from `dims` in the file, or from the shapes of the tensors and `encoder/num_heads`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tokaudio.audio.log_mel import HOP, LENGTH, RATE
from tokaudio.checkpoints import Checkpoint
from tokaudio.checkpoints.configs import read_mapping
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.ssl import WhisperSizes
from tokaudio.tokenizers.families.fields import Fields
from tokaudio.tokenizers.published import PublishedSource, build
from tokaudio.tokenizers.whisper import WhisperModel

# Where a prefix such as `model.encoder.` ends.
_FIRST = re.compile(r"(.*?)conv1[./]weight")
# Names of transformers, OpenAI and CTranslate2, dots for slashes, and ours.
_NAMES = (
    (r"conv([12])", r"conv\1"),
    (r"(?:layer_norm|ln_post)", "norm"),
    (r"(?:layers\.|blocks\.|layer_)(\d+)\.self_attn\.([qkv])_proj", r"layers.\1.attention.\2"),
    (r"(?:layers\.|blocks\.|layer_)(\d+)\.attn\.(?=query\.|key\.|value\.)([qkv])\w+", r"layers.\1.attention.\2"),
    (r"(?:layers\.|blocks\.|layer_)(\d+)\.self_attention\.linear_0", r"layers.\1.attention.inputs"),
    (r"(?:layers\.|blocks\.|layer_)(\d+)\.(?:self_attn\.out_proj|attn\.out|self_attention\.linear_1)",
     r"layers.\1.attention.out"),
    (r"(?:layers\.|blocks\.|layer_)(\d+)\.(?:self_attn_layer_norm|attn_ln|self_attention\.layer_norm)",
     r"layers.\1.norm1"),
    (r"(?:layers\.|blocks\.|layer_)(\d+)\.(?:final_layer_norm|mlp_ln|ffn\.layer_norm)", r"layers.\1.norm2"),
    (r"(?:layers\.|blocks\.|layer_)(\d+)\.(?:fc1|mlp\.0|ffn\.linear_0)", r"layers.\1.up"),
    (r"(?:layers\.|blocks\.|layer_)(\d+)\.(?:fc2|mlp\.2|ffn\.linear_1)", r"layers.\1.down"),
)  # fmt: skip
_PATTERNS = [(re.compile(rf"{theirs}\.(weight|bias)"), ours) for theirs, ours in _NAMES]
_ENDS = {"gamma": "weight", "beta": "bias"}
_POSITIONS = ("embed_positions.weight", "positional_embedding", "position_encodings.encodings")
_HEADS = "num_heads"
_LAYER = re.compile(r"layers\.(\d+)\.")


def whisper_tensors(
    tensors: Mapping[str, Tensor], *, layers: int | None = None, where: str = "checkpoint"
) -> dict[str, Tensor]:
    """Return the tensors of a [`WhisperModel`][tokaudio.tokenizers.whisper.WhisperModel] under our names.

    Tensors of the decoder are left out; those inside the encoder that nobody knows stay as they are, so that a check
    against the model refuses them by name.

    Args:
        tensors: by published names, of any of the three dialects.
        layers: how many layers are kept, from the first; all by default.
        where: the file, for messages.

    Raises:
        CheckpointError: there is no such encoder among them, or more than one.

    Example:
        >>> sorted(whisper_tensors({"model.encoder.conv1.weight": torch.zeros(1, 1, 3), "proj_out.weight": None}))
        ['conv1.weight']
    """
    own = _of_encoder(tensors, where)
    named = {_ours(name): value for name, value in own.items() if name != _HEADS}
    if layers is not None:
        named = {name: value for name, value in named.items() if _number(name) < layers}
    return _joined(named)


def whisper_sizes(config: Mapping[str, Any], *, where: str = "config.json") -> WhisperSizes:
    """Return the sizes that a configuration of transformers states.

    Raises:
        CheckpointError: it is another model's, or has an impossible value, or a variant that is not known here.

    Example:
        >>> whisper_sizes({"model_type": "whisper", "d_model": 512, "encoder_attention_heads": 8}).width
        512
    """
    usual = {
        "d_model": 384,
        "encoder_layers": 4,
        "encoder_attention_heads": 6,
        "encoder_ffn_dim": 1536,
        "num_mel_bins": 80,
        "max_source_positions": 1500,
        "activation_function": "gelu",
    }
    fields = Fields({**usual, **config}, where)
    fields.choice("model_type", ["whisper"])
    fields.choice("activation_function", ["gelu"])
    return _sizes(
        where,
        width=fields.whole("d_model"),
        layers=fields.whole("encoder_layers"),
        heads=fields.whole("encoder_attention_heads"),
        inner=fields.whole("encoder_ffn_dim"),
        mels=fields.whole("num_mel_bins"),
        positions=fields.whole("max_source_positions"),
    )


def is_whisper(checkpoint: Checkpoint) -> bool:
    """Return whether a file is one of OpenAI's or CTranslate2's Whisper models, which need no `config.json`."""
    return checkpoint.metadata.get("spec") == "WhisperSpec" or "encoder.blocks.0.attn_ln.weight" in checkpoint.tensors


def load_whisper(source: PublishedSource, *, layers: int | None = None, filled: bool = True) -> WhisperModel:
    """Load published files of Whisper.

    Args:
        source: the files.
        layers: how many layers are kept, from the first; all by default.
        filled: whether signals are filled up with silence to one window.

    Raises:
        CheckpointError: if a file is missing or does not fit.
    """
    file = source.checkpoint()
    where = str(file.path)
    config = source.config or {}
    sizes = _sizes_inside(file, where) if is_whisper(file) else whisper_sizes(config, where=str(source.path))
    sizes = dataclasses.replace(sizes, filled=filled)
    _check_ears(source.path if source.path.is_dir() else source.path.parent, sizes)
    kept = sizes.layers if layers is None else layers
    if not 0 <= kept <= sizes.layers:
        raise CheckpointError(one_line(where, f"has {sizes.layers} layers, not {kept}", "ask for fewer"))
    own = whisper_tensors(file.tensors, layers=kept, where=where)
    if kept < sizes.layers:
        own.pop("norm.weight", None), own.pop("norm.bias", None)
    return build(lambda: WhisperModel(sizes, layers=kept), own, where).eval()


def _sizes_inside(file: Checkpoint, where: str) -> WhisperSizes:
    """Return sizes from `dims` of OpenAI's files, or from the tensors of CTranslate2's."""
    dims = file.metadata.get("dims")
    if isinstance(dims, Mapping):
        fields = Fields(dims, where)
        width = fields.whole("n_audio_state")
        return _sizes(
            where,
            width=width,
            layers=fields.whole("n_audio_layer"),
            heads=fields.whole("n_audio_head"),
            inner=4 * width,
            mels=fields.whole("n_mels"),
            positions=fields.whole("n_audio_ctx"),
        )
    heads = _of_encoder(file.tensors, where).get(_HEADS)
    if heads is None or heads.ndim or heads.is_floating_point():
        raise CheckpointError(one_line(where, "does not say how many heads its attention has", "get an intact copy"))
    own = whisper_tensors(file.tensors, where=where)
    shapes = {name: tuple(value.shape) for name, value in own.items()}
    try:
        (width, mels, _), (positions, _) = shapes["conv1.weight"], shapes["positions"]
        inner, _ = shapes["layers.0.up.weight"]
    except (KeyError, ValueError) as error:
        raise CheckpointError(one_line(where, "lacks tensors of Whisper's encoder", "get an intact copy")) from error
    count = 1 + max(map(_number, own))
    return _sizes(where, width=width, layers=count, heads=int(heads), inner=inner, mels=mels, positions=positions)


def _sizes(where: str, *, width: int, layers: int, heads: int, inner: int, mels: int, positions: int) -> WhisperSizes:
    try:
        return WhisperSizes(width=width, layers=layers, heads=heads, inner=inner, mels=mels, positions=positions)
    except (ValueError, ArithmeticError) as error:
        raise CheckpointError(one_line(where, f"has sizes that do not fit ({error})", "get an intact copy")) from error


def _check_ears(folder: Path, sizes: WhisperSizes) -> None:
    """Refuse a front end that is not Whisper's."""
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return
    wanted = {"feature_size": sizes.mels, "sampling_rate": RATE, "hop_length": HOP, "n_fft": LENGTH}
    stated = read_mapping(path)
    for name, value in wanted.items():
        if stated.get(name, value) != value:
            problem = f"has {name} {stated[name]!r}, where Whisper's encoder has {value}"
            raise CheckpointError(one_line(path, problem, "get the file that belongs to the weights"))


def _of_encoder(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the encoder's tensors without their prefix, with dots for slashes."""
    prefixes = {match[1] for name in tensors if (match := _FIRST.fullmatch(name))}
    if len(prefixes) != 1:
        problem = f"holds {len(prefixes) or 'none'} of Whisper's encoders, where one is wanted"
        raise CheckpointError(one_line(where, problem, "give the weights of one"))
    (prefix,) = prefixes
    foreign = ("decoder.", "decoder/", "proj_out.")
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return {name.replace("/", "."): value for name, value in own.items() if not name.startswith(foreign)}


def _ours(name: str) -> str:
    if name in _POSITIONS:
        return "positions"
    stem, _, end = name.rpartition(".")
    name = f"{stem}.{_ENDS.get(end, end)}"
    for pattern, ours in _PATTERNS:
        if match := pattern.fullmatch(name):
            return f"{match.expand(ours)}.{match[match.re.groups]}"
    return name


def _number(name: str) -> int:
    match = _LAYER.match(name)
    return int(match[1]) if match else -1


def _joined(named: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put queries, keys and values of each layer into one tensor; keys have no bias."""
    joined = dict(named)
    for name in named:
        stem, part, end = name.rpartition(".attention.q.")
        if not part:
            continue
        keys = [f"{stem}.attention.{which}.{end}" for which in "qkv"]
        query, key, value = (named.get(other) for other in keys)
        if end == "bias" and key is None and query is not None:
            key = torch.zeros_like(query)
        if query is not None and key is not None and value is not None and query.shape == key.shape == value.shape:
            joined[f"{stem}.attention.inputs.{end}"] = torch.cat([query, key, value])
            for other in keys:
                joined.pop(other, None)
    return joined
