"""What a command says: failures as they happen on stderr, one summary at the end on stdout, as text or as JSON."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from tokaudio.cli.failures import DONE, ENVIRONMENT, SOME_FAILED, describe, dooms_the_rest, exit_code, printable

if TYPE_CHECKING:
    from tokaudio.cli.batch import Plan


def emit(text: str, stream: TextIO | None = None) -> None:
    """Write a line to stdout or another stream, whatever its encoding; a reader that has gone away is no error."""
    stream = sys.stdout if stream is None else stream
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def emit_json(document: dict[str, Any]) -> None:
    """Write one JSON document to stdout; bytes of names that are no text appear as lone surrogates, escaped."""
    import json

    emit(json.dumps(document, indent=2))


def columns(rows: list[list[str]]) -> str:
    """Return rows as left-aligned columns, two spaces apart.

    Example:
        >>> print(columns([["name", "kind"], ["mini-codec", "compression"]]))
        name        kind
        mini-codec  compression
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def listing(facts: Mapping[str, object]) -> str:
    """Return facts as lines of name and value.

    Example:
        >>> print(listing({"kind": "compression", "licence": "apache-2.0"}))
        kind     compression
        licence  apache-2.0
    """
    return columns([[name, printable(str(value))] for name, value in facts.items()])


@dataclass
class Result:
    """One file that was done: seconds of audio, number of codes, and further facts for JSON."""

    source: str
    target: str
    seconds: float
    tokens: int
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """One file that failed. The exception itself is not kept: its traceback would hold on to the file's samples."""

    source: str
    line: str
    code: int
    dooms: bool


@dataclass
class Report:
    """The results and failures of one run.

    Attributes:
        verb: what was done to the files, such as `encoded`.
        batch: whether there may be several inputs.
        ignored: files in the folders that were not looked at.
        write: prints a failure; replaced while a progress bar is shown.
    """

    verb: str
    quiet: bool = False
    as_json: bool = False
    debug: bool = False
    batch: bool = False
    ignored: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    not_tried: int = 0
    started: float = field(default_factory=time.perf_counter)
    write: Callable[[str], None] | None = None

    def take(self, plan: Plan) -> None:
        """Start from a plan: report what is known to fail."""
        self.batch, self.ignored = plan.batch, plan.ignored
        for path, error, output in plan.failures:
            self.fail(path, error, output)

    def fail(self, path: str, error: BaseException, output: str | None = None) -> None:
        """Report a failure at once."""
        failure = Failure(path, describe(error, path, output), exit_code(error), dooms_the_rest(error))
        self.failures.append(failure)
        if self.debug:
            traceback.print_exception(error)
        self.warn(failure.line)

    def warn(self, line: str) -> None:
        """Print a line on stderr."""
        if self.write is None:
            emit(f"tokaudio: {line}", sys.stderr)
        else:
            self.write(f"tokaudio: {line}")

    def finish(self, elapsed: float | None = None) -> int:
        """Print the summary and return the exit code.

        Args:
            elapsed: seconds of work, without imports and loading; since the report was made if None.
        """
        elapsed = time.perf_counter() - self.started if elapsed is None else elapsed
        summary = self._summary(elapsed)
        if self.as_json:
            emit_json(self._document(summary))
        elif not self.quiet and (self.batch or self.results):
            emit(self._line(summary))
        return self._code()

    def _code(self) -> int:
        if not self.failures:
            return DONE
        if not self.batch:
            return self.failures[0].code
        return ENVIRONMENT if any(failure.dooms for failure in self.failures) else SOME_FAILED

    def _summary(self, elapsed: float) -> dict[str, Any]:
        seconds = sum(result.seconds for result in self.results)
        return {
            "files": len(self.results),
            "failures": len(self.failures),
            "not_tried": self.not_tried,
            "ignored": self.ignored,
            "audio_hours": seconds / 3600,
            "tokens": sum(result.tokens for result in self.results),
            "elapsed_seconds": elapsed,
            "times_real_time": seconds / elapsed if elapsed > 0 else 0.0,
        }

    def _line(self, summary: dict[str, Any]) -> str:
        count = summary["files"]
        parts = [
            f"{self.verb} {count:,} file{'s' * (count != 1)}",
            f"{summary['audio_hours']:.4g} h",
            f"{summary['tokens']:,} tokens",
            f"{summary['times_real_time']:.3g}x real time",
            f"{summary['failures']:,} failure{'s' * (summary['failures'] != 1)}",
        ]
        parts += [f"{text}: {summary[key]:,}" for key, text in _REMARKS if summary[key]]
        return ", ".join(parts)

    def _document(self, summary: dict[str, Any]) -> dict[str, Any]:
        results = [
            {"input": r.source, "output": r.target, "seconds": r.seconds, "tokens": r.tokens, **r.facts}
            for r in sorted(self.results, key=lambda r: os.fsencode(r.source))
        ]
        failures = [{"input": f.source, "error": f.line, "exit_code": f.code} for f in self.failures]
        return {**self.facts, "results": results, "failures": failures, "summary": summary}


_REMARKS = (("not_tried", "not tried"), ("ignored", "other files left alone"))
