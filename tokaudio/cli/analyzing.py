"""What `analyze` shows while it works and says at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tokaudio.analysis.codebook_report import Report as CodebookReport
from tokaudio.analysis.decoding.swap_pairs import SwapMeter
from tokaudio.analysis.reporting import Listener
from tokaudio.atomic import atomic_write
from tokaudio.cli.failures import DONE, SOME_FAILED, printable
from tokaudio.cli.progress import Meter, meter
from tokaudio.cli.report import Report, emit
from tokaudio.errors import MissingDependencyError, TokaudioError
from tokaudio.tokenizers.base import Tokenizer


class AnalysisProgress(Listener):
    """Two bars, one for recordings and one for codebooks, and a line for every recording that fails.

    Args:
        report: takes the failures.
        recordings: how many there are.
        minutes: of audio that are read at most; None for all.
    """

    def __init__(self, report: Report, recordings: int, minutes: float | None) -> None:
        self._report, self._count, self._minutes = report, recordings, minutes
        self._show = sys.stderr.isatty() and not report.quiet
        self._bars = ExitStack()
        self._meter = Meter()

    def __enter__(self) -> Self:
        size = self._count if self._minutes is None else round(60 * self._minutes)
        self._start("read", size, self._count)
        return self

    def __exit__(self, *error: object) -> None:
        self._report.write = None
        self._bars.close()

    def read(self, name: str, seconds: float, error: TokaudioError | None) -> None:
        """Show one more recording."""
        if error is not None:
            self._report.fail(name, error)
        self._meter.advance(1 if self._minutes is None else seconds, seconds)
        self._meter.file_done()

    def unlabelled(self, name: str, error: TokaudioError) -> None:
        """Report labels that cannot be used."""
        self._report.fail(name, error)

    def measured(self, done: int, total: int) -> None:
        """Show one more codebook; none at the start."""
        if done:
            self._meter.advance(1, 0.0)
            self._meter.file_done()
        else:
            self._bars.close()
            self._start("measured", total, total)

    def _start(self, verb: str, size: int, count: int) -> None:
        self._meter = self._bars.enter_context(meter(verb, size, count, show=self._show))
        self._report.write = self._meter.write


def swap_meter(tokenizer: Tokenizer, pairs: int, report: Report) -> SwapMeter:
    """Return what swaps codebooks, with those judges that are installed; the other one is warned of.

    Raises:
        MissingDependencyError: if there is none.
        TokensError: if the tokenizer does not decode.
    """
    from tokaudio.analysis.decoding.judges import ResemblyzerVoice, WhisperWords
    from tokaudio.metrics.intelligibility import word_errors

    def words() -> WhisperWords:
        word_errors(["yes"], ["yes"])  # whether there is what counts them
        return WhisperWords()

    found: list[Any] = []
    missing: list[MissingDependencyError] = []
    for judge in (ResemblyzerVoice, words):
        try:
            found.append(judge())
        except MissingDependencyError as error:
            found.append(None)
            missing.append(error)
    if len(missing) == len(found):
        raise missing[0]
    for lack in missing:
        report.warn(str(lack))
    return SwapMeter(tokenizer, pairs=pairs, voice=found[0], words=found[1])


def write_findings(
    as_json: Callable[[], str], as_page: Callable[[], str], json_file: str | None, page_file: str | None, force: bool
) -> None:
    """Write what was found into those files that were asked for.

    Args:
        as_json: gives it as JSON.
        as_page: gives it as a page.
        json_file: for the JSON; None for none.
        page_file: for the page; None for none.
        force: whether files that exist are replaced.
    """
    for file, make, end in ((json_file, as_json, "\n"), (page_file, as_page, "")):
        if file is not None:
            atomic_write(Path(file), (make() + end).encode(), overwrite=force)


def tell(found: CodebookReport, output: str | None, report: Report) -> int:
    """Print what was found, and return the exit code."""
    if not report.quiet:
        warning = () if found.warning is None else (found.warning,)
        for line in (*warning, *found.sentences(), *found.notes):
            emit(printable(line))
        minutes, recordings = found.facts["seconds"] / 60, found.facts["recordings"]
        where = "" if output is None else f": {printable(output)}"
        emit(f"analysed {recordings} recordings, {minutes:.1f} min, {len(report.failures)} failures{where}")
    return SOME_FAILED if report.failures else DONE
