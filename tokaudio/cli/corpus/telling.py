"""What `corpus encode` says while it works: failures as they happen, a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from tokaudio.cli.progress import Meter, meter
from tokaudio.cli.report import emit

if TYPE_CHECKING:
    from tokaudio.corpus.finishing import Summary
    from tokaudio.corpus.job import Job

_EVERY_SECONDS = 60.0


class Teller:
    """Says on stderr how a job goes.

    Args:
        quiet: say nothing but failures.

    Attributes:
        inputs: done so far, in this run.
        seconds: of sound so far.
        elapsed: seconds since it began.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: AbstractContextManager[Meter] | None = None
        self._meter = Meter()
        self._started = self._last = time.monotonic()
        self._total = 0
        self.inputs, self.seconds, self.elapsed = 0, 0.0, 0.0

    def begin(self, job: Job) -> None:
        """Take note of what is to be done: the inputs of shards that are not done yet."""
        done = job.journal.read()
        before = sum(record.rows + len(record.failed) for record in done.values())
        self._total = job.plan.header["inputs"] - before
        self._started = self._last = time.monotonic()
        if before and self._total and not self._quiet:
            emit(f"tokaudio: going on: {len(done)} of {len(job.plan)} shards are done", sys.stderr)
        show = sys.stderr.isatty() and not self._quiet
        self._bar = meter("encoded", self._total, self._total, show=show)
        self._meter = self._bar.__enter__()

    def tell(self, line: str, inputs: int, seconds: float) -> None:
        """Say that inputs are done; `line` says what is wrong with one."""
        self.inputs += inputs
        self.seconds += seconds
        self._meter.files += inputs
        self._meter.advance(inputs, seconds)
        if line:
            text = f"tokaudio: {line}"
            emit(text, sys.stderr) if self._meter.write is None else self._meter.write(text)
        if not sys.stderr.isatty() and not self._quiet and time.monotonic() - self._last >= _EVERY_SECONDS:
            self._last = time.monotonic()
            emit(f"tokaudio: {self.line()}", sys.stderr)

    def line(self) -> str:
        """Return how far it is, how fast, and how long it will take."""
        elapsed = max(time.monotonic() - self._started, 1e-9)
        left = (self._total - self.inputs) * elapsed / max(self.inputs, 1)
        speed = self.seconds / elapsed
        return f"{self.inputs:,} of {self._total:,} inputs, {speed:.3g}x real time, {clock(left)} left"

    def __enter__(self) -> Teller:
        return self

    def __exit__(self, *error: object) -> None:
        self.elapsed = time.monotonic() - self._started
        if self._bar is not None:
            self._bar.__exit__(None, None, None)


def clock(seconds: float) -> str:
    """Return a time span as hours, minutes and seconds.

    Example:
        >>> clock(3723.4), clock(65)
        ('1:02:03', '1:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(count: int, noun: str) -> str:
    """Return a number of things.

    Example:
        >>> counted(1, "shard"), counted(1_200, "shard")
        ('1 shard', '1,200 shards')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def said(summary: Summary, teller: Teller, output: str) -> str:
    """Return the line that a job ends with."""
    parts = [
        f"{output}: {summary.ok:,} of {summary.listed:,} inputs in {counted(summary.shards, 'shard')}",
        f"{summary.hours:.4g} h",
        f"{summary.frames:,} frames",
        f"{summary.bytes / 1e6:,.3g} MB",
    ]
    if teller.inputs:
        parts.append(f"{teller.seconds / max(teller.elapsed, 1e-9):.3g}x real time")
    if summary.skipped:
        parts.append(f"{summary.skipped:,} listed twice")
    see = f" (see {output}/.tokaudio/failed.jsonl; --retry-failed tries them again)" if summary.failed else ""
    parts.append(f"{summary.failed:,} failed{see}")
    return ", ".join(parts)
