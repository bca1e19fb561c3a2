"""JSON from files of strangers: whatever is wrong with it is a `ValueError`."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Return what JSON says.

    `json.loads` raises `RecursionError` where brackets are nested a thousand deep; here that is a `ValueError` as well.

    Raises:
        ValueError: it is no JSON, no UTF-8, a number of thousands of digits, or nested too deep.

    Example:
        >>> parse_json('{"size": 8}'), parse_json(b"[1.5, null]")
        ({'size': 8}, [1.5, None])
        >>> parse_json("[" * 100_000)
        Traceback (most recent call last):
        ValueError: is nested too deep
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deep") from None
