"""A file seen with another beginning is a file."""

from __future__ import annotations

import io
import os

from hypothesis import given
from hypothesis import strategies as st

from tokaudio.audio.splice import SplicedFile


@given(
    front=st.binary(max_size=20),
    body=st.binary(max_size=40),
    start=st.integers(0, 20),
    end=st.integers(0, 40),
    moves=st.lists(st.tuples(st.integers(0, 2), st.integers(-30, 70), st.integers(-1, 50)), max_size=8),
)
def test_behaves_as_the_joined_bytes(
    front: bytes, body: bytes, start: int, end: int, moves: list[tuple[int, int, int]]
) -> None:
    start, end = min(start, len(body)), min(end, len(body))
    joined = front + body[start : max(start, end)]
    view, twin = SplicedFile(io.BytesIO(body), front, start, end), io.BytesIO(joined)
    for whence, offset, size in moves:
        base = (0, twin.tell(), len(joined))[whence]
        assert view.seek(offset, whence) == twin.seek(max(0, base + offset))
        assert view.read(size) == twin.read(size)
        assert view.tell() == twin.tell()
    view.seek(0)
    buffer = bytearray(len(joined) + 3)
    assert view.readinto(buffer) == len(joined)
    assert bytes(buffer[: len(joined)]) == joined
    assert view.seek(0, os.SEEK_END) == len(joined)
    assert view.readable()
    assert view.seekable()
