"""Layouts: invertible maps between the codes of a tokenizer and the ids of a language model."""

from tokaudio.layouts.bpe import UnitBPE
from tokaudio.layouts.flat import FlatLayout
from tokaudio.layouts.grid import GridLayout, acoustic_delays, musicgen_delays
from tokaudio.layouts.orders import Order, coarse_first, flatten, semantic_then_acoustic
from tokaudio.layouts.ranges import CodeRange
from tokaudio.layouts.runs import RunsLayout
from tokaudio.layouts.split import SplitLayout
from tokaudio.layouts.timed_text import TimedLayout, TimedText, row_text, text_row
from tokaudio.layouts.vocabulary import Vocabulary

__all__ = [
    "CodeRange",
    "FlatLayout",
    "GridLayout",
    "Order",
    "RunsLayout",
    "SplitLayout",
    "TimedLayout",
    "TimedText",
    "UnitBPE",
    "Vocabulary",
    "acoustic_delays",
    "coarse_first",
    "flatten",
    "musicgen_delays",
    "row_text",
    "semantic_then_acoustic",
    "text_row",
]
