"""Large arrays in JSON, each kept once and exactly, as few letters: pairs that were scored five times are thousands.

    packer = Packer()
    document = {"scores": packer.pack(scores), "arrays": packer.arrays}
    unpacked(document["scores"], unpacked_arrays(document["arrays"]))

An array is written as whole numbers where it holds none but multiples of 1, 0.1, 0.01 and so on, otherwise as float64;
their bytes, least significant first, are compressed (zlib) and written in base 85. Small arrays stay as lists.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LEAST = 48
"""Numbers of the smallest array that is packed."""
_DIGITS = range(7)
_WHOLE = ("int8", "int16", "int32", "int64")
_TYPES = (*_WHOLE, "float64")
_MOST_BYTES = 1 << 30


class Packer:
    """Packs arrays, equal ones once.

    Attributes:
        arrays: those that were packed, as JSON can hold them.

    Example:
        >>> packer = Packer()
        >>> scores = np.arange(100) / 100
        >>> packer.pack(scores), packer.pack(scores.copy()), packer.pack(np.array([0.5]))
        ({'array': 0}, {'array': 0}, [0.5])
        >>> packer.arrays[0]["type"], packer.arrays[0]["digits"]
        ('int8', 2)
    """

    def __init__(self) -> None:
        self.arrays: list[dict[str, Any]] = []

    def pack(self, array: Array) -> Any:
        """Return what stands for an array: where it is among the packed ones, or its numbers if they are few."""
        if array.size < LEAST:
            return array.tolist()
        entry = _entry(array)
        if entry not in self.arrays:
            self.arrays.append(entry)
        return {"array": self.arrays.index(entry)}


def _entry(array: Array) -> dict[str, Any]:
    kind, digits, numbers = "float64", 0, array
    known = np.isfinite(array)
    finite = np.where(known, array, 0)
    for power in _DIGITS if np.abs(finite).max() < 2**53 else ():
        whole = np.rint(finite * 10.0**power)
        if np.array_equal(whole / 10.0**power, finite) and np.abs(whole).max() < 2**53:
            kind = next(name for name in _WHOLE if np.abs(whole).max() <= np.iinfo(name).max)
            digits, numbers = power, np.where(known, whole, np.iinfo(kind).min)
            break
    if np.isinf(array).any() or (kind == "float64" and array.dtype.kind != "f"):
        raise ValueError("an array holds what cannot be packed exactly")
    data = zlib.compress(np.ascontiguousarray(numbers, dtype=np.dtype(kind).newbyteorder("<")).tobytes(), 9)
    return {"type": kind, "digits": digits, "shape": list(array.shape), "data": base64.b85encode(data).decode()}


def unpacked_arrays(entries: Any) -> list[Array]:
    """Return the arrays that `Packer.arrays` holds, as float64; NaN where there was NaN.

    Raises:
        ValueError: an entry is none, or is damaged.

    Example:
        >>> packer = Packer()
        >>> _ = packer.pack(np.arange(60).reshape(2, 30) / 4)
        >>> unpacked_arrays(packer.arrays)[0][1, :3].tolist()
        [7.5, 7.75, 8.0]
    """
    if not isinstance(entries, list):
        raise ValueError("arrays are no list")
    return [_array(number, entry) for number, entry in enumerate(entries)]


def _array(number: int, entry: Any) -> Array:
    try:
        kind, digits, shape, data = (entry[name] for name in ("type", "digits", "shape", "data"))
        if kind not in _TYPES or digits not in _DIGITS or not _is_shape(shape):
            raise ValueError
        dtype = np.dtype(kind).newbyteorder("<")
        size = math.prod(shape) * dtype.itemsize
        if size > _MOST_BYTES:
            raise ValueError
        unzipper = zlib.decompressobj()
        raw = unzipper.decompress(base64.b85decode(data), size + 1)
        if len(raw) != size or not unzipper.eof:
            raise ValueError
        found = np.frombuffer(raw, dtype).reshape(shape)
    except (KeyError, TypeError, ValueError, zlib.error, binascii.Error):
        raise ValueError(f"array {number} is damaged") from None
    if kind == "float64":
        return found.astype(np.float64)
    numbers = found.astype(np.float64) / 10.0**digits
    numbers[found == np.iinfo(kind).min] = np.nan
    return numbers


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(type(size) is int and 0 <= size < 2**40 for size in shape)


def unpacked(value: Any, arrays: Sequence[Array]) -> Any:
    """Return plain values with the arrays in their places.

    Raises:
        ValueError: a place names an array that does not exist.

    Example:
        >>> unpacked({"a": [{"array": 0}]}, [np.arange(2)])
        {'a': [array([0, 1])]}
    """
    if isinstance(value, dict):
        if set(value) == {"array"}:
            number = value["array"]
            if type(number) is not int or not 0 <= number < len(arrays):
                raise ValueError(f"there is no array {ascii(number)[:20]}")
            return arrays[number]
        return {name: unpacked(part, arrays) for name, part in value.items()}
    return [unpacked(part, arrays) for part in value] if isinstance(value, list) else value
