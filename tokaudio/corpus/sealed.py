"""Lines of JSON that know their own SHA-256, so that no bit of them changes unnoticed.

A sealed record is one JSON object in one line, whose last field `seal` is the SHA-256 of the same text without it.
Any JSON reader can read it; `unseal` refuses it where a single byte differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tokaudio.errors import CorpusError
from tokaudio.json_text import parse_json

_FIELD = ',"seal":"'
_TAIL = len(_FIELD) + 64 + len('"}')


def seal(record: Mapping[str, Any]) -> str:
    """Return a record with at least one field as one line of text, without a newline, that `unseal` takes.

    Bytes of file names that are no text stay what they are: lone surrogates are written as escapes.

    Example:
        >>> seal({"shard": 3})[:40]
        '{"shard":3,"seal":"e10fecb09b3d6b5c4cca1'
    """
    body = json.dumps(record, separators=(",", ":"))
    return f'{body[:-1]}{_FIELD}{_digest(body)}"}}'


def unseal(text: str) -> dict[str, Any]:
    """Return the record of a sealed line.

    Raises:
        CorpusError: anything that `seal` did not write.

    Example:
        >>> unseal(seal({"shard": 3}))
        {'shard': 3}
        >>> unseal(seal({"shard": 3}).replace("3", "2", 1))
        Traceback (most recent call last):
        tokaudio.errors.CorpusError: a record is damaged
    """
    body, tail = text[:-_TAIL] + "}", text[-_TAIL:]
    if tail != f'{_FIELD}{_digest(body)}"}}':
        raise CorpusError("a record is damaged")
    record: dict[str, Any] = parse_json(body)
    return record


def _digest(body: str) -> str:
    # What is no text cannot be part of a sealed line, and must not stop the search for it.
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
