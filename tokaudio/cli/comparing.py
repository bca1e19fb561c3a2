"""What `compare` shows while it works and says at the end."""

from __future__ import annotations

from typing import Self

from tokaudio.analysis.comparison import Comparison
from tokaudio.analysis.reporting import Listener
from tokaudio.cli.analyzing import AnalysisProgress
from tokaudio.cli.failures import DONE, SOME_FAILED, printable
from tokaudio.cli.report import Report, emit
from tokaudio.errors import TokaudioError


class ComparisonProgress(Listener):
    """The bars of `analyze`, for one tokenizer after the other; what fails for all of them is told once.

    Args:
        report: takes the failures.
        recordings: how many there are.
        minutes: of audio that are read at most; None for all.
    """

    def __init__(self, report: Report, recordings: int, minutes: float | None) -> None:
        self._new = lambda: AnalysisProgress(report, recordings, minutes)
        self._bars: AnalysisProgress | None = None
        self._failed: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def read(self, name: str, seconds: float, error: TokaudioError | None) -> None:
        """Show one more recording."""
        self._open().read(name, seconds, None if name in self._failed else error)
        if error is not None:
            self._failed.add(name)

    def unlabelled(self, name: str, error: TokaudioError) -> None:
        """Report labels that cannot be used."""
        if name not in self._failed:
            self._open().unlabelled(name, error)
            self._failed.add(name)

    def measured(self, done: int, total: int) -> None:
        """Show one more codebook; with the last of them, a tokenizer is done."""
        self._open().measured(done, total)
        if done == total:
            self._close()

    def _open(self) -> AnalysisProgress:
        if self._bars is None:
            self._bars = self._new().__enter__()
        return self._bars

    def _close(self) -> None:
        if self._bars is not None:
            self._bars.__exit__()
            self._bars = None


def tell(found: Comparison, output: str | None, report: Report) -> int:
    """Print what was found, and return the exit code."""
    if not report.quiet:
        for line in (*found.warnings(), *found.sentences(), *found.notes):
            emit(printable(line))
        where = "" if output is None else f": {printable(output)}"
        heard = f"{found.reports[0].facts['recordings']} recordings, {len(report.failures)} failures"
        emit(f"compared {len(found.names)} tokenizers on {heard}{where}")
    return SOME_FAILED if report.failures else DONE
