"""Tar files without times, owners or links: written as bytes that depend on the content alone, read member by member.

Blocks have 512 bytes (POSIX.1-1988, ustar); two blocks of zeros end the archive.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from tokaudio.storage._facts import damaged
from tokaudio.storage._safe_npz import open_regular

_BLOCK = 512
_MAX_MEMBER = 2**31
MAX_MEMBER_NAME = 100


class TarWriter:
    """Writes members one after the other to a stream, which it does not close.

    Example:
        >>> import io
        >>> stream = io.BytesIO()
        >>> tar = TarWriter(stream)
        >>> tar.add("a.txt", b"hello")
        >>> tar.close()
        >>> tarfile.open(fileobj=io.BytesIO(stream.getvalue())).getnames()
        ['a.txt']
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def add(self, name: str, content: bytes) -> None:
        """Write a member; names have at most 100 ASCII characters."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o644
        self._stream.write(info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict"))
        self._stream.write(content)
        self._stream.write(bytes(-len(content) % _BLOCK))

    def close(self) -> None:
        """Write the end of the archive."""
        self._stream.write(bytes(2 * _BLOCK))


def read_tar(path: str | os.PathLike[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each member.

    Raises:
        TokensError: anything else than an archive of plain files, with its end and nothing after it but zeros.
    """
    with open_regular(path) as stream:
        left = os.fstat(stream.fileno()).st_size
        while True:
            head = stream.read(_BLOCK)
            left -= _BLOCK
            if len(head) < _BLOCK:
                damaged(path, "it is cut off")
            if not any(head):
                break
            try:
                info = tarfile.TarInfo.frombuf(head, "ascii", "strict")
            except (tarfile.HeaderError, ValueError) as error:
                damaged(path, "it is no plain tar file", error)
            if info.type != tarfile.REGTYPE or not 0 <= info.size <= min(left, _MAX_MEMBER):
                damaged(path, "a member is no plain file of its size")
            content = stream.read(info.size)
            padding = stream.read(-info.size % _BLOCK)
            left -= info.size + len(padding)
            if any(padding) or left < 0:
                damaged(path, "it is cut off")
            yield info.name, content
        rest = stream.read(20 * _BLOCK)
        if len(rest) < _BLOCK or any(rest) or stream.read(1):
            damaged(path, "it does not end as a tar file does")
