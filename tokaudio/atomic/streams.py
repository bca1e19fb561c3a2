"""Streams and bytes that become a file whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from tokaudio.atomic.refusals import explained, output_error
from tokaudio.atomic.targets import AtomicFile
from tokaudio.errors import OutputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Raw(io.FileIO):
    """The temporary file, which says in one line why it takes no more, and remembers that it said so."""

    def __init__(self, output: AtomicFile) -> None:
        self._path = output.path
        self.failure: OutputError | None = None
        with explained(self._path):
            super().__init__(os.open(output.temporary, os.O_RDWR | getattr(os, "O_BINARY", 0)), "r+")

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = output_error(self._path, error)
            raise self.failure from error

    def close(self) -> None:
        # Network file systems may say here that the disk is full.
        with explained(self._path):
            super().close()


@contextlib.contextmanager
def atomic_stream(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a stream to a temporary file that takes its target's place when the block ends without an error.

    Only the stream's own errors become an `OutputError`; others of the block pass as they are.

    Args:
        path: The target.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputError: As [`AtomicFile`][tokaudio.atomic.AtomicFile] does, and if the disk takes no more.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_stream(f"{folder}/a.bin") as stream:
        ...         size = stream.write(b"whole")
        ...     os.listdir(folder)
        ['a.bin']
    """
    with AtomicFile(path, overwrite=overwrite) as output:
        raw = _Raw(output)
        try:
            stream = io.BufferedRandom(raw)
            yield stream
            if not stream.closed:
                stream.flush()
        except Exception as error:
            # A library that is told of a full disk may fail in a way of its own.
            if raw.failure is None or raw.failure is error:
                raise
            raise raw.failure from error
        finally:
            # Closing the stream instead would write once more what is given up.
            raw.close()
        # It may also go on as if nothing was.
        if raw.failure is not None:
            raise raw.failure


def atomic_write(path: str | os.PathLike[str], content: ReadableBuffer, *, overwrite: bool = False) -> None:
    """Write bytes to a file, whole or not at all.

    Raises:
        OutputError: If the file exists (without `overwrite`), or cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     atomic_write(f"{folder}/a.bin", b"whole")
        ...     Path(folder, "a.bin").read_bytes()
        b'whole'
    """
    with atomic_stream(path, overwrite=overwrite) as stream:
        stream.write(content)
