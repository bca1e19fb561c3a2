"""Small ONNX models, written in the protocol-buffer wire format, so that no library is needed to make one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor


def varint(value: int) -> bytes:
    """Return a number, seven bits to the byte."""
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: bytes | int) -> bytes:
    """Return one field of a message: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name: str, value: Tensor) -> bytes:
    """Return a TensorProto, of float32 or int64."""
    kind = {torch.float32: 1, torch.int64: 7}[value.dtype]
    dims = b"".join(field(1, size) for size in value.shape)
    return dims + field(2, kind) + field(8, name.encode()) + field(9, value.contiguous().numpy().tobytes())


class Graph:
    """A graph under construction; only its nodes, initialisers and constants matter."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def initialiser(self, name: str, value: Tensor) -> str:
        """Add an initialiser and return its name."""
        self._parts.append(field(5, tensor(name, value)))
        return name

    def constant(self, name: str, value: Tensor) -> str:
        """Add a Constant node and return the name of its output."""
        attribute = field(1, b"value") + field(5, tensor("", value)) + field(20, 4)
        output = field(2, f"{name}_output_0".encode())
        self._parts.append(field(1, output + field(3, name.encode()) + field(4, b"Constant") + field(5, attribute)))
        return f"{name}_output_0"

    def node(
        self, op: str, name: str, inputs: Sequence[str], integers: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        """Add a node."""
        message = b"".join(field(1, given.encode()) for given in inputs)
        message += field(2, f"{name}_output_0".encode()) + field(3, name.encode()) + field(4, op.encode())
        for key, values in (integers or {}).items():
            attribute = field(1, key.encode()) + b"".join(field(8, value) for value in values) + field(20, 7)
            message += field(5, attribute)
        self._parts.append(field(1, message))

    def save(self, path: Path) -> None:
        """Write the model."""
        path.write_bytes(field(1, 8) + field(7, b"".join(self._parts) + field(2, b"main_graph")))
