"""What codes mean: how much they say about phones, speakers, pitch and energy, and which layers to take them from.

- `report`: everything about a tokenizer's codes on some sound, with or without labels.
- `report_tokens`: the same of saved tokens, as far as they tell it.
- `Report`: what these return: sentences, roles, JSON, a table, a page.
- `compare`: two or more tokenizers on the same sound, which gives a `Comparison`.

Each measure has a module of its own, such as `tokaudio.analysis.codes.usage` and
`tokaudio.analysis.statistics.information`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokaudio.analysis.codebook_report import Report
    from tokaudio.analysis.comparing import compare
    from tokaudio.analysis.comparison import Comparison
    from tokaudio.analysis.reporting import report, report_tokens

_HOMES = {
    "Comparison": "tokaudio.analysis.comparison",
    "Report": "tokaudio.analysis.codebook_report",
    "compare": "tokaudio.analysis.comparing",
    "report": "tokaudio.analysis.reporting",
    "report_tokens": "tokaudio.analysis.reporting",
}

__all__ = ["Comparison", "Report", "compare", "report", "report_tokens"]


def __getattr__(name: str) -> Any:
    # Reading one label file must not load torch and all measures.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tokaudio.analysis' has no attribute {name!r}; it has {', '.join(__all__)}")
