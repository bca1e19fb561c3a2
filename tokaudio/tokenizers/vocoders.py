"""Vocoders: what turns the units of semantic tokenizers back into sound.

    tokenizer = tokenizer.with_vocoder(load_vocoder("./hifigan-hubert-k1000-LibriTTS"))
    sound = tokenizer.decode(tokens)

A vocoder is trained on the units of certain layers. It is saved and loaded with the tokenizer that it belongs to.
"""

from __future__ import annotations

import dataclasses
import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tokaudio.errors import CheckpointError
from tokaudio.nn.stages import Stage
from tokaudio.tokens import Tokens

# Names of side information in `Tokens.extras`: a vector [B, D] or a number [B], and a number [B].
SPEAKER, STYLE = "item_speaker", "item_style"


class Vocoder(nn.Module, ABC):
    """Codes of some layers to sound.

    Attributes:
        KIND: its name in a `config.json`.
        name: what it is called.
        sample_rate: of its sound in Hz.
        hop_length: samples of sound per frame.
    """

    KIND: ClassVar[str]
    name: str
    sample_rate: int
    hop_length: int

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Return all that `from_config` of its class needs, as plain values."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: Mapping[str, Any]) -> Vocoder:
        """Make an untrained vocoder of what `config` gave."""

    @abstractmethod
    def fitted(self, layers: Sequence[int], layer_sizes: Sequence[int], *, per_layer: int) -> Vocoder:
        """Return this vocoder as it belongs to a tokenizer: itself, or one that knows what its files do not say.

        Args:
            layers: numbers of the tokenizer's layers.
            layer_sizes: V of their codebooks.
            per_layer: codebooks of each of them.

        Raises:
            CheckpointError: it was not trained on such units.
        """

    @abstractmethod
    def stage(self, layers: Sequence[int], count: int, extras: Mapping[str, Tensor]) -> Stage:
        """Return a fresh stage from codes `[n, count]` to samples `[m, 1]`.

        Args:
            layers: numbers of the tokenizer's layers.
            count: how many of the tokenizer's codebooks there are codes of, the first ones.
            extras: side information of the item.

        Raises:
            TokensError: what it needs is not among the codes or the side information.
        """


def with_speaker(tokens: Tokens, speaker: Tensor | int | None = None, style: Tensor | int | None = None) -> Tokens:
    """Return tokens that say who shall speak them, and how.

    Args:
        tokens: of B items.
        speaker: a vector `[D]`, or one for each item `[B, D]`, where the vocoder takes vectors; else a number, or one
            for each item `[B]`.
        style: a number, or one for each item `[B]`.

    Raises:
        TokensError: if there are neither one nor B of them.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
        >>> tokens = Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec)
        >>> with_speaker(tokens, 4).extras
        mappingproxy({'item_speaker': tensor([4])})
    """
    added = {}
    for name, given in ((SPEAKER, speaker), (STYLE, style)):
        if given is None:
            continue
        value = torch.as_tensor(given, device=tokens.device)
        single = value.ndim == int(value.is_floating_point())
        added[name] = value.expand(len(tokens), *value.shape).clone() if single else value
    return dataclasses.replace(tokens, extras={**tokens.extras, **added})


# Modules and classes by the kind that a configuration names; imported when they are asked for.
VOCODERS = {"unit-hifigan": "tokaudio.tokenizers.unit_vocoder:UnitVocoder"}


def vocoder_from_config(config: Mapping[str, Any]) -> Vocoder:
    """Make an untrained vocoder of what its `config` gave.

    Raises:
        CheckpointError: an unknown kind, or fields that do not fit.
    """
    kind = config.get("kind") if isinstance(config, Mapping) else None
    if kind not in VOCODERS:
        raise CheckpointError(f"no kind of vocoder is called {kind!r}; there are {', '.join(VOCODERS)}")
    module, _, name = VOCODERS[kind].partition(":")
    kinds: type[Vocoder] = getattr(importlib.import_module(module), name)
    return kinds.from_config(config)
