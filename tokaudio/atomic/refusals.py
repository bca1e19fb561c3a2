"""Why a result cannot be written, in one line."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokaudio.errors import OutputError, one_line

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
    return refusal(path, error.errno, problem, remedy)


def refusal(path: str | os.PathLike[str], number: int | None, problem: str, remedy: str) -> OutputError:
    """Return the error for a result that is refused, with an error number."""
    result = OutputError(one_line(path, problem, remedy))
    result.errno = number
    return result


@contextmanager
def explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the operating system says into an `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise output_error(path, error) from error
