"""A file seen with another beginning, for headers that libsndfile needs and the file lacks."""

from __future__ import annotations

import io
import os
from typing import BinaryIO


class SplicedFile(io.RawIOBase):
    """Bytes in memory, followed by a range of a file, as one binary file.

    Args:
        file: The file behind.
        front: What comes first.
        start: Where the range of the file begins, in bytes.
        end: Where it ends.

    Example:
        >>> SplicedFile(io.BytesIO(b"old header, data"), b"new header", 10, 16).read()
        b'new header, data'
    """

    def __init__(self, file: BinaryIO, front: bytes, start: int, end: int) -> None:
        super().__init__()
        self._file = file
        self._front = front
        self._start = start
        self._end = max(start, end)
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as any binary file does."""
        size = len(self._front) + self._end - self._start
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        behind = max(0, self._position - len(self._front))
        data = self._front[self._position :]
        data = data if size < 0 else data[:size]
        left = self._end - self._start - behind
        want = left if size < 0 else min(size - len(data), left)
        if want > 0:
            self._file.seek(self._start + behind)
            data += self._file.read(want)
        self._position += len(data)
        return data

    def readinto(self, buffer: object) -> int:
        """Fill a buffer, and return the number of bytes."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
