"""Ctrl-C and termination: noticed within a moment, and without half-written files.

Python runs signal handlers in the main thread. Files are written by worker threads, which look at a flag between
blocks; so no exception ever strikes in the middle of a write.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Interruption:
    """Whether a signal has come.

    Attributes:
        code: exit code that the signal asks for, 128 + its number; None while there was none.
    """

    code: int | None = None


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt inside the block, and remember which it was.

    A second signal ends the process at once. Outside the main thread, where Python forbids handlers, nothing changes.

    Example:
        >>> with interruptible() as interruption:
        ...     interruption.code is None
        True
    """
    state = Interruption()

    def handle(number: int, frame: FrameType | None) -> None:
        if state.code is not None:
            os._exit(state.code)
        state.code = 128 + number
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield state
        return
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell starts background jobs with SIGINT ignored, and so it stays.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
