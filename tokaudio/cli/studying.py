"""What `layers` shows while it works and says at the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from tokaudio.analysis.layer_study.gathering import Listener
from tokaudio.analysis.layer_study.study import LayerStudy
from tokaudio.audio.manifest import Recording
from tokaudio.cli.failures import DONE, SOME_FAILED, printable
from tokaudio.cli.progress import Meter, meter
from tokaudio.cli.report import Report, emit, emit_json
from tokaudio.errors import TokaudioError


class StudyProgress(Listener):
    """Two bars, one for seconds of audio and one for clusterings, and a line for every recording that fails.

    Args:
        report: takes the failures.
        recordings: all of them.
        seconds: of audio that are read at most.
    """

    def __init__(self, report: Report, recordings: Sequence[Recording], seconds: float) -> None:
        self._report, self._count, self._seconds = report, len(recordings), seconds
        self._show = sys.stderr.isatty() and not report.quiet
        self._bars = ExitStack()
        self._meter = Meter()

    def __enter__(self) -> Self:
        self._start("read", round(self._seconds), self._count)
        return self

    def __exit__(self, *error: object) -> None:
        self._report.write = None
        self._bars.close()

    def read(self, recording: Recording, seconds: float, error: TokaudioError | None) -> None:
        """Show one more recording."""
        if error is not None:
            self._report.fail(str(recording.path), error)
        self._meter.advance(seconds, seconds)
        self._meter.file_done()

    def unlabelled(self, recording: Recording, error: TokaudioError) -> None:
        """Report labels that cannot be used."""
        self._report.fail(str(recording.path), error)

    def clustered(self, done: int, total: int) -> None:
        """Show one more clustering; none at the start."""
        if done:
            self._meter.advance(1, 0.0)
            self._meter.file_done()
        else:
            self._bars.close()
            self._start("clustered", total, total)

    def _start(self, verb: str, size: int, count: int) -> None:
        self._meter = self._bars.enter_context(meter(verb, size, count, show=self._show))
        self._report.write = self._meter.write


def tell(study: LayerStudy, output: str, report: Report) -> int:
    """Print what was found, and return the exit code."""
    if report.as_json:
        failures = [{"input": one.source, "error": one.line, "exit_code": one.code} for one in report.failures]
        emit_json({"output": output, **study.to_dict(), "findings": study.sentences(), "failures": failures})
    elif not report.quiet:
        for line in (*study.sentences(), *study.notes):
            emit(printable(line))
        emit(f"studied {study.facts['recordings']} recordings, {len(report.failures)} failures: {printable(output)}")
    return SOME_FAILED if report.failures else DONE
