"""From an exception to one line on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback

from tokaudio.errors import HubError, MissingDependencyError, OutputError, TokaudioError, one_line

DONE, SOME_FAILED, MISUSE, ENVIRONMENT = 0, 1, 2, 3

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_OURS_TO_FIX = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR, errno.EEXIST)


class MisuseError(TokaudioError, ValueError):
    """A command line that asks for something that cannot be."""


class EnvironmentFailure(TokaudioError, OSError):
    """Something the machine lacks: a device, a permission, space."""


def printable(text: str) -> str:
    r"""Return text with everything escaped that would break a line or cannot be encoded.

    Example:
        >>> print(printable("a\nb \udcff"))
        a\nb \udcff
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def describe(error: BaseException, path: str | None = None, output: str | None = None) -> str:
    """Return one printable line that says which file, what is wrong, and what to do.

    Args:
        error: what happened.
        path: the file it happened to, put in front where the message begins with neither this nor the output.
        output: the file that was to be written.

    Example:
        >>> describe(TokaudioError("it is empty; record it again"), "in.wav")
        'in.wav: it is empty; record it again'
        >>> describe(ZeroDivisionError("division by zero"), "in.wav")
        'in.wav: unexpected ZeroDivisionError (division by zero); run again with --debug and report it'
    """
    where, target = printable(path or ""), printable(output or "")
    if isinstance(error, TokaudioError):
        text = printable(str(error))
    elif isinstance(error, MemoryError) or _is_out_of_memory(error):
        text = "there is not enough memory; close other programs, or use fewer jobs (-j)"
    elif callable(format_message := getattr(error, "format_message", None)):
        command = getattr(getattr(error, "ctx", None), "command_path", "tokaudio")
        text = printable(str(format_message()).rstrip(". ")) + f"; see {command} --help"
    elif isinstance(error, OSError):
        text = f"cannot be read or written ({printable(error.strerror or str(error))}); check the path and the disk"
        where = where or printable(os.fsdecode(error.filename or "file"))
    else:
        detail = printable(" ".join(str(error).split())[:200]).replace(";", ",")
        text = f"unexpected {type(error).__name__} ({detail}); run again with --debug and report it"
    named = any(name and text.startswith(f"{name}:") for name in (where, target))
    return text if named or not where else f"{where}: {text}"


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
    if isinstance(error, (MemoryError, OSError)) or _is_out_of_memory(error):
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


def _is_out_of_memory(error: BaseException) -> bool:
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def refuse(path: str | os.PathLike[str], problem: str, remedy: str) -> MisuseError:
    """Return the error for a command line that cannot be done as it stands.

    Example:
        >>> print(refuse("in.wav", "no output is named", "name one"))
        in.wav: no output is named; name one
    """
    return MisuseError(one_line(path, problem, remedy))
