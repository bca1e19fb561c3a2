"""Ctrl-C and termination: noticed within a moment, and without half-written files.

Python runs signal handlers in the main thread. Files are written by worker threads, which look at a flag between
blocks; so no exception ever strikes in the middle of a write. Before and after, when nothing is being written, the
process ends at once: an exception raised during the import of a large package may be swallowed there.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

MESSAGE = "tokaudio: interrupted; finished files are kept, unfinished ones are removed\n"


@dataclass
class Interruption:
    """Whether a signal has come, and what to do when it does.

    Attributes:
        code: exit code that the signal asks for, 128 + its number; None while there was none.
        writing: whether files are being written, so that the end must be orderly.
        message: what is said then, with its newline.
    """

    code: int | None = None
    writing: bool = False
    message: str = MESSAGE


_current = Interruption()


@contextmanager
def interruptible(*, abrupt: bool = False) -> Iterator[Interruption]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt inside the block, and remember which it was.

    A second signal ends the process at once. Outside the main thread, where Python forbids handlers, nothing changes.

    Args:
        abrupt: end the process at once also at the first signal, unless within `orderly`.

    Example:
        >>> with interruptible() as interruption:
        ...     interruption.code is None
        True
    """
    _current.code, _current.writing, _current.message = None, False, MESSAGE

    def handle(number: int, frame: FrameType | None) -> None:
        again = _current.code is not None
        _current.code = 128 + number
        if again or (abrupt and not _current.writing):
            leave()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield _current
        return
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell starts background jobs with SIGINT ignored, and so it stays.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    try:
        yield _current
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def orderly() -> Iterator[None]:
    """Say that files are being written inside the block: a signal there raises KeyboardInterrupt.

    Example:
        >>> with orderly():
        ...     _current.writing
        True
    """
    _current.writing = True
    try:
        yield
    finally:
        _current.writing = False


def say_when_interrupted(what: str) -> None:
    r"""Say that a signal which comes from now on leaves something else behind than finished files.

    Example:
        >>> with interruptible() as interruption:
        ...     say_when_interrupted("the same command goes on")
        ...     interruption.message
        'tokaudio: interrupted; the same command goes on\n'
    """
    _current.message = f"tokaudio: interrupted; {what}\n"


def leave() -> None:
    """End the process at once, with the message and the exit code of the signal that came."""
    os.write(2, _current.message.encode())
    os._exit(_current.code or 130)
