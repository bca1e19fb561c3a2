"""Layouts: invertible maps between the codes of a tokenizer and the ids of a language model."""

from tokaudio.layouts.bpe import UnitBPE
from tokaudio.layouts.flat import FlatLayout
from tokaudio.layouts.orders import Order, coarse_first, flatten, semantic_then_acoustic
from tokaudio.layouts.ranges import CodeRange
from tokaudio.layouts.vocabulary import Vocabulary

__all__ = [
    "CodeRange",
    "FlatLayout",
    "Order",
    "UnitBPE",
    "Vocabulary",
    "coarse_first",
    "flatten",
    "semantic_then_acoustic",
]
