"""Every exception that tokaudio raises on purpose.

All of them derive from [`TokaudioError`][tokaudio.errors.TokaudioError], and each also derives from the built-in
class that a caller would expect (`ValueError`, `LookupError`, `OSError`, `ImportError`), so that existing handlers
keep working. Messages are one line: they name the file or value, say what is wrong, and say what to do.
"""

from __future__ import annotations

import os


class TokaudioError(Exception):
    """Base of all errors that tokaudio raises on purpose."""


class AudioError(TokaudioError, ValueError):
    """Audio that cannot be used: unreadable, truncated, non-finite, or of an unexpected shape or rate."""


class TokensError(TokaudioError, ValueError):
    """Tokens that cannot be used: a damaged token file, codes out of range, or another tokenizer's codes."""


class CheckpointError(TokaudioError, ValueError):
    """Weights or configurations that cannot be used: missing, misshapen or non-finite tensors, unknown families."""


class CorpusError(TokaudioError, ValueError):
    """A corpus job that cannot go on: other inputs or options than it was begun with, or damaged files of its own."""


class UnknownNameError(TokaudioError, LookupError):
    """A name that no registry knows; the message lists the names that exist."""


class HubError(TokaudioError, OSError):
    """A file of the Hub that cannot be had now: no network, no access, or a Hub that does not answer."""


class OutputError(TokaudioError, OSError):
    """A result that could not be written: existing file, missing folder, no permission, or a full disk."""


class MissingDependencyError(TokaudioError, ImportError):
    """An optional package that the request needs and that is not installed; the message names the extra."""


def one_line(path: str | os.PathLike[str], problem: str, remedy: str) -> str:
    """Return the standard message `PATH: what is wrong; what to do`.

    Characters that are not printable are escaped, in the path and in what a file may have put into the problem, so that
    the result is one printable line.

    Example:
        >>> one_line("in.wav", "the file is empty", "record it again")
        'in.wav: the file is empty; record it again'
    """
    return printable(f"{os.fspath(path)}: {problem}; {remedy}")


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
    elif is_out_of_memory(error):
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


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is not enough memory, of the machine or of a device.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError())
        (True, False)
    """
    named = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or named
