"""Frozen dataclasses from nested tables, with every key and type checked."""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

_Fields = TypeVar("_Fields")


def read_fields(kind: type[_Fields], table: Mapping[str, Any], where: str = "") -> _Fields:
    """Return a dataclass with the values of a table; fields that are left out keep their defaults.

    Args:
        kind: a dataclass; its fields may be dataclasses, and tuples of them, in turn.
        table: the values by name.
        where: dotted name of the table, for messages.

    Raises:
        ValueError: `problem; remedy`, for an unknown or missing key, or a value of another type.

    Example:
        >>> @dataclasses.dataclass
        ... class Size:
        ...     width: float
        >>> read_fields(Size, {"width": 2})
        Size(width=2.0)
        >>> read_fields(Size, {"widdth": 2})
        Traceback (most recent call last):
        ValueError: has an unknown key widdth; did you mean width?
    """
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} is {table!r}; write a table")
    hints, names = get_type_hints(kind), [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    values = {}
    for key, value in table.items():
        name = f"{where}.{key}" if where else key
        if key not in names:
            raise ValueError(unknown_key(name, key, names))
        values[key] = _value(hints[key], value, name)
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where or 'the recipe'} lacks a key ({error}); add it") from error


def unknown_key(name: str, key: str, known: Sequence[str]) -> str:
    """Return what to say of a key that does not exist.

    Example:
        >>> unknown_key("data.bacth", "bacth", ["batch", "crop_seconds"])
        'has an unknown key data.bacth; did you mean batch?'
    """
    near = difflib.get_close_matches(key, known, n=2)
    meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(known))}"
    return f"has an unknown key {name}; {meant}"


def _value(hint: Any, value: Any, name: str) -> Any:
    """Return a value as its type hint wants it."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _value(next(part for part in parts if part is not type(None)), value, name)
    if dataclasses.is_dataclass(hint):
        return read_fields(hint, value, name)  # type: ignore[arg-type]
    if origin is Literal:
        if value not in parts:
            raise ValueError(f"{name} is {value!r}; give one of {', '.join(map(str, parts))}")
        return value
    if origin is tuple:
        return _items(parts, value, name)
    return dict(value) if origin is dict else _plain(hint, value, name)


def _items(parts: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    """Return a list as a tuple of so many values, or of any number where the last part is an ellipsis."""
    some = parts[-1] is ...
    if not isinstance(value, list) or (not some and len(value) != len(parts)):
        raise ValueError(f"{name} is {value!r}; give a list" + ("" if some else f" of {len(parts)}"))
    kinds = [parts[0]] * len(value) if some else parts
    return tuple(_value(kind, item, f"{name}[{at}]") for at, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _plain(hint: Any, value: Any, name: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ValueError(f"{name} is {value!r}; give {_KINDS[hint]}")
    return value


_KINDS = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}
