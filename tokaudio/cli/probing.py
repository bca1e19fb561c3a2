"""What `probe` shows while it works and says at the end."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Self

from tokaudio.cli.failures import printable, refuse
from tokaudio.cli.progress import Meter, meter
from tokaudio.cli.report import emit
from tokaudio.probes.evidence import Measure
from tokaudio.probes.models.fusion import FUSIONS
from tokaudio.probes.models.heads import POOLED_HEADS
from tokaudio.probes.results import ProbeResults, TaskResult
from tokaudio.probes.statistics import interval
from tokaudio.probes.suite import SUITES, Listener
from tokaudio.probes.tasks import TASKS, find_task


def chosen_tasks(suite: str, tasks: str | None) -> tuple[str, ...]:
    """Return the tasks that were asked for.

    Raises:
        MisuseError: if there is no such suite or task.

    Example:
        >>> chosen_tasks("quick", "ks, sid")
        ('ks', 'sid')
    """
    if tasks is None:
        if suite not in SUITES:
            raise refuse(f"--suite {suite}", "is no suite", f"use one of {', '.join(SUITES)}, or name tasks (--task)")
        return SUITES[suite]
    names = tuple(dict.fromkeys(name.strip() for name in tasks.split(",")))
    for name in names:
        if name not in TASKS:
            raise refuse(f"--task {name}", "is no task", f"use some of {', '.join(TASKS)}")
    return names


def require_choices(*, head: str | None, fusion: str, initial: str, reads: str) -> None:
    """Refuse a choice that there is not.

    Raises:
        MisuseError: if so.
    """
    given = {
        "--head": (head, (None, *POOLED_HEADS)),
        "--fusion": (fusion, tuple(FUSIONS)),
        "--initial": (initial, ("codebooks", "random")),
        "--reads": (reads, ("tokens", "embed")),
    }
    for option, (value, known) in given.items():
        if value not in known:
            names = ", ".join(name for name in known if name)
            raise refuse(f"{option} {value}", "is not known", f"use one of {names}")


class ProbeProgress(Listener):
    """A bar for whatever is being extracted, then one for the runs of each task.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._show = sys.stderr.isatty() and not quiet
        self._bars, self._meter, self._shown = ExitStack(), Meter(), ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.close()

    def extracted(self, what: str, done: int, total: int) -> None:
        """Show one more recording."""
        self._count(what, done, total)

    def ran(self, task: str, done: int, total: int) -> None:
        """Show one more run."""
        self._count(f"{task} runs", done, total)

    def _count(self, what: str, done: int, total: int) -> None:
        if what != self._shown:
            self._bars.close()
            self._meter = self._bars.enter_context(meter(what, total, total, show=self._show))
            self._shown = what
        self._meter.advance(1, 0.0)
        self._meter.file_done()


def tell(results: ProbeResults, output: str | None) -> None:
    """Print a table of all tasks, with all references, and what to make of it."""
    emit(f"{printable(results.tokenizer)}, {results.costs.bitrate_bps or 0:.0f} bit/s")
    for task in results.tasks:
        for line in task_lines(task):
            emit(printable(line))
    where = "" if output is None else f": {printable(output)}"
    emit(f"probed {len(results.tasks)} tasks in {results.seconds / 60:.1f} min{where}")


def task_lines(task: TaskResult) -> list[str]:
    """Return what a task's result says, in lines; references always stand beside the score.

    Raises:
        ProbeError: if the task is unknown.
    """
    about = task.measure.about
    worse = "" if about.higher_is_better else " (less is better)"
    lines = [f"{find_task(task.task).title}, {about.title}{worse}: {_with_interval(task.measure)}"]
    if task.missing_baselines:
        lines = [f"{find_task(task.task).title}: no score without its references: {', '.join(task.missing_baselines)}"]
        return lines
    beside = [f"{name.replace('_', ' ')} {shown(measure)}" for name, measure in task.references.items()]
    lines.append(f"    beside it: {', '.join(beside)}")
    if task.shuffled:
        lines.append(f"    shuffled labels: {_shuffled(task)}")
    lines += [f"    note: {note}" for note in task.notes]
    return lines


def _shuffled(task: TaskResult) -> str:
    scale, unit = task.measure.about.scale, task.measure.about.unit
    told = ", ".join(f"{scale * score:.1f}" for score in task.shuffled) + f" {unit}".rstrip()
    if not task.shuffled_limits:
        return told
    limits = ", ".join(f"{scale * limit:.1f}" for limit in task.shuffled_limits)
    verdict = "better than chance: something leaks, do not use this score" if task.leaks else "no better than chance"
    return f"{told}; {verdict} ({'up' if task.measure.about.higher_is_better else 'down'} to {limits})"


def _with_interval(measure: Measure) -> str:
    found = interval(measure)
    if found is None:
        return f"{shown(measure)}, no interval: {len(measure.groups)} speakers are too few"
    scale = measure.about.scale
    return f"{shown(measure)} ({scale * found.low:.1f} to {scale * found.high:.1f}), {len(measure.seeds)} seeds"


def shown(measure: Measure) -> str:
    """Return a score for people.

    Example:
        >>> from tokaudio.probes.evidence import Sums
        >>> shown(Measure("accuracy", (0,), Sums(("ann",), [[[3]]], [[[4]]])))
        '75.0 %'
    """
    return f"{measure.about.scale * measure.mean:.1f} {measure.about.unit}".rstrip()
