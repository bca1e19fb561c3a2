"""Reading `.npz` files of unknown origin: nothing is unpickled, and nothing is allocated before it is checked.

The zip directory is bounded before `zipfile` parses it, every member's declared size is checked against the limits
and against its own array header, and array headers are matched against the one form that numpy writes instead of
being evaluated.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, NoReturn

import numpy as np

from tokaudio.errors import TokensError, one_line
from tokaudio.storage._npy import Array, Layout, NpyError, PickleError, read_layout

MAX_MEMBERS = 256
_MAX_DIRECTORY_BYTES = 2**17
_MAX_DEFLATE_RATIO = 1032  # zlib's own bound: at most 258 bytes from 2 bits
_CHUNK = 2**20
_END_RECORD = struct.Struct("<4s4H2LH")
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, ValueError, RuntimeError, EOFError, OverflowError)


class SafeNpz:
    """An open `.npz` file; see `open_npz`."""

    def __init__(self, path: str | os.PathLike[str], stream: BinaryIO, max_bytes: int) -> None:
        self.path = path
        size = os.fstat(stream.fileno()).st_size
        if size > max_bytes:
            self.refuse(f"it has {size:,} bytes", f"at most {max_bytes:,} are read; raise max_bytes if that is meant")
        self._check_end_record(stream, size)
        self._zip = zipfile.ZipFile(stream)
        infos = self._zip.infolist()
        self._members = {info.filename: info for info in infos}
        if len(self._members) != len(infos):
            self.damaged("a member occurs twice")
        if min((info.header_offset for info in infos), default=0) != 0:
            self.damaged("other data stands before the first member")
        for info in infos:
            self._check_member(info, size)
        total = sum(info.file_size for info in infos)
        if total > max_bytes:
            self.refuse(f"it unpacks to {total:,} bytes", f"at most {max_bytes:,} are read; do not trust this file")

    @property
    def names(self) -> list[str]:
        """Names of the members, in the file's order, with their `.npy`."""
        return list(self._members)

    def refuse(self, problem: str, remedy: str) -> NoReturn:
        """Raise the standard one-line error about this file."""
        raise TokensError(one_line(self.path, problem, remedy))

    def damaged(self, detail: str) -> NoReturn:
        """Raise the error about a damaged file."""
        self.refuse(f"it is no token file, or a damaged one ({detail})", "copy or write it again")

    def _check_end_record(self, stream: BinaryIO, size: int) -> None:
        if size < _END_RECORD.size:
            self.damaged("it is empty" if size == 0 else "it is too short")
        tail_size = min(size, _END_RECORD.size + 20)
        stream.seek(size - tail_size)
        tail = stream.read(tail_size)
        signature, *_, entries, length, offset, comment = _END_RECORD.unpack(tail[-_END_RECORD.size :])
        if signature != b"PK\x05\x06" or comment or offset + length + _END_RECORD.size != size:
            self.damaged("it is not a zip file, is cut off, or has other data around it")
        # a zip64 locator in front of the end record would override the figures that are checked here
        if tail.startswith(b"PK\x06\x07") or entries > MAX_MEMBERS or length > _MAX_DIRECTORY_BYTES:
            self.damaged("its zip directory is too large")

    def _check_member(self, info: zipfile.ZipInfo, size: int) -> None:
        name = ascii(info.filename)[:60]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            self.damaged(f"the member {name} has an unknown compression")
        ratio = 1 if info.compress_type == zipfile.ZIP_STORED else _MAX_DEFLATE_RATIO
        if info.compress_size > size or info.file_size > ratio * info.compress_size:
            self.damaged(f"the member {name} has impossible sizes")

    def layout(self, name: str) -> Layout:
        """Return what the array header of a member says, after checking it against the member's size."""
        with self._zip.open(self._members[name]) as stream:
            return self._read_layout(name, stream)

    def read(self, name: str, crc: int = 0, *, max_bytes: int | None = None) -> tuple[Array, int]:
        """Return a member's array, and `crc` continued over all of the member's bytes."""
        if max_bytes is not None and self._members[name].file_size > max_bytes:
            self.damaged(f"the member {ascii(name)[:60]} is too large")
        with self._zip.open(self._members[name]) as stream:
            layout = self._read_layout(name, stream)
            crc = zlib.crc32(layout.header, crc)
            array = np.empty(layout.shape, layout.dtype)
            view = array.reshape(-1).view(np.uint8).data
            for start in range(0, len(view), _CHUNK):
                chunk = stream.read(min(_CHUNK, len(view) - start))
                view[start : start + len(chunk)] = chunk
                crc = zlib.crc32(chunk, crc)
                if len(chunk) < min(_CHUNK, len(view) - start):
                    self.damaged(f"the member {ascii(name)[:60]} is cut off")
            stream.read(1)  # reading on to the end has zipfile compare the member's own checksum
            if layout.dtype == np.bool_ and np.asarray(view).max(initial=0) > 1:
                self.damaged(f"the member {ascii(name)[:60]} holds something else than 0 and 1")
        return array, crc

    def _read_layout(self, name: str, stream: IO[bytes]) -> Layout:
        try:
            return read_layout(stream, self._members[name].file_size)
        except PickleError as error:
            self.refuse(f"the member {ascii(name)[:60]} {error}", "do not trust this file")
        except NpyError as error:
            self.damaged(f"the member {ascii(name)[:60]} {error}")


@contextlib.contextmanager
def open_npz(path: str | os.PathLike[str], max_bytes: int) -> Iterator[SafeNpz]:
    """Open a `.npz` file whose content may be anything.

    Raises:
        TokensError: no regular file, no zip file, too large, or damaged in a way that shows.
    """
    with open_regular(path) as stream:
        try:
            yield SafeNpz(path, stream, max_bytes)
        except TokensError:
            raise
        except _DAMAGE as error:
            detail = "".join(c if c.isprintable() else "?" for c in str(error))[:80] or type(error).__name__
            problem = f"it is no token file, or a damaged one ({detail})"
            raise TokensError(one_line(path, problem, "copy or write it again")) from error
        except (OSError, MemoryError) as error:
            problem = f"it cannot be read ({error.strerror if isinstance(error, OSError) else 'out of memory'})"
            raise TokensError(one_line(path, problem, "check the disk and the free memory")) from error


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read, if it is one; a pipe, a device or a folder is refused and not waited for."""
    try:
        # without O_NONBLOCK, opening a FIFO would wait for a writer
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        link = Path(path).is_symlink()
        problem = "it is a link to nothing" if link else "there is no such file"
        raise TokensError(one_line(path, problem, "check the path")) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TokensError(
            one_line(path, f"it cannot be opened ({reason})", "check the path and permissions")
        ) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise TokensError(one_line(path, f"it is {kind}", "give a token file"))
    return os.fdopen(descriptor, "rb")
