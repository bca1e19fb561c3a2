"""`.npy` arrays as bytes: the headers that numpy writes, matched against their one form instead of being evaluated."""

from __future__ import annotations

import io
import math
import re
import struct
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_MAX_ARRAY_HEADER = 4096
_ARRAY_HEADER = re.compile(
    rb"\{'descr': (?P<descr>'[<>|=][A-Za-z]\d{0,9}'|\[.*\]), 'fortran_order': (?P<fortran>False|True), "
    rb"'shape': \((?P<shape>(?:\d{1,19}(?:, |,|(?=\))))*)\), \} *\n"
)
_DTYPES = {
    code: np.dtype(code)
    for code in ("|b1", "|u1", "<u2", "<u4", "<u8", "|i1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8")
}


class NpyError(ValueError):
    """Bytes that are no array that is read here; says what is wrong, as a clause about `the member NAME`."""


class PickleError(NpyError):
    """An array of objects, which only a pickle holds."""


@dataclass(frozen=True)
class Layout:
    """What an array header says: the type, the shape, and the header's own bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    header: bytes


def array_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the bytes that stand before the values of an array in row-major order.

    Example:
        >>> len(array_header(np.dtype("<u2"), (2, 50)))
        128
    """
    buffer = io.BytesIO()
    facts = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, facts)
    return buffer.getvalue()


def read_layout(stream: IO[bytes], size: int) -> Layout:
    """Read the header of an array of `size` bytes, and check it against them.

    Raises:
        NpyError: anything else than an array of numbers in row-major order that takes `size` bytes.
    """
    magic = stream.read(10)
    if len(magic) < 10 or magic[:8] != b"\x93NUMPY\x01\x00":
        raise NpyError("is not an array")
    (length,) = struct.unpack("<H", magic[8:])
    header = stream.read(length) if length <= _MAX_ARRAY_HEADER else b""
    match = _ARRAY_HEADER.fullmatch(header)
    if match is None or len(header) != length:
        raise NpyError("has an array header that numpy does not write")
    descr = match["descr"].decode().strip("'")
    if "O" in descr:
        raise PickleError("holds a pickle, and pickles are never opened")
    dtype = _DTYPES.get(descr)
    if dtype is None or match["fortran"] == b"True":
        raise NpyError("has an unexpected type or order")
    shape = tuple(int(size) for size in re.findall(rb"\d+", match["shape"]))
    if len(magic) + length + math.prod(shape) * dtype.itemsize != size:
        raise NpyError("has a shape that does not match its size")
    return Layout(dtype, shape, magic + header)


def to_npy(array: Array) -> bytes:
    """Return an array as the bytes of a `.npy` file.

    Example:
        >>> from_npy(to_npy(np.array([[1, 2]], np.uint16)))
        array([[1, 2]], dtype=uint16)
    """
    plain = np.array(array, array.dtype.newbyteorder("<"), order="C")
    return array_header(plain.dtype, plain.shape) + plain.tobytes()


def from_npy(content: bytes) -> Array:
    """Return the array of the bytes of a `.npy` file.

    Raises:
        NpyError: anything else.
    """
    layout = read_layout(io.BytesIO(content), len(content))
    values = content[len(layout.header) :]
    if layout.dtype == np.bool_ and max(values, default=0) > 1:
        raise NpyError("holds something else than 0 and 1")
    return np.frombuffer(values, layout.dtype).reshape(layout.shape)
