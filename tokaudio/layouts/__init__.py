"""Layouts: invertible maps between the codes of a tokenizer and the ids of a language model.

- `Vocabulary`: which id is which code, special id or text token; ranges that cannot collide.
- `FlatLayout` with an `Order` (`flatten`, `coarse_first`, `semantic_then_acoustic`): one row of ids.
- `GridLayout`: a row per codebook, with delays (`musicgen_delays`, `acoustic_delays`) or without.
- `SplitLayout`: the first codebook, and the others level by level.
- `RunsLayout`, `UnitBPE`: shorter sequences of units.
- `TimedLayout`, `text_row`: text and sound in time.
- `RowCollator`, `GridCollator`: batches for training, packed or padded; weights of the loss per codebook.
- `make_layout`: any of them by name, with the usual special ids.
- `save_layout`, `load_layout`: all of it in one JSON file.
"""

from tokaudio.layouts.base import Layout, LayoutDecoder
from tokaudio.layouts.bpe import UnitBPE
from tokaudio.layouts.collators import GridCollator, RowCollator
from tokaudio.layouts.file import layout_document, layout_from_document, load_layout, save_layout
from tokaudio.layouts.flat import FlatLayout
from tokaudio.layouts.grid import GridLayout, acoustic_delays, musicgen_delays
from tokaudio.layouts.named import LAYOUT_NAMES, make_layout
from tokaudio.layouts.orders import Order, coarse_first, flatten, semantic_then_acoustic
from tokaudio.layouts.packing import block_mask, pack
from tokaudio.layouts.ranges import CodeRange
from tokaudio.layouts.runs import RunsLayout
from tokaudio.layouts.split import SplitLayout
from tokaudio.layouts.text_row import row_text, text_row
from tokaudio.layouts.timed_layout import TimedLayout
from tokaudio.layouts.timed_text import TimedText
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.layouts.weights import id_weights, loss_weights, report_weights, role_weights

__all__ = [
    "LAYOUT_NAMES",
    "CodeRange",
    "FlatLayout",
    "GridCollator",
    "GridLayout",
    "Layout",
    "LayoutDecoder",
    "Order",
    "RowCollator",
    "RunsLayout",
    "SplitLayout",
    "TimedLayout",
    "TimedText",
    "UnitBPE",
    "Vocabulary",
    "acoustic_delays",
    "block_mask",
    "coarse_first",
    "flatten",
    "id_weights",
    "layout_document",
    "layout_from_document",
    "load_layout",
    "loss_weights",
    "make_layout",
    "musicgen_delays",
    "pack",
    "report_weights",
    "role_weights",
    "row_text",
    "save_layout",
    "semantic_then_acoustic",
    "text_row",
]
