"""Files in the binary format of CTranslate2, as its converters write them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import torch
from torch import Tensor

KINDS = {
    torch.float32: 0,
    torch.int8: 1,
    torch.int16: 2,
    torch.int32: 3,
    torch.float16: 4,
    torch.bfloat16: 5,
}


def text(name: str) -> bytes:
    held = name.encode() + b"\0"
    return struct.pack("<H", len(held)) + held


def variable(name: str, value: Tensor) -> bytes:
    content = bytes(value.detach().contiguous().flatten().view(torch.uint8).tolist()) if value.ndim else _scalar(value)
    head = text(name) + struct.pack("<B", value.ndim) + struct.pack(f"<{value.ndim}I", *value.shape)
    return head + struct.pack("<BI", KINDS[value.dtype], len(content)) + content


def ctranslate2_file(
    tensors: Mapping[str, Tensor], aliases: Mapping[str, str] | None = None, *, spec: str = "WhisperSpec"
) -> bytes:
    """Return a file of version 6 with these variables and aliases."""
    parts = [struct.pack("<I", 6), text(spec), struct.pack("<II", 3, len(tensors))]
    parts += [variable(name, value) for name, value in tensors.items()]
    parts += [struct.pack("<I", len(aliases or {}))]
    parts += [text(alias) + text(name) for alias, name in (aliases or {}).items()]
    return b"".join(parts)


def _scalar(value: Tensor) -> bytes:
    return bytes(value.detach().reshape(1).view(torch.uint8).tolist())
