"""Checks of a spec's fields, and the fields of a spec in a dictionary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from tokaudio.errors import TokensError

_MAX_INT = 2**31 - 1


def known_fields(cls: type[Any], data: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return what a dictionary holds for a dataclass, after checking that it has no unknown and lacks no needed field.

    Raises:
        TokensError: unknown or missing fields, or no dictionary.
    """
    if not isinstance(data, Mapping):
        raise TokensError(f"the {what} is a {type(data).__name__}; give a dictionary of its fields")
    fields = dataclasses.fields(cls)
    names = [field.name for field in fields]
    unknown = [str(name) for name in data if name not in names]
    if unknown:
        shown = ", ".join(ascii(name[:40]) for name in unknown[:3])
        raise TokensError(f"the {what} has unknown fields ({shown}); known are {', '.join(names)}")
    missing = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in data]
    if missing:
        raise TokensError(f"the {what} lacks the fields {', '.join(missing)}; add them")
    return cast("dict[str, Any]", dict(data))


def require_int(what: str, value: object, *, minimum: int = 1, maximum: int = _MAX_INT) -> None:
    """Refuse what is not a whole number in a range."""
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise TokensError(f"{what} is {_short(value)}; give a whole number from {minimum} to {maximum}")


def require_text(what: str, value: object, *, empty: bool) -> None:
    """Refuse what is not one line of printable text."""
    if not isinstance(value, str) or not value.isprintable() or not (value or empty):
        raise TokensError(f"{what} is {_short(value)}; give one line of printable text")


def require_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse what is not one of some words."""
    if value not in choices:
        raise TokensError(f"{what} is {_short(value)}; give one of {', '.join(choices)}")


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
