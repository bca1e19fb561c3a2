"""The families of tokenizers by name, each imported when it is asked for.

The names of tokenizers are in [`catalogue`][tokaudio.catalogue].
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Protocol, cast

from tokaudio.errors import UnknownNameError
from tokaudio.tokenizers.base import Tokenizer


class Family(Protocol):
    """A class of tokenizers that can be made from a configuration."""

    def from_config(self, config: Mapping[str, Any]) -> Tokenizer:
        """Make an untrained tokenizer."""


class Families(MutableMapping[str, Family]):
    """Classes by family name.

    Args:
        places: for each name the module and the class, `module:Class`.

    Example:
        >>> Families({"dac": "tokaudio.tokenizers.families.dac:DAC"})["dac"].FAMILY
        'dac'
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._families: dict[str, str | Family] = dict(places)

    def __getitem__(self, name: str) -> Family:
        found = self._families[name]
        if isinstance(found, str):
            module, _, kind = found.partition(":")
            found = cast("Family", getattr(importlib.import_module(module), kind))
            self._families[name] = found
        return found

    def __setitem__(self, name: str, family: Family) -> None:
        self._families[name] = family

    def __delitem__(self, name: str) -> None:
        del self._families[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._families)

    def __len__(self) -> int:
        return len(self._families)


FAMILIES = Families(
    {
        "spectral-codec": "tokaudio.tokenizers.spectral_codec:SpectralCodec",
        "banded-codec": "tokaudio.tokenizers.banded_codec:BandedCodec",
        "semantic": "tokaudio.tokenizers.semantic:SemanticTokenizer",
        "trained-codec": "tokaudio.tokenizers.trained_codec:TrainedCodec",
        "fused": "tokaudio.tokenizers.fused:FusedTokenizer",
        "bigcodec": "tokaudio.tokenizers.families.bigcodec:BigCodec",
        "dac": "tokaudio.tokenizers.families.dac:DAC",
        "dualcodec": "tokaudio.tokenizers.families.dualcodec:DualCodec",
        "encodec": "tokaudio.tokenizers.families.encodec:EnCodec",
        "facodec": "tokaudio.tokenizers.families.facodec:FACodec",
        "focalcodec": "tokaudio.tokenizers.families.focalcodec:FocalCodec",
        "higgs": "tokaudio.tokenizers.families.higgs:Higgs",
        "mimi": "tokaudio.tokenizers.families.mimi:Mimi",
        "nanocodec": "tokaudio.tokenizers.families.nanocodec:NanoCodec",
        "neucodec": "tokaudio.tokenizers.families.xcodec2:NeuCodec",
        "qwen3tts": "tokaudio.tokenizers.families.qwen3tts:Qwen3TTS",
        "s3tokenizer": "tokaudio.tokenizers.families.s3tokenizer:S3Tokenizer",
        "snac": "tokaudio.tokenizers.families.snac:Snac",
        "speechtokenizer": "tokaudio.tokenizers.families.speechtokenizer:SpeechTokenizer",
        "sqcodec": "tokaudio.tokenizers.families.sqcodec:SQCodec",
        "stablecodec": "tokaudio.tokenizers.families.stablecodec:StableCodec",
        "wavtokenizer": "tokaudio.tokenizers.families.wavtokenizer:WavTokenizer",
        "xcodec": "tokaudio.tokenizers.families.xcodec:XCodec",
        "xcodec2": "tokaudio.tokenizers.families.xcodec2:XCodec2",
    }
)


def make_untrained(config: Mapping[str, Any]) -> Tokenizer:
    """Make a tokenizer from a configuration, with random weights.

    Raises:
        UnknownNameError: if its family does not exist.
    """
    family = config.get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise UnknownNameError(f"no family is called {family!r}; there are {', '.join(sorted(FAMILIES))}")
    return FAMILIES[family].from_config(config)
