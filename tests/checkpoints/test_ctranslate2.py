"""Files of CTranslate2: whole, cut off, and hostile."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.ctranslate2_writer import KINDS, ctranslate2_file, text
from tokaudio.checkpoints import read_checkpoint, read_shapes
from tokaudio.checkpoints.ctranslate2 import is_ctranslate2
from tokaudio.errors import CheckpointError


def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {f"a/{kind}": torch.randint(0, 100, (3, 5), generator=generator).to(kind) for kind in KINDS}
    return {**tensors, "encoder/num_heads": torch.tensor(6, dtype=torch.int16), "none": torch.zeros(0, 4)}


def read(path: Path, content: bytes) -> dict[str, Tensor]:
    path.write_bytes(content)
    return read_checkpoint(path).tensors


def test_every_type_comes_back_exactly(tmp_path: Path) -> None:
    found = read(tmp_path / "model.bin", ctranslate2_file(weights(), {"b": "a/torch.float16"}))
    wanted = weights() | {"b": weights()["a/torch.float16"]}
    assert found.keys() == wanted.keys()
    assert all(found[name].dtype == value.dtype and torch.equal(found[name], value) for name, value in wanted.items())
    assert all(value.data_ptr() % 16 == 0 for value in found.values())
    assert read_checkpoint(tmp_path / "model.bin").metadata == {"spec": "WhisperSpec", "revision": 3}
    assert read_shapes(tmp_path / "model.bin")["a/torch.int8"] == (3, 5)


def test_a_file_that_ends_anywhere_is_refused(tmp_path: Path) -> None:
    content = ctranslate2_file({"a": torch.ones(2, 3), "c": torch.ones(1)}, {"b": "a"})
    for end in range(20, len(content)):
        with pytest.raises(CheckpointError, match=r"model\.bin: .*; "):
            read(tmp_path / "model.bin", content[:end])
    with pytest.raises(CheckpointError, match="1 bytes after the end"):
        read(tmp_path / "model.bin", content + b"\0")


def head(count: int) -> bytes:
    return struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, count)


def one(dims: tuple[int, ...], kind: int, size: int, content: bytes = b"", *, name: bytes = text("a")) -> bytes:
    shape = struct.pack("<B", len(dims)) + struct.pack(f"<{len(dims)}I", *dims)
    return head(1) + name + shape + struct.pack("<BI", kind, size) + content + struct.pack("<I", 0)


HUGE = 2**32 - 1
HOSTILE = {
    "more bytes than there are": one((HUGE // 4,), 0, HUGE - 3),
    "sizes beyond all memory": one((HUGE, HUGE, HUGE), 0, 4, bytes(4)),
    "sizes that overflow to what is there": one((2**31, 2**31, 4), 0, 0),
    "another size than the bytes have": one((3,), 0, 8, bytes(8)),
    "255 sizes": one((1,) * 255, 0, 8, bytes(8)),
    "an unknown type": one((1,), 6, 4, bytes(4)),
    "more variables than there are": head(HUGE),
    "a name without its end": one((1,), 0, 4, bytes(4), name=struct.pack("<H", 2) + b"ab"),
    "a name with an end inside": one((1,), 0, 4, bytes(4), name=struct.pack("<H", 3) + b"a\0\0"),
    "an empty name without an end": one((1,), 0, 4, bytes(4), name=struct.pack("<H", 0)),
    "a name that is no text": one((1,), 0, 4, bytes(4), name=struct.pack("<H", 2) + b"\xff\0"),
    "a name that cannot be printed": one((1,), 0, 4, bytes(4), name=text("a\x1b[2J")),
    "a name twice": head(2) + 2 * ctranslate2_file({"a": torch.ones(1)})[len(head(1)) : -4] + bytes(4),
    "an alias of nothing": ctranslate2_file({"a": torch.ones(1)}, {"b": "c"}),
    "an alias of its own name": ctranslate2_file({"a": torch.ones(1)}, {"a": "a"}),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_in_one_line_and_without_memory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=r"model\.bin: is damaged or cut off") as caught:
        read_checkpoint(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6 and "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 200), byte=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, place: int, byte: int) -> None:
    content = bytearray(ctranslate2_file({"a": torch.ones(2, 3), "c": torch.ones(1)}, {"b": "a"}))
    content[place % len(content)] = byte
    path = tmp_path_factory.getbasetemp() / "changed.bin"
    try:
        assert read(path, bytes(content))
    except CheckpointError as error:
        assert "\n" not in str(error)


def test_a_file_is_known_by_its_beginning(tmp_path: Path) -> None:
    assert is_ctranslate2(ctranslate2_file({}, spec="TransformerSpec")[:30])
    assert not is_ctranslate2(b"") and not is_ctranslate2(struct.pack("<I", 5) + text("WhisperSpec"))
    with pytest.raises(CheckpointError, match="no checkpoint of a known kind"):
        read(tmp_path / "a.bin", struct.pack("<I", 6) + text("Some/spec") + bytes(100))
    with pytest.raises(CheckpointError, match="holds no tensors"):
        read(tmp_path / "a.bin", ctranslate2_file({}))
