r"""Is a file the one that it is said to be? Digests of whole files, checked once and remembered.

The Hub names a large file by the SHA-256 of its content, and a small one by git's name for it, the SHA-1 of
`blob SIZE\0` and the content (gitformat-pack, git-hash-object).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path

from tokaudio.atomic import atomic_write
from tokaudio.errors import CheckpointError, OutputError, one_line
from tokaudio.json_text import parse_json

_BLOCK = 1 << 20
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Shorter than this, a digest says too little to refuse or to trust a file.
_LEAST_DIGITS = 8
_REMEDY = "delete it and load again"


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     sha256_of(file.name)[:16]
        'e3b0c44298fc1c14'
    """
    return _digest(Path(path), "sha256")


def matches(path: str | os.PathLike[str], expected: str) -> bool:
    """Return whether a file is the one that a digest names.

    Args:
        path: the file.
        expected: a SHA-256 or its first digits (8 at least), or the 40 digits of a git blob or of a plain SHA-1, which
            some mirrors of the Hub give.

    Raises:
        ValueError: if `expected` is no such digest.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     matches(file.name, "e3b0c442"), matches(file.name, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
        (True, True)
    """
    path = Path(path)
    if _SHA1.fullmatch(expected):
        prefix = f"blob {path.stat().st_size}\0".encode()
        return expected in (_digest(path, "sha1", prefix), _digest(path, "sha1"))
    if not re.fullmatch(rf"[0-9a-f]{{{_LEAST_DIGITS},64}}", expected):
        raise ValueError(f"{expected!r} is no digest; give 8 to 64 hexadecimal digits")
    return _digest(path, "sha256").startswith(expected)


def is_digest(text: str) -> bool:
    """Return whether text is a whole SHA-256 or SHA-1 in lower case.

    Example:
        >>> is_digest("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), is_digest("main")
        (True, False)
    """
    return bool(_SHA1.fullmatch(text) or _SHA256.fullmatch(text))


def check_file(path: str | os.PathLike[str], *expected: str, stamps: Path | None = None, remedy: str = _REMEDY) -> None:
    """Refuse a file that none of the expected digests names; nothing is checked where none is given.

    Args:
        path: the file.
        *expected: digests as [`matches`][tokaudio.digests.matches] takes them, one of which must fit.
        stamps: folder in which to remember a file that was found right, by its size and time of change, so that it is
            read only once. It is made if need be; where it cannot be written, the file is read every time.
        remedy: what the message advises.

    Raises:
        CheckpointError: if the file is another, damaged, or only half there.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     check_file(file.name, "e3b0c442")
    """
    if not expected:
        return
    path = Path(path).resolve()
    stamp = None if stamps is None else stamps / f"{path.name}.json"
    state = path.stat()
    record = {"size": state.st_size, "changed_ns": state.st_mtime_ns, "digests": sorted(expected)}
    if stamp is not None and _remembered(stamp) == record:
        return
    if not any(matches(path, digest) for digest in expected):
        problem = f"is damaged or half-downloaded ({state.st_size:,} bytes, whose digest is not {expected[0][:12]}...)"
        raise CheckpointError(one_line(path, problem, remedy))
    if stamp is not None:
        with suppress(OutputError, OSError):
            stamp.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(stamp, (json.dumps(record) + "\n").encode(), overwrite=True)


def _remembered(stamp: Path) -> object:
    try:
        return parse_json(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _digest(path: Path, name: str, prefix: bytes = b"") -> str:
    # Not for secrecy: git's names are SHA-1.
    digest = hashlib.new(name, prefix, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
