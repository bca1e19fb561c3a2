"""A folder in which long work is kept until it is done: what was asked for, a journal of what is finished, and a lock.

Whatever ends a process, the next one that asks for the same goes on where the journal ends. A line of the journal is
written after what it speaks of, so what a torn last line stood for is done again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tokaudio.atomic import atomic_write, output_error
from tokaudio.errors import OutputError, TokaudioError, one_line

_FORMAT, _JOB, _JOURNAL, _LOCK = "tokaudio-work", "job.json", "journal.jsonl", "lock"


class WorkError(TokaudioError, ValueError):
    """Unfinished work that is not what is asked for now."""


class WorkFolder:
    """Unfinished work of one kind; use it as a context manager, which holds the lock.

    Args:
        path: the folder; made if need be.
        facts: what decides the result, as JSON holds it: work with other facts is not gone on with. Messages name the
            first that differs.
        start_over: whether work with other facts is thrown away, instead of refused.

    Attributes:
        path: the folder.

    Raises:
        WorkError: if the folder holds work with other facts, or something else.
        OutputError: if it cannot be made, or another process works in it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "work"
        >>> with WorkFolder(path, {"seed": 0}) as work:
        ...     work.note([{"name": "a.wav", "frames": 12}])
        >>> with WorkFolder(path, {"seed": 0}) as work:
        ...     work.noted()
        ...     work.remove()
        [{'name': 'a.wav', 'frames': 12}]
        >>> path.exists()
        False
    """

    def __init__(self, path: Path, facts: Mapping[str, Any], *, start_over: bool = False) -> None:
        self.path = path
        # As they come back from a file: tuples are lists there.
        self._facts = json.loads(json.dumps({"format": _FORMAT, **facts}))
        self._start_over = start_over
        self._lock = -1

    def __enter__(self) -> WorkFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(self.path, error) from error
        found = self._found()
        self._lock = _locked(self.path)
        try:
            if found is not None and found != self._facts:
                self._refuse_unless_told(found)
                self._clear()
                found = None
            if found is None:
                atomic_write(self.path / _JOB, (json.dumps(self._facts, indent=2) + "\n").encode(), overwrite=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def noted(self) -> list[dict[str, Any]]:
        """Return the lines of the journal; a torn one at its end is cut off.

        Raises:
            OutputError: if the journal cannot be read or cut.
        """
        path = self.path / _JOURNAL
        lines, whole = [], 0
        try:
            content = path.read_bytes() if path.exists() else b""
            for line in content.splitlines(keepends=True):
                try:
                    row = json.loads(line)
                except ValueError:
                    break
                if not line.endswith(b"\n"):
                    break
                lines.append(row)
                whole += len(line)
            if whole < len(content):
                os.truncate(path, whole)
        except OSError as error:
            raise output_error(path, error) from error
        return lines

    def note(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add lines to the journal, and make them last.

        Raises:
            OutputError: if the disk takes no more.
        """
        path = self.path / _JOURNAL
        try:
            with path.open("ab") as file:
                file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(path, error) from error

    def remove(self) -> None:
        """Delete the folder, when all is done."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _found(self) -> dict[str, Any] | None:
        """Return the facts of the work that the folder holds; None if it is as good as empty."""
        try:
            found = json.loads((self.path / _JOB).read_text(encoding="utf-8"))
        except FileNotFoundError:
            if any(entry.name != _LOCK and not entry.name.startswith(f".{_JOB}") for entry in self.path.iterdir()):
                problem = "is there, and holds no unfinished work"
                raise WorkError(one_line(self.path, problem, "move it away, or choose another output")) from None
            return None
        except (OSError, ValueError) as error:
            raise WorkError(one_line(self.path / _JOB, f"cannot be read ({error})", "delete the folder")) from error
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise WorkError(one_line(self.path / _JOB, "is not of unfinished work", "move the folder away"))
        return found

    def _refuse_unless_told(self, found: Mapping[str, Any]) -> None:
        if self._start_over:
            return
        name = next(name for name in {**self._facts, **found} if found.get(name) != self._facts.get(name))
        problem = f"{name} {_brief(found.get(name))}, now {_brief(self._facts.get(name))}"
        remedy = "give the same again to finish it, or throw it away (-f, or delete the folder)"
        raise WorkError(one_line(self.path, f"holds unfinished work with other options ({problem})", remedy))

    def _clear(self) -> None:
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != _LOCK:
                entry.unlink(missing_ok=True)


def _brief(value: object) -> str:
    return value[:8] if isinstance(value, str) and len(value) == 64 else json.dumps(value)


def _locked(folder: Path) -> int:
    """Return a descriptor that holds the folder's lock; the system takes it back when the process ends."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise output_error(folder / _LOCK, error) from error
    with suppress(ImportError):  # not on Windows, which has no such lock
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            problem = "another process is at work in it"
            raise OutputError(one_line(folder, problem, "wait for it, or choose another output")) from error
    return descriptor
