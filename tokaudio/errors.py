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

    Non-printable and undecodable characters of the path are escaped, so that the result is one printable line.

    Example:
        >>> one_line("in.wav", "the file is empty", "record it again")
        'in.wav: the file is empty; record it again'
    """
    name = os.fspath(path)
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in name)
    return f"{printable}: {problem}; {remedy}"
