"""The progress bar: shown on a terminal only, and costing nothing elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class Meter:
    """Counts what is done; shows nothing.

    Attributes:
        write: prints a line above the bar; None where there is no bar.
        seconds: of audio so far.
        files: finished so far.
    """

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self.write = write
        self.seconds = 0.0
        self.files = 0
        self._lock = threading.Lock()

    def advance(self, size: float, seconds: float) -> None:
        """Count bytes of input and seconds of audio."""
        with self._lock:
            self.seconds += seconds
        self.show(size)

    def file_done(self) -> None:
        """Count a file."""
        with self._lock:
            self.files += 1
        self.show(0.0)

    def show(self, size: float) -> None:
        """Show the state after `size` further bytes."""


class _Bar(Meter):
    def __init__(self, progress: Progress, verb: str, total_bytes: int, files: int) -> None:
        super().__init__(self._print)
        self._progress, self._verb, self._total = progress, verb, files
        self._started = time.perf_counter()
        self._task = progress.add_task(verb, total=max(total_bytes, 1), done=f"{verb} 0/{files}", rate="")

    def show(self, size: float) -> None:
        rate = self.seconds / 3600 / max(time.perf_counter() - self._started, 1e-9)
        done = f"{self._verb} {self.files}/{self._total}"
        # Not everything that is counted is audio.
        told = f"{rate:.3g} audio-hours/s" if self.seconds else ""
        self._progress.update(self._task, advance=size, done=done, rate=told)

    def _print(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def meter(verb: str, total_bytes: int, files: int, *, show: bool) -> Iterator[Meter]:
    """Count progress, and show it as a bar on stderr while the block runs if `show` is true.

    Args:
        verb: what is done, such as `encoded`.
        total_bytes: size of all inputs; the bar and the remaining time go by it.
        files: number of inputs.
        show: whether to show a bar.

    Example:
        >>> with meter("encoded", 1000, 1, show=False) as progress:
        ...     progress.advance(1000, 2.5)
        >>> progress.seconds
        2.5
    """
    if not show:
        yield Meter()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    layout = (
        TextColumn("{task.fields[done]}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*layout, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress, verb, total_bytes, files)
