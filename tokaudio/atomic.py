"""Output files that appear whole or not at all.

[`AtomicFile`][tokaudio.atomic.AtomicFile] gives a path to write to, for libraries that open files by name;
[`atomic_stream`][tokaudio.atomic.atomic_stream] and [`atomic_write`][tokaudio.atomic.atomic_write] are built on it.
[`AtomicFolder`][tokaudio.atomic.AtomicFolder] does the same for a folder of files that belong together.
All of them write to `.NAME.tmp-PID-RANDOM` next to the target, flush it to the disk, put it in place, and flush the
directory; on any error the temporary file is removed. Without `overwrite`, a file that another process creates
meanwhile is kept, also if it appears at the last moment.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from tokaudio.errors import OutputError, one_line

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed import ReadableBuffer

_FORBIDDEN = ("no permission to write there", "write elsewhere, or run chmod u+w on the directory")
_REASONS = {
    errno.EEXIST: ("exists already", "choose another name, or allow overwriting (-f)"),
    errno.EISDIR: ("is a directory", "name a file in it"),
    errno.ENOENT: ("its directory does not exist", "create it first"),
    errno.ENOTDIR: ("a part of its path is not a directory", "choose another path"),
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: ("the file system is read-only", "write elsewhere, or mount it for writing"),
    errno.ENOSPC: ("the disk is full", "free some space or write elsewhere"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or write elsewhere"),
    errno.EFBIG: ("the file is larger than allowed", "raise the limit (ulimit -f) or write elsewhere"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
# A directory may be closed to reading, or have nothing to flush.
_NO_FOLDER_SYNC = (errno.EACCES, errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
# Leaves room for the suffix within the 255 bytes that file systems give a name.
_STEM_BYTES = 180

Step = Callable[[str], None]
"""Is told the name of what has just been done."""


def _go_on(name: str) -> None:
    """Take note of a step, and do nothing."""


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """Return the error for a result that could not be written, with the cause and the remedy in one line.

    Its `errno` is that of the cause.

    Example:
        >>> print(output_error("out.wav", OSError(errno.ENOSPC, "")))
        out.wav: the disk is full; free some space or write elsewhere
    """
    problem, remedy = f"cannot be written ({error.strerror or error})", "write elsewhere"
    # A directory that is there may hold no new file (/proc), or have lost the temporary one.
    if error.errno in _REASONS and not (error.errno == errno.ENOENT and Path(path).parent.is_dir()):
        problem, remedy = _REASONS[error.errno]
    return _refusal(path, error.errno, problem, remedy)


def _refusal(path: str | os.PathLike[str], number: int | None, problem: str, remedy: str) -> OutputError:
    result = OutputError(one_line(path, problem, remedy))
    result.errno = number
    return result


@contextlib.contextmanager
def _explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the operating system says into an `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise output_error(path, error) from error


class AtomicFile:
    """A temporary file next to its target, which takes the target's place on success and vanishes on error.

    Use it as a context manager and write to `temporary`; or call `__enter__`, and then `commit` or `discard`. Errors
    of whoever writes to `temporary` are not translated; `output_error` does that.

    Args:
        path: The target. Where it is a link to a file, the link is replaced.
        overwrite: Whether an existing file may be replaced.
        step: Is told how far `commit` has come: `written`, `flushed`, `renamed`, `synced`. Tests pull the plug there.

    Attributes:
        path: The target, as given.
        temporary: Where to write: the absolute path of `.NAME.tmp-PID-RANDOM` in the directory of the target.

    Raises:
        OutputError: If the target exists (without `overwrite`), is a directory, a device, a pipe, a dangling link or
            read-only, or its name cannot be; on entering, if no file can be made there; or on leaving, if it cannot
            be flushed or put in place.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with AtomicFile(f"{folder}/a.txt") as output:
        ...         size = output.temporary.write_text("whole")
        ...     os.listdir(folder)
        ['a.txt']
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False, step: Step | None = None) -> None:
        self.path = path
        self._overwrite = overwrite
        self._step = step or _go_on
        if "\0" in os.fspath(path):
            raise _refusal(path, errno.EINVAL, "the name holds a null character", "choose another")
        with _explained(path):
            self._target = Path(path).absolute()
            self._require_free()
        self.temporary = _temporary(self._target)

    def _require_free(self) -> None:
        """Raise for what is known to fail, before any work is done."""
        try:
            mode = self._target.stat().st_mode
        except FileNotFoundError:
            if self._target.is_symlink():
                problem = "the link points to a file that does not exist"
                raise _refusal(self.path, errno.EEXIST, problem, "mend or remove the link") from None
            return
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "")
        if not stat.S_ISREG(mode):
            raise _refusal(self.path, errno.EEXIST, "is not a regular file", "name a file")
        if not self._overwrite:
            raise FileExistsError(errno.EEXIST, "")
        if not os.access(self._target, os.W_OK):
            raise _refusal(self.path, errno.EACCES, "is read-only", "choose another name, or run chmod u+w on it")

    def __enter__(self) -> Self:
        with _explained(self.path):
            os.close(os.open(self.temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()

    def commit(self) -> None:
        """Flush the temporary file to the disk and give it the target's name.

        Raises:
            OutputError: If that fails; the temporary file is then removed.
        """
        try:
            with _explained(self.path):
                self._step("written")
                _sync(self.temporary, os.O_RDWR)
                self._step("flushed")
                self._publish()
                self._step("renamed")
                _sync_folder(self._target.parent)
                self._step("synced")
        except BaseException:
            self.discard()
            raise

    def _publish(self) -> None:
        if self._overwrite:
            self.temporary.replace(self._target)
            return
        # A hard link, unlike a rename, fails where another process has created the file meanwhile.
        try:
            os.link(self.temporary, self._target)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            self._require_free()
            self.temporary.rename(self._target)
        else:
            self.discard()

    def discard(self) -> None:
        """Remove the temporary file; no error if there is none."""
        with contextlib.suppress(OSError):
            self.temporary.unlink()


def _temporary(target: Path) -> Path:
    """Return a name beside a target that nothing has."""
    stem = target.name
    while len(os.fsencode(stem)) > _STEM_BYTES:
        stem = stem[:-1]
    return target.with_name(f".{stem}.tmp-{os.getpid()}-{secrets.token_hex(4)}")


class AtomicFolder:
    """A temporary folder beside its target, which takes the target's place on success and vanishes on error.

    As `AtomicFile`, for results that are several files which belong together. A folder that exists at the target is
    removed at the moment before; where the power fails between the two, there is none.

    Args:
        path: The target.
        step: As for `AtomicFile`.

    Attributes:
        path: The target, as given.
        temporary: A name beside it; whoever writes makes the folder.

    Raises:
        OutputError: On leaving, if it cannot be flushed or put in place.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with AtomicFolder(f"{folder}/a") as output:
        ...         output.temporary.mkdir()
        ...         size = (output.temporary / "b.txt").write_text("whole")
        ...     [str(path.relative_to(folder)) for path in sorted(Path(folder).rglob("*"))]
        ['a', 'a/b.txt']
    """

    def __init__(self, path: str | os.PathLike[str], *, step: Step | None = None) -> None:
        self.path = path
        self._step = step or _go_on
        self._target = Path(path).absolute()
        self.temporary = _temporary(self._target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()

    def commit(self) -> None:
        """Flush the files of the temporary folder to the disk and give it the target's name.

        Raises:
            OutputError: If that fails; the temporary folder is then removed.
        """
        try:
            with _explained(self.path):
                self._step("written")
                for file in sorted(self.temporary.iterdir()):
                    _sync(file, os.O_RDWR)
                _sync_folder(self.temporary)
                self._step("flushed")
                if self._target.exists():
                    shutil.rmtree(self._target)
                self.temporary.rename(self._target)
                self._step("renamed")
                _sync_folder(self._target.parent)
                self._step("synced")
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the temporary folder; no error if there is none."""
        shutil.rmtree(self.temporary, ignore_errors=True)


class _Raw(io.FileIO):
    """The temporary file, which says in one line why it takes no more, and remembers that it said so."""

    def __init__(self, output: AtomicFile) -> None:
        self._path = output.path
        self.failure: OutputError | None = None
        with _explained(self._path):
            super().__init__(os.open(output.temporary, os.O_RDWR | getattr(os, "O_BINARY", 0)), "r+")

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = output_error(self._path, error)
            raise self.failure from error

    def close(self) -> None:
        # Network file systems may say here that the disk is full.
        with _explained(self._path):
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
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     atomic_write(f"{folder}/a.bin", b"whole")
        ...     Path(folder, "a.bin").read_bytes()
        b'whole'
    """
    with atomic_stream(path, overwrite=overwrite) as stream:
        stream.write(content)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, where the file system knows how."""
    try:
        _sync(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
