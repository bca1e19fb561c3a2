"""What `train` shows while it works and says at the end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self, TextIO

import torch

from tokaudio.audio.manifest import Recording
from tokaudio.cli.failures import DONE, SOME_FAILED, printable
from tokaudio.cli.report import Report, emit, emit_json
from tokaudio.cli.signals import leave, orderly, say_when_interrupted
from tokaudio.errors import AudioError
from tokaudio.quantizers import CollapseWarning
from tokaudio.training.recipe import Recipe
from tokaudio.training.run import Listener, TrainedRun, train

if TYPE_CHECKING:
    from rich.progress import Progress


class TrainingProgress(Listener):
    """Two bars, one for decoding and one for steps, and a line for every broken recording.

    Args:
        report: takes the failures.
        show: whether to show bars.
    """

    def __init__(self, report: Report, *, show: bool) -> None:
        self._report, self._show = report, show
        self._bars = ExitStack()
        self._progress: Progress | None = None
        self._task: Any = None
        self._told = ""

    def __enter__(self) -> Self:
        self._bars.enter_context(told_in_a_line(self._report.warn))
        if self._show:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            layout = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[told]}", markup=False),
            )
            progress = Progress(*layout, console=Console(stderr=True))
            self._progress = self._bars.enter_context(progress)
            console = progress.console
            self._report.write = lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._report.write = None
        self._bars.close()

    def failed(self, path: str, line: str) -> None:
        """Report a recording that is left out."""
        self._report.fail(path, AudioError(line))

    def decoded(self, done: int, total: int) -> None:
        """Show one more decoded recording."""
        self._advance("decoded", done, total, "")

    def started(self, done: int, recipe: Recipe, hours: float) -> None:
        """Show the first step."""
        self._total = recipe.schedule.steps
        self._task = None
        self._advance("trained", done, self._total, f"{hours:.3g} h of recordings")

    def stepped(self, done: int, figures: dict[str, float], hours: float) -> None:
        """Show one more step."""
        if figures:
            used = [f"{100 * value:.0f}" for name, value in figures.items() if name.startswith("usage_")]
            self._told = f"loss {figures['loss']:.3f}" + (f"  used {' '.join(used)} %" if used else "")
        self._advance("trained", done, self._total, f"{self._told}  {hours:.2f} h heard")

    def _advance(self, verb: str, done: int, total: int, told: str) -> None:
        if self._progress is None:
            return
        if self._task is None:
            self._task = self._progress.add_task(verb, total=total, completed=done, told=told)
        self._progress.update(self._task, completed=done, told=told)


def run_training(
    recipe: Recipe,
    recordings: Sequence[Recording],
    folder: Path,
    report: Report,
    *,
    workers: int,
    device: torch.device | str,
    start_over: bool,
) -> int:
    """Train, say what came of it, and return the exit code; 130 where a signal ended it."""
    first = int(os.environ.get("RANK", "0")) == 0
    show = sys.stderr.isatty() and not report.quiet and first
    with orderly(), stopping() as stop, TrainingProgress(report, show=show) as progress:
        run = train(
            recipe,
            recordings,
            folder,
            workers=workers,
            device=device,
            start_over=start_over,
            listener=progress if first else None,
            stop=lambda: stop() > 0,
        )
        code = stop()
    if not run.finished:
        say_when_interrupted(f"saved at step {run.done:,} of {run.steps:,}; the same command goes on from there")
        return code or 130
    if first:
        _tell(run, report)
    return SOME_FAILED if report.failures else DONE


def _tell(run: TrainedRun, report: Report) -> None:
    if report.as_json:
        failures = [{"input": f.source, "error": f.line, "exit_code": f.code} for f in report.failures]
        told = {"output": str(run.folder), "steps": run.done, "hours": run.hours, "figures": run.figures}
        emit_json({**told, "usage": run.usage, "validation_mel": run.mel, "failures": failures})
    elif not report.quiet:
        used = f", codebooks used {100 * min(run.usage):.0f} % or more" if run.usage else ""
        mel = f", validation mel distance {run.mel:.3f}" if run.mel is not None else ""
        failed = f", {len(report.failures)} failures" if report.failures else ""
        emit(f"trained {run.done:,} steps on {run.hours:.3g} h{used}{mel}{failed}: {printable(str(run.folder))}")


@contextmanager
def told_in_a_line(tell: Callable[[str], None]) -> Iterator[None]:
    """Inside the block, give warnings of collapsed codebooks to `tell`, without the place in the code."""
    with warnings.catch_warnings():
        shown = warnings.showwarning
        warnings.simplefilter("always", CollapseWarning)

        def show(  # noqa: PLR0917 - the signature of warnings.showwarning
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, CollapseWarning):
                tell(f"warning: {message}")
            else:
                shown(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


@contextmanager
def stopping() -> Iterator[Callable[[], int]]:
    """Note SIGINT and SIGTERM inside the block, instead of raising; a second one ends the process at once.

    Yields a function that returns the exit code that a signal asks for, 0 where none came.
    """
    codes: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if codes:
            say_when_interrupted("the same command goes on from the last checkpoint")
            leave()
        codes.append(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield lambda: codes[0] if codes else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def joined(device: torch.device | str) -> Iterator[torch.device | str]:
    """Join the other processes where `torchrun` started several, and yield this one's device."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    cuda = torch.device(device).type == "cuda"
    own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device(device)
    torch.distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield own
    finally:
        torch.distributed.destroy_process_group()
