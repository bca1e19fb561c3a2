"""Tokenizers: one contract, the assemblies behind it, and what can be loaded by name."""

from tokaudio.catalogue import list_tokenizers, tokenizer_spec
from tokaudio.tokenizers.base import Streaming, Tokenizer
from tokaudio.tokenizers.spectral_codec import SpectralCodec

__all__ = ["SpectralCodec", "Streaming", "Tokenizer", "list_tokenizers", "tokenizer_spec"]
