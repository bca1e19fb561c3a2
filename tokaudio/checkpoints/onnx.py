"""Weights in ONNX models, read from the protocol-buffer wire format: the format of S3Tokenizer and CosyVoice.

Field numbers are those of the ONNX schema (onnx/onnx.proto, IR version 3 and later).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tokaudio.checkpoints.torch_files import damaged, map_file
from tokaudio.errors import CheckpointError, one_line

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# TensorProto.DataType
_DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
_EXTERNAL = 1
Value = int | memoryview


def read_onnx(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the initialisers and constants of a model by name, and its nodes under `nodes`.

    Each node is a dictionary of `op`, `name`, `inputs`, `outputs` and `attributes` (the whole numbers of each by name,
    such as the strides of a convolution), in the order of the graph: exporters rename the weights of matrix products,
    and only the node that uses one says whose it is.

    Raises:
        CheckpointError: if the file is damaged, or keeps its weights elsewhere.
    """
    tensors: dict[str, Tensor] = {}
    nodes: list[dict[str, Any]] = []
    try:
        for number, graph in _fields(map_file(path)):
            if number != 7:
                continue
            for field, content in _fields(_bytes(graph)):
                if field == 5:
                    name, tensor = _tensor(_bytes(content), path)
                    tensors[name] = tensor
                elif field == 1:
                    node, constant = _node(_bytes(content), path)
                    nodes.append(node)
                    if constant is not None and node["outputs"]:
                        tensors[node["outputs"][0]] = constant
    except CheckpointError:
        raise
    except (ValueError, IndexError, struct.error, RuntimeError) as error:
        raise damaged(path, error) from error
    return tensors, {"nodes": nodes}


def _node(message: memoryview, where: Path) -> tuple[dict[str, Any], Tensor | None]:
    node: dict[str, Any] = {"op": "", "name": "", "inputs": [], "outputs": [], "attributes": {}}
    constant = None
    for number, value in _fields(message):
        if number in (1, 2):
            node["inputs" if number == 1 else "outputs"].append(_text(value))
        elif number in (3, 4):
            node["name" if number == 3 else "op"] = _text(value)
        elif number == 5:
            name, numbers, tensor = _attribute(_bytes(value), where)
            constant = constant if tensor is None else tensor
            if numbers:
                node["attributes"][name] = numbers
    return node, constant if node["op"] == "Constant" else None


def _attribute(message: memoryview, where: Path) -> tuple[str, list[int], Tensor | None]:
    """Return an attribute's name, its whole numbers, and its tensor (that of a Constant)."""
    name, numbers, tensor = "", [], None
    for field, content in _fields(message):
        if field == 1:
            name = _text(content)
        elif field in (3, 8):
            numbers += [content] if isinstance(content, int) else list(_varints(content))
        elif field == 5:
            tensor = _tensor(_bytes(content), where)[1]
    return name, numbers, tensor


def _tensor(message: memoryview, where: Path) -> tuple[str, Tensor]:
    dims: list[int] = []
    name, kind, raw, external = "", 0, None, 0
    typed: dict[int, list[Value]] = {}
    for number, value in _fields(message):
        if number == 1:
            dims += [value] if isinstance(value, int) else list(_varints(value))
        elif number == 2:
            kind = _int(value)
        elif number in (4, 5, 7, 10):
            typed.setdefault(number, []).append(value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _bytes(value)
        elif number == 14:
            external = _int(value)
    if external == _EXTERNAL:
        problem = f"keeps tensor {name!r} in another file"
        raise CheckpointError(one_line(where, problem, "save the model as one file"))
    if kind not in _DTYPES:
        raise CheckpointError(one_line(where, f"has tensor {name!r} of unknown type {kind}", "save it in float32"))
    dtype = _DTYPES[kind]
    values = _from_raw(raw, dtype) if raw is not None else _from_typed(typed, dtype)
    return name, values.reshape(dims)


def _from_raw(raw: memoryview, dtype: torch.dtype) -> Tensor:
    # The copy is aligned, as the place in the file need not be.
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(dtype) if len(raw) else torch.zeros(0, dtype=dtype)


def _from_typed(typed: dict[int, list[Value]], dtype: torch.dtype) -> Tensor:
    """Return values that are spelt out, packed into one field or one field each."""
    for number, form, wide in ((4, "<I", torch.float32), (10, "<Q", torch.float64)):
        if number in typed:
            pieces = [struct.pack(form, v) if isinstance(v, int) else bytes(v) for v in typed[number]]
            return _from_raw(memoryview(b"".join(pieces)), wide).to(dtype)
    integers: list[int] = []
    for value in (*typed.get(5, ()), *typed.get(7, ())):
        integers += [value] if isinstance(value, int) else list(_varints(value))
    if dtype in (torch.float16, torch.bfloat16):
        # 16-bit floats are given as their bits.
        bits = torch.tensor([(n & 0xFFFF) - ((n & 0x8000) << 1) for n in integers], dtype=torch.int16)
        return bits.view(dtype)
    return torch.tensor([n - (1 << 64) if n >> 63 else n for n in integers], dtype=torch.int64).to(dtype)


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield the numbers and values of a message's fields; 32- and 64-bit values as unsigned integers."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"field of kind {wire}")
        if at + size > len(message):
            raise ValueError("a field beyond the end")
        piece = message[at : at + size]
        at += size
        yield number, piece if wire == _BYTES else int.from_bytes(piece, "little")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without end")


def _varints(message: memoryview) -> Iterator[int]:
    at = 0
    while at < len(message):
        value, at = _varint(message, at)
        yield value


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number in place of a message")
    return value


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise ValueError("a message in place of a number")
    return value


def _text(value: Value) -> str:
    return bytes(_bytes(value)).decode("utf-8", "replace")
