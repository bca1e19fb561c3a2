"""Files and folders that take their target's place when they are whole and on the disk, or never."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tokaudio.atomic.refusals import explained, refusal

if TYPE_CHECKING:
    from types import TracebackType

_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
# A directory may be closed to reading, or have nothing to flush.
_NO_FOLDER_SYNC = (errno.EACCES, errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
# Leaves room for the suffix within the 255 bytes that file systems give a name.
_STEM_BYTES = 180

Step = Callable[[str], None]
"""Is told the name of what has just been done."""


def _go_on(name: str) -> None:
    """Take note of a step, and do nothing."""


class AtomicTarget(ABC):
    """What `AtomicFile` and `AtomicFolder` share: the order in which a result is flushed, put in place, and kept."""

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False, step: Step | None = None) -> None:
        self.path = path
        self._overwrite = overwrite
        self._step = step or _go_on
        if "\0" in os.fspath(path):
            raise refusal(path, errno.EINVAL, "the name holds a null character", "choose another")
        with explained(path):
            self._target = Path(path).absolute()
            self._require_free()
        self.temporary = _temporary(self._target)

    @abstractmethod
    def _require_free(self) -> None:
        """Raise for what is known to fail, before any work is done."""

    @abstractmethod
    def _flush(self) -> None:
        """Bring what was written to the disk."""

    @abstractmethod
    def _publish(self) -> None:
        """Give it the target's name."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what is temporary; no error if there is nothing."""

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
        """Flush what was written to the disk and give it the target's name.

        Raises:
            OutputError: If that fails; what is temporary is then removed.
        """
        try:
            with explained(self.path):
                self._step("written")
                self._flush()
                self._step("flushed")
                self._publish()
                self._step("renamed")
                _sync_folder(self._target.parent)
                self._step("synced")
        except BaseException:
            self.discard()
            raise


class AtomicFile(AtomicTarget):
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

    def _require_free(self) -> None:
        try:
            mode = self._target.stat().st_mode
        except FileNotFoundError:
            if self._target.is_symlink():
                problem = "the link points to a file that does not exist"
                raise refusal(self.path, errno.EEXIST, problem, "mend or remove the link") from None
            return
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "")
        if not stat.S_ISREG(mode):
            raise refusal(self.path, errno.EEXIST, "is not a regular file", "name a file")
        if not self._overwrite:
            raise FileExistsError(errno.EEXIST, "")
        if not os.access(self._target, os.W_OK):
            raise refusal(self.path, errno.EACCES, "is read-only", "choose another name, or run chmod u+w on it")

    def __enter__(self) -> Self:
        with explained(self.path):
            os.close(os.open(self.temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        return self

    def _flush(self) -> None:
        _sync(self.temporary, os.O_RDWR)

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


class AtomicFolder(AtomicTarget):
    """A temporary folder beside its target, which takes the target's place on success and vanishes on error.

    As `AtomicFile`, for results that are several files which belong together. With `overwrite`, a folder that exists at
    the target is removed at the moment before; where the power fails between the two, there is none.

    Args:
        path: The target.
        overwrite: Whether an existing folder may be replaced.
        step: As for `AtomicFile`.

    Attributes:
        path: The target, as given.
        temporary: A name beside it; whoever writes makes the folder.

    Raises:
        OutputError: If the target exists (without `overwrite`), or is no folder; or on leaving, if it cannot be flushed
            or put in place.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with AtomicFolder(f"{folder}/a") as output:
        ...         output.temporary.mkdir()
        ...         size = (output.temporary / "b.txt").write_text("whole")
        ...     [str(path.relative_to(folder)) for path in sorted(Path(folder).rglob("*"))]
        ['a', 'a/b.txt']
    """

    def _require_free(self) -> None:
        if not os.path.lexists(self._target):
            return
        if self._target.is_symlink() or not self._target.is_dir():
            raise refusal(self.path, errno.EEXIST, "is no folder", "choose another name, or remove it")
        if not self._overwrite:
            raise FileExistsError(errno.EEXIST, "")

    def _flush(self) -> None:
        for file in sorted(self.temporary.iterdir()):
            _sync(file, os.O_RDWR)
        _sync_folder(self.temporary)

    def _publish(self) -> None:
        self._require_free()
        if self._target.exists():
            shutil.rmtree(self._target)
        self.temporary.rename(self._target)

    def discard(self) -> None:
        """Remove the temporary folder; no error if there is none."""
        shutil.rmtree(self.temporary, ignore_errors=True)


def _temporary(target: Path) -> Path:
    """Return a name beside a target that nothing has."""
    stem = target.name
    while len(os.fsencode(stem)) > _STEM_BYTES:
        stem = stem[:-1]
    return target.with_name(f".{stem}.tmp-{os.getpid()}-{secrets.token_hex(4)}")


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
