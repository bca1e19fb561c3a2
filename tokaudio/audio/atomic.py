"""Output files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tokaudio.errors import OutputError, one_line

if TYPE_CHECKING:
    from types import TracebackType

_FULL = (errno.ENOSPC, errno.EDQUOT)
# Room for the suffix within the 255 bytes that file systems give a name.
_NAME_BYTES = 200


class AtomicFile:
    """A temporary file next to its target, which takes the target's place on success and vanishes on error.

    Use it as a context manager and write to `temporary`. On a clean exit the file is flushed to disk, renamed onto
    the target, and its directory is flushed; on an exception it is removed.

    Args:
        path: The target.
        overwrite: Whether an existing file may be replaced.

    Attributes:
        path: The target, as given.
        temporary: Where to write: `.NAME.tmp-PID-RANDOM` in the directory of the target.

    Raises:
        OutputError: If the target exists (without `overwrite`), is a directory, or its directory is missing or not
            writable; or on leaving, if the disk is full.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with AtomicFile(f"{folder}/a.txt") as output, output.temporary.open("w") as file:
        ...         _ = file.write("whole")
        ...     os.listdir(folder)
        ['a.txt']
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = path
        self._overwrite = overwrite
        self._target = Path(path)
        short = os.fsdecode(os.fsencode(self._target.name)[:_NAME_BYTES])
        self.temporary = self._target.parent / f".{short}.tmp-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self._refuse()
        except OutputError:
            raise
        except OSError as error:
            raise output_error(path, error) from None

    def _refuse(self) -> None:
        """Raise for what is known to fail, before any work is done."""
        if "\0" in str(self._target):
            raise OutputError(one_line(self.path, "the name holds a null character", "choose another"))
        if self._target.is_dir():
            raise OutputError(one_line(self.path, "is a directory", "name a file in it"))
        if not self._overwrite and os.path.lexists(self._target):
            raise OutputError(one_line(self.path, "exists already", "choose another name, or overwrite (-f)"))
        if not self._target.parent.is_dir():
            raise OutputError(one_line(self.path, "its directory does not exist", "create it first"))

    def __enter__(self) -> Self:
        try:
            os.close(os.open(self.temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as error:
            raise output_error(self.path, error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()

    def commit(self) -> None:
        """Flush the temporary file and give it the target's name.

        Raises:
            OutputError: If that fails; the temporary file is then removed.
        """
        try:
            _sync(self.temporary, os.O_RDWR)
            # Someone may have taken the name meanwhile.
            self._refuse()
            self.temporary.replace(self._target)
        except OSError as error:
            self.discard()
            if isinstance(error, OutputError):
                raise
            raise output_error(self.path, error) from None
        except BaseException:
            self.discard()
            raise
        if os.name == "posix":
            _sync(self._target.parent, os.O_RDONLY)

    def discard(self) -> None:
        """Remove the temporary file; no error if there is none."""
        with contextlib.suppress(OSError):
            self.temporary.unlink()


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot flush a directory.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or path.is_file():
            raise
    finally:
        os.close(descriptor)


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """Return the error for a result that could not be written, with the cause and the remedy in one line.

    Example:
        >>> print(output_error("out.wav", OSError(errno.ENOSPC, "")))
        out.wav: the disk is full; free some space or write elsewhere
    """
    if error.errno in _FULL:
        problem, remedy = "the disk is full", "free some space or write elsewhere"
    elif error.errno == errno.EROFS:
        problem, remedy = "the file system is read-only", "write elsewhere, or mount it for writing"
    elif isinstance(error, PermissionError):
        problem, remedy = "no permission to write there", "write elsewhere, or run chmod u+w on the directory"
    elif error.errno == errno.ENAMETOOLONG:
        problem, remedy = "the file name is too long", "choose a shorter one"
    elif error.errno == errno.EFBIG:
        problem, remedy = "the file is larger than allowed", "raise the limit (ulimit -f) or write elsewhere"
    else:
        problem, remedy = f"cannot be written ({error.strerror or error})", "write elsewhere"
    result = OutputError(one_line(path, problem, remedy))
    result.errno = error.errno
    return result
