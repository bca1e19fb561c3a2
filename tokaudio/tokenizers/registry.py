"""The families of tokenizers by name; the names of tokenizers are in [`catalogue`][tokaudio.catalogue]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tokaudio.errors import UnknownNameError
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.families.bigcodec import BigCodec
from tokaudio.tokenizers.families.dac import DAC
from tokaudio.tokenizers.families.dualcodec import DualCodec
from tokaudio.tokenizers.families.encodec import EnCodec
from tokaudio.tokenizers.families.facodec import FACodec
from tokaudio.tokenizers.families.higgs import Higgs
from tokaudio.tokenizers.families.focalcodec import FocalCodec
from tokaudio.tokenizers.families.mimi import Mimi
from tokaudio.tokenizers.families.nanocodec import NanoCodec
from tokaudio.tokenizers.families.qwen3tts import Qwen3TTS
from tokaudio.tokenizers.families.s3tokenizer import S3Tokenizer
from tokaudio.tokenizers.families.snac import Snac
from tokaudio.tokenizers.families.speechtokenizer import SpeechTokenizer
from tokaudio.tokenizers.families.sqcodec import SQCodec
from tokaudio.tokenizers.families.stablecodec import StableCodec
from tokaudio.tokenizers.families.wavtokenizer import WavTokenizer
from tokaudio.tokenizers.families.xcodec import XCodec
from tokaudio.tokenizers.families.xcodec2 import NeuCodec, XCodec2
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.tokenizers.spectral_codec import SpectralCodec


class Family(Protocol):
    """A class of tokenizers that can be made from a configuration."""

    def from_config(self, config: Mapping[str, Any]) -> Tokenizer:
        """Make an untrained tokenizer."""


FAMILIES: dict[str, Family] = {
    SpectralCodec.FAMILY: SpectralCodec,
    SemanticTokenizer.FAMILY: SemanticTokenizer,
    BigCodec.FAMILY: BigCodec,
    DAC.FAMILY: DAC,
    DualCodec.FAMILY: DualCodec,
    EnCodec.FAMILY: EnCodec,
    FACodec.FAMILY: FACodec,
    Higgs.FAMILY: Higgs,
    FocalCodec.FAMILY: FocalCodec,
    Mimi.FAMILY: Mimi,
    NanoCodec.FAMILY: NanoCodec,
    Qwen3TTS.FAMILY: Qwen3TTS,
    S3Tokenizer.FAMILY: S3Tokenizer,
    Snac.FAMILY: Snac,
    SpeechTokenizer.FAMILY: SpeechTokenizer,
    SQCodec.FAMILY: SQCodec,
    StableCodec.FAMILY: StableCodec,
    WavTokenizer.FAMILY: WavTokenizer,
    XCodec.FAMILY: XCodec,
    XCodec2.FAMILY: XCodec2,
    NeuCodec.FAMILY: NeuCodec,
}


def make_untrained(config: Mapping[str, Any]) -> Tokenizer:
    """Make a tokenizer from a configuration, with random weights.

    Raises:
        UnknownNameError: if its family does not exist.
    """
    family = config.get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise UnknownNameError(f"no family is called {family!r}; there are {', '.join(sorted(FAMILIES))}")
    return FAMILIES[family].from_config(config)
