"""Files of `torch.save`, new (a zip archive) and old (a row of pickles), read without running anything of them.

torch's own `weights_only` reader refuses a whole file for one foreign class in it, as Lightning and others leave
behind; here such objects become inert, see [`inert`][tokaudio.checkpoints.inert]. Values are views of the mapped file
and take no memory before they are looked at.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from tokaudio.checkpoints.inert import InertUnpickler
from tokaudio.errors import CheckpointError, one_line

_MAGIC = 0x1950A86A20F9469CFC6C
# The same in a pickle, near the beginning of every old file, whatever its protocol.
SAVED = b"\x8a\x0a" + _MAGIC.to_bytes(10, "little")
_LOCAL_HEADER, _COUNT = struct.Struct("<26xHH"), struct.Struct("<q")
# What kernels want of the address of float values.
_ALIGNMENT = 16


def map_file(path: Path) -> memoryview:
    """Return the bytes of a file, mapped; what is written to them stays in memory.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "a")
        >>> size = path.write_bytes(b"abc")
        >>> bytes(map_file(path))
        b'abc'
    """
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def read_torch(content: memoryview, where: Path) -> Mapping[Any, Any]:
    """Return what the bytes of a file of `torch.save` hold.

    Args:
        content: the file, writable.
        where: its path, for messages.

    Raises:
        CheckpointError: if it is damaged, hostile, or no dictionary.
    """
    try:
        result = _read_zip(content, where) if bytes(content[:2]) == b"PK" else _read_old(content, where)
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:
        raise damaged(where, error) from error
    if not isinstance(result, Mapping):
        problem = f"holds a {type(result).__name__}, not weights by name"
        raise CheckpointError(one_line(where, problem, "save a state_dict"))
    return result


def damaged(where: Path, error: Exception) -> CheckpointError:
    """Return the error for a file that is not whole.

    Example:
        >>> print(damaged(Path("a.pt"), ValueError("no end")))
        a.pt: is damaged or cut off (no end); copy or download it again
    """
    detail = " ".join(str(error).split())[:120].replace(";", ",") or type(error).__name__
    return CheckpointError(one_line(where, f"is damaged or cut off ({detail})", "copy or download it again"))


def _read_zip(content: memoryview, where: Path) -> Any:
    with zipfile.ZipFile(_stream(content)) as archive:
        records = {info.filename.partition("/")[2]: info for info in archive.infolist()}
    if "constants.pkl" in records or any(name.startswith("code/") for name in records):
        raise CheckpointError(one_line(where, "is a TorchScript program, not weights", "save its state_dict instead"))
    if "data.pkl" not in records:
        raise CheckpointError(one_line(where, "is a zip archive without weights", "give a file of torch.save"))
    order = records.get("byteorder")
    if order is not None and bytes(_record(content, order)) != b"little":
        raise CheckpointError(one_line(where, "holds big-endian values", "save it again on a common machine"))
    storages: dict[str, Tensor] = {}

    def storage(key: str, dtype: torch.dtype, numel: int) -> Tensor:
        if key not in storages:
            storages[key] = _values(_record(content, records[f"data/{key}"]))
        return _typed(storages[key], dtype, numel)

    return InertUnpickler(_stream(_record(content, records["data.pkl"])), storage, where).load()


def _record(content: memoryview, info: zipfile.ZipInfo) -> memoryview:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError("compressed values")
    start = info.header_offset + 30 + sum(_LOCAL_HEADER.unpack_from(content, info.header_offset))
    if start + info.file_size > len(content):
        raise ValueError("values beyond the end")
    return content[start : start + info.file_size]


def _read_old(content: memoryview, where: Path) -> Any:
    """Read four pickles (mark, version, machine, content), a pickle of keys, and for each its length and values."""
    stream = _stream(content)
    waiting: dict[str, tuple[Tensor, int]] = {}

    def storage(key: str, dtype: torch.dtype, numel: int) -> Tensor:
        size = numel * dtype.itemsize
        if not 0 <= size <= len(content):
            raise ValueError("values beyond the end")
        if key not in waiting:
            waiting[key] = torch.zeros(size, dtype=torch.uint8), dtype.itemsize
        return _typed(waiting[key][0], dtype, numel)

    def load() -> Any:
        return InertUnpickler(stream, storage, where).load()

    if load() != _MAGIC:
        problem = "is a pickle of other objects than torch.save writes"
        raise CheckpointError(one_line(where, problem, "save its tensors with safetensors"))
    load(), load()
    result = load()
    for key in load():
        values, itemsize = waiting[str(key)]
        (numel,) = _COUNT.unpack(stream.read(_COUNT.size))
        if numel * itemsize != len(values) or cast(io.BufferedReader, stream).readinto(
            cast(Any, values.numpy())
        ) != len(values):
            raise ValueError("values are missing")
    return result


def _values(record: memoryview) -> Tensor:
    """Return bytes `[n]`, as a view of the file where that is aligned."""
    if not len(record):
        return torch.zeros(0, dtype=torch.uint8)
    values = torch.frombuffer(record, dtype=torch.uint8)
    return values if values.data_ptr() % _ALIGNMENT == 0 else values.clone()


def _typed(values: Tensor, dtype: torch.dtype, numel: int) -> Tensor:
    if not 0 <= numel * dtype.itemsize <= len(values):
        raise ValueError("values are missing")
    return values[: numel * dtype.itemsize].view(dtype)


def _stream(content: memoryview) -> BinaryIO:
    return io.BufferedReader(_Raw(content))


class _Raw(io.RawIOBase):
    """Bytes in memory as a file, without a copy of them."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._at = content, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, len(self._content))[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        piece = self._content[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
