"""A file seen with another beginning is a file."""

from __future__ import annotations

import io
import itertools
import os

import pytest

from tokaudio.audio.splice import SplicedFile

BODY = bytes(range(100, 120))


@pytest.mark.parametrize(("front", "start", "end"), [(b"abc", 4, 12), (b"", 4, 12), (b"abc", 12, 4), (b"abc", 0, 20)])
def test_behaves_as_the_joined_bytes(front: bytes, start: int, end: int) -> None:
    joined = front + BODY[start:end]
    view, twin = SplicedFile(io.BytesIO(BODY), front, start, end), io.BytesIO(joined)
    for position, size in itertools.product(range(len(joined) + 3), range(-1, len(joined) + 2)):
        assert view.seek(position) == twin.seek(position) == view.tell()
        assert view.read(size) == twin.read(size)
        assert view.tell() == twin.tell()
        # And on from there, since two reads in a row must join.
        assert view.read(2) == twin.read(2)


def test_seeks_and_buffers() -> None:
    view = SplicedFile(io.BytesIO(BODY), b"abc", 4, 12)
    assert view.seek(0, os.SEEK_END) == 11
    assert view.seek(-20, os.SEEK_CUR) == 0
    assert view.seek(-1, os.SEEK_END) == 10
    assert view.seek(1) == 1
    buffer = bytearray(20)
    assert view.readinto(buffer) == 10
    assert bytes(buffer[:10]) == b"bc" + BODY[4:12]
    assert view.readable()
    assert view.seekable()
