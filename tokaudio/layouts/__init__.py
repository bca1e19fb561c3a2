"""Layouts: invertible maps between the codes of a tokenizer and the ids of a language model."""

from tokaudio.layouts.bpe import UnitBPE

__all__ = ["UnitBPE"]
