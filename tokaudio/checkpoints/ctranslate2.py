"""Weights in `model.bin` of CTranslate2, version 6 of its binary format: every model of faster-whisper.

Numbers are little-endian. A string is its length (16 bits, with a zero byte at the end that counts) and its bytes. The
file is: version (32 bits), name of the model's specification, its revision (32 bits), number of variables (32 bits);
for each, name, rank (8 bits), sizes (32 bits each), type (8 bits), number of bytes (32 bits), values; number of aliases
(32 bits), and for each its name and that of the variable it stands for.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tokaudio.checkpoints.torch_files import damaged, map_file
from tokaudio.errors import CheckpointError

_VERSION = 6
_START = struct.pack("<I", _VERSION)
_DTYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)


def is_ctranslate2(start: bytes) -> bool:
    r"""Return whether a file that begins so is in this format.

    Example:
        >>> is_ctranslate2(b"\6\0\0\0\14\0WhisperSpec\0\3"), is_ctranslate2(b"\6\0\0\0\0\0\0\0{}")
        (True, False)
    """
    end = 6 + int.from_bytes(start[4:6], "little")
    name = start[6:end]
    return start[:4] == _START and name[:-1].isalnum() and name[-1:] == b"\0"


def read_ctranslate2(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the variables by name, such as `encoder/conv1/weight`, and `spec` and `revision`.

    No memory is taken for sizes that a file states and does not have.

    Raises:
        CheckpointError: if the file is damaged, cut off or hostile.
    """
    try:
        return _read(_Bytes(map_file(path)))
    except CheckpointError:
        raise
    except (ValueError, struct.error, RuntimeError, OverflowError) as error:
        raise damaged(path, error) from error


class _Bytes:
    """The bytes of a file from its start to its end."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._at = content, 0

    @property
    def left(self) -> int:
        return len(self._content) - self._at

    def take(self, count: int) -> memoryview:
        if count > self.left:
            raise ValueError(f"{count} bytes wanted where {self.left} are left")
        self._at += count
        return self._content[self._at - count : self._at]

    def number(self, form: str) -> int:
        return int(struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0])

    def text(self) -> str:
        held = bytes(self.take(self.number("H")))
        if not held.endswith(b"\0") or b"\0" in held[:-1]:
            raise ValueError("a name without its end")
        name = held[:-1].decode("utf-8")
        if not name.isprintable():
            raise ValueError(f"a name like {name[:40]!r}")
        return name


def _read(file: _Bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    version, spec, revision = file.number("I"), file.text(), file.number("I")
    if version != _VERSION:
        raise ValueError(f"version {version}")
    tensors: dict[str, Tensor] = {}
    for _ in range(file.number("I")):
        name = file.text()
        if name in tensors:
            raise ValueError(f"{name} twice")
        tensors[name] = _variable(file, name)
    for _ in range(file.number("I")):
        alias, name = file.text(), file.text()
        if alias in tensors or name not in tensors:
            raise ValueError(f"{alias} in place of {name}")
        tensors[alias] = tensors[name]
    if file.left:
        raise ValueError(f"{file.left} bytes after the end")
    return tensors, {"spec": spec, "revision": revision}


def _variable(file: _Bytes, name: str) -> Tensor:
    dims = [file.number("I") for _ in range(file.number("B"))]
    kind, size = file.number("B"), file.number("I")
    if kind >= len(_DTYPES):
        raise ValueError(f"{name} of type {kind}")
    if math.prod(dims) * _DTYPES[kind].itemsize != size:
        raise ValueError(f"{name} of sizes {dims} in {size} bytes")
    # The copy is aligned, as the place in the file need not be.
    values = bytearray(file.take(size))
    return (torch.frombuffer(values, dtype=_DTYPES[kind]) if size else torch.zeros(0, dtype=_DTYPES[kind])).reshape(
        dims
    )
