"""Who works on what: locks on single bytes of one empty file, which the system lets go of when their holder dies.

They hold between processes of one machine, and of several machines on a shared file system that knows POSIX record
locks (NFS 4, Lustre with `flock`, GPFS). Within one process they do not exclude each other.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokaudio.atomic import output_error
from tokaudio.errors import OutputError, one_line

_TAKEN = (errno.EACCES, errno.EAGAIN)
_UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class Locks:
    """Locks of a job: byte 0 for what one process does for all, byte 1 + n for shard n.

    A process opens the file of a job once: POSIX drops all locks of a process when it closes any descriptor of a file.

    Args:
        path: of the file, which is made if need be, and stays empty.

    Raises:
        OutputError: if it cannot be made, or the file system knows no locks.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Locks(f"{folder}/lock") as locks:
        ...     locks.claim(3), locks.release(3)
        (True, None)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            raise output_error(path, error) from error

    def claim(self, shard: int) -> bool:
        """Return whether this process now has a shard to itself."""
        return self._lock(shard + 1, wait=False)

    def release(self, shard: int) -> None:
        """Let go of a shard."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, shard + 1)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Have the job to oneself inside the block; wait until that is so."""
        self._lock(0, wait=True)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, 0)

    def close(self) -> None:
        """Let go of everything."""
        os.close(self._file)

    def __enter__(self) -> Locks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lock(self, at: int, *, wait: bool) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, at)
        except OSError as error:
            if error.errno in _TAKEN and not wait:
                return False
            if error.errno in _UNKNOWN:
                problem = "this file system knows no locks, without which processes cannot share a job"
                raise OutputError(one_line(self.path, problem, "write to a local disk, and copy the result")) from error
            raise output_error(self.path, error) from error
        return True
