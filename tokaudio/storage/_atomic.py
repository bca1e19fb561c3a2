"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tokaudio.errors import OutputError, one_line

_PROBLEMS = {
    errno.ENOENT: ("its folder does not exist", "create the folder first"),
    errno.ENOTDIR: ("a part of its path is not a folder", "check the path"),
    errno.EACCES: ("there is no permission to write it", "choose another folder or change the permissions"),
    errno.EPERM: ("there is no permission to write it", "choose another folder or change the permissions"),
    errno.EROFS: ("its file system is read-only", "choose another folder"),
    errno.ENOSPC: ("the disk is full", "free some space or choose another disk"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another disk"),
    errno.ENAMETOOLONG: ("its name is too long", "choose a shorter name"),
}
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a temporary file next to `path` that takes its place when the block ends without an error.

    The temporary file is named `.NAME.tmp-PID-RANDOM`, is flushed to the disk before it takes its place, and is
    removed on any error.

    Raises:
        OutputError: the file exists and `overwrite` is false, or it cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_file(f"{folder}/a.bin") as stream:
        ...         size = stream.write(b"whole")
        ...     os.listdir(folder)
        ['a.bin']
    """
    if "\0" in os.fspath(path):
        raise OutputError(one_line(path, "its name holds a NUL character", "choose another name"))
    target = Path(path).absolute()
    # the short stem keeps the temporary name within the 255 bytes that file systems allow
    stem = os.fsdecode(os.fsencode(target.name)[:180])
    temporary = target.with_name(f".{stem}.tmp-{os.getpid()}-{os.urandom(4).hex()}")
    created = False
    try:
        _require_free(target, path, overwrite)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        created = True
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _put_in_place(target, temporary, path, overwrite)
        created = False
        _sync_folder(target.parent)
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problem, remedy = _PROBLEMS.get(error.errno or 0, (f"it cannot be written ({reason})", "choose another path"))
        raise OutputError(one_line(path, problem, remedy)) from error
    finally:
        if created:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _require_free(target: Path, path: str | os.PathLike[str], overwrite: bool) -> None:
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        if target.is_symlink() and not overwrite:
            raise OutputError(one_line(path, "there is a dangling link of that name", "remove it")) from None
        return
    if stat.S_ISDIR(mode):
        raise OutputError(one_line(path, "it is a folder", "give the name of a file"))
    if not stat.S_ISREG(mode):
        raise OutputError(one_line(path, "it is not a regular file", "give the name of a file"))
    if not overwrite:
        raise OutputError(one_line(path, "it exists", "choose another name or allow overwriting"))
    if not os.access(target, os.W_OK):
        raise OutputError(one_line(path, "it is read-only", "choose another name or change the permissions"))


def _put_in_place(target: Path, temporary: Path, path: str | os.PathLike[str], overwrite: bool) -> None:
    if not overwrite:
        # a hard link, unlike a rename, fails where another process has created the file meanwhile
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise OutputError(one_line(path, "it exists", "choose another name or allow overwriting")) from None
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            _require_free(target, path, overwrite)
        else:
            temporary.unlink()
            return
    temporary.replace(target)


def _sync_folder(folder: Path) -> None:
    # some file systems cannot sync a folder, and the file itself is already safe
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
