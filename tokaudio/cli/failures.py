"""From an exception to one line on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback

from tokaudio.errors import (
    HubError,
    MissingDependencyError,
    OutputError,
    TokaudioError,
    describe,
    is_out_of_memory,
    one_line,
    printable,
)

__all__ = ["EnvironmentFailure", "MisuseError", "describe", "exit_code", "printable", "refuse", "report_failure"]

DONE, SOME_FAILED, MISUSE, ENVIRONMENT = 0, 1, 2, 3

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_OURS_TO_FIX = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR, errno.EEXIST)


class MisuseError(TokaudioError, ValueError):
    """A command line that asks for something that cannot be."""


class EnvironmentFailure(TokaudioError, OSError):
    """Something the machine lacks: a device, a permission, space."""


def exit_code(error: BaseException) -> int:
    """Return the exit code of a run whose only input failed like this.

    Example:
        >>> exit_code(OutputError("out.npz: exists already")), exit_code(MissingDependencyError("no torchcodec"))
        (2, 3)
    """
    if isinstance(error, (MissingDependencyError, HubError, EnvironmentFailure)):
        return ENVIRONMENT
    if isinstance(error, OutputError):
        number = _errno(error)
        return MISUSE if number is None or number in _OURS_TO_FIX else ENVIRONMENT
    if isinstance(error, TokaudioError) or hasattr(error, "format_message"):
        return MISUSE
    if isinstance(error, OSError) or is_out_of_memory(error):
        return ENVIRONMENT
    return SOME_FAILED


def dooms_the_rest(error: BaseException) -> bool:
    """Return whether other files would fail for the same reason: a full or read-only disk.

    Example:
        >>> dooms_the_rest(OutputError(errno.ENOSPC, "no space left"))
        True
    """
    return isinstance(error, OSError) and _errno(error) in _FULL


def report_failure(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Print a failure that ends the run, and return the exit code."""
    from tokaudio.cli.report import emit, emit_json

    if debug:
        traceback.print_exception(error)
    code = exit_code(error)
    line = describe(error)
    emit(f"tokaudio: {line}", sys.stderr)
    if as_json:
        emit_json({"error": line, "exit_code": code})
    return code


def _errno(error: OSError) -> int | None:
    cause = error.__cause__
    return error.errno if error.errno is not None else cause.errno if isinstance(cause, OSError) else None


def refuse(path: str | os.PathLike[str], problem: str, remedy: str) -> MisuseError:
    """Return the error for a command line that cannot be done as it stands.

    Example:
        >>> print(refuse("in.wav", "no output is named", "name one"))
        in.wav: no output is named; name one
    """
    return MisuseError(one_line(path, problem, remedy))
