"""Dataclasses to plain JSON values and back, each field checked against its annotation.

    document = to_plain(record)
    record = from_plain(Record, document, "results.json")

Known are text, numbers, truth values, None, `tuple[X, ...]`, `Mapping[str, X]`, other dataclasses, unions of these
(told apart by their fields) and arrays of numpy. NaN becomes None in JSON, and NaN again.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import one_line
from tokaudio.probes.errors import ProbeError

Record = TypeVar("Record")
_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list",
    Mapping: "an object",
    type(None): "null",
}
_KINDS = {"b": bool, "i": int, "f": float}


def to_plain(value: Any, pack: Callable[[NDArray[Any]], Any] = np.ndarray.tolist) -> Any:
    """Return what JSON can hold: no arrays and tuples, and None for what is not finite.

    Args:
        value: dataclasses and all that they may hold.
        pack: makes lists, or what else shall stand for them, of arrays.

    Example:
        >>> to_plain({"a": (1, np.array([0.5, np.nan]))})
        {'a': [1, [0.5, None]]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name), pack) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        value = pack(value)
    if isinstance(value, Mapping):
        return {str(name): to_plain(part, pack) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(part, pack) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def from_plain(cls: type[Record], value: Any, source: str) -> Record:
    """Return the dataclass that plain values describe.

    Args:
        cls: a dataclass whose fields are of the kinds named above.
        value: the plain values; arrays may be arrays already.
        source: the file or whatever else the error shall name.

    Raises:
        ProbeError: a field is missing, unknown or of another kind, or the record refuses its values.

    Example:
        >>> @dataclasses.dataclass
        ... class Point:
        ...     x: float
        ...     tags: tuple[str, ...] = ()
        >>> from_plain(Point, {"x": 1}, "point.json")
        Point(x=1.0, tags=())
        >>> from_plain(Point, {"x": "1"}, "point.json")
        Traceback (most recent call last):
        tokaudio.probes.errors.ProbeError: point.json: x is '1'; give a number
    """
    try:
        record: Record = _read(cls, value, "")
    except _Refused as error:
        raise ProbeError(one_line(source, error.problem, error.remedy)) from None
    except ProbeError as error:
        raise ProbeError(f"{source}: {error}") from error
    return record


class _Refused(Exception):
    """A value that is none of its annotation: what is wrong and what to give."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


def _read(kind: Any, value: Any, where: str) -> Any:
    kind = _unaliased(kind)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), value, where)
    if dataclasses.is_dataclass(kind):
        return _record(kind, value, where)
    if origin is np.ndarray:
        return _array(kind, value, where)
    return _plain(kind, value, where) if origin is None else _many(origin, get_args(kind), value, where)


def _unaliased(kind: Any) -> Any:
    """Return what an alias made by `type` stands for, as `NDArray` of numpy 2.5 is one."""
    alias = getattr(get_origin(kind), "__value__", None)
    return kind if alias is None else alias[get_args(kind)]


def _many(origin: Any, kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if origin is tuple:
        items = _of(list, value, where, _WORDS[tuple])
        return tuple(_read(kinds[0], item, f"{where}[{index}]") for index, item in enumerate(items))
    named = _of(dict, value, where, _WORDS[Mapping])
    return {name: _read(kinds[1], item, _inside(where, name)) for name, item in named.items()}


def _plain(kind: Any, value: Any, where: str) -> Any:
    if kind is float and value is None:
        return math.nan
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) and kind is not bool:
        raise _refused(value, where, _WORDS[kind])
    return _of(kind, value, where, _WORDS[kind])


def _record(kind: Any, value: Any, where: str) -> Any:
    values = _of(dict, value, where, _WORDS[Mapping])
    hints, fields = get_type_hints(kind), {field.name: field for field in dataclasses.fields(kind) if field.init}
    unknown = [name for name in values if name not in fields]
    if unknown:
        raise _Refused(f"{_inside(where, unknown[0])} is no known field", f"known are {', '.join(fields)}")
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _Refused(f"{_inside(where, name)} is missing", "write it again")
    return kind(**{name: _read(hints[name], part, _inside(where, name)) for name, part in values.items()})


def _union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    fitting = [kind for kind in kinds if dataclasses.is_dataclass(kind) and _fits(kind, value)]
    if fitting or len(kinds) == 1:
        return _read((fitting or kinds)[0], value, where)
    for kind in kinds:
        try:
            return _read(kind, value, where)
        except _Refused:
            continue
    raise _refused(value, where, " or ".join(_WORDS.get(kind, str(kind)) for kind in kinds))


def _fits(kind: Any, value: Any) -> bool:
    return isinstance(value, dict) and set(value) <= {field.name for field in dataclasses.fields(kind)}


def _array(kind: Any, value: Any, where: str) -> Any:
    dtype = np.dtype(get_args(get_args(kind)[1])[0])
    try:
        if isinstance(value, np.ndarray):
            if dtype.kind != "f" and not np.array_equal(value, np.rint(value)):
                raise ValueError
            return value.astype(dtype)
        found = np.array(_of(list, value, where, "a list of numbers"), dtype=object)
        plain = {type(item) for item in found.flat}
        allowed = {_KINDS[dtype.kind]} | ({int, type(None)} if dtype.kind == "f" else set())
        if not plain <= allowed:
            raise ValueError
        return found.astype(dtype)
    except (ValueError, TypeError, OverflowError):
        raise _Refused(f"{where} is no table of numbers", "give lists of equal length") from None


def _of(kind: Any, value: Any, where: str, words: str) -> Any:
    if not isinstance(value, kind):
        raise _refused(value, where, words)
    return value


def _refused(value: Any, where: str, words: str) -> _Refused:
    text = ascii(value)
    return _Refused(f"{where or 'the document'} is {text if len(text) <= 40 else text[:37] + '...'}", f"give {words}")


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
