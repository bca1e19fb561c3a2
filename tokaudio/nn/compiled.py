"""Compiled loops: modules `_numba_*`, imported at first use, and done without where numba cannot be had."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any


@cache
def compiled(name: str) -> Any:
    """Return the module `tokaudio.nn._numba_NAME`, or None where numba is missing or broken.

    Example:
        >>> loops = compiled("recurrent")
        >>> loops is None or hasattr(loops, "lstm")
        True
    """
    try:
        return importlib.import_module(f"tokaudio.nn._numba_{name}")
    except Exception:  # numba fails in many ways on platforms that it does not know
        return None
