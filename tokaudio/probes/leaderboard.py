"""Results of several tokenizers side by side: tables with intervals and baselines, rankings, and what is not settled.

board = leaderboard([read_results(path) for path in paths])
board.rankings.sentences(), board.tables[0].entries[0].interval
board.to_html()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokaudio.analysis.statistics.intervals import Interval
from tokaudio.probes.chance import FEWEST_GROUPS
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure, Metric
from tokaudio.probes.ranking import Rankings, rank, shared_tasks
from tokaudio.probes.results import ProbeResults, TaskResult
from tokaudio.probes.statistics import compare, interval


@dataclass(frozen=True, slots=True)
class Entry:
    """One tokenizer on one task.

    Attributes:
        tokenizer: its name.
        kind: of tokenizer.
        value: the score.
        interval: in which it lies; None with few speakers.
        spread: lowest and highest run.
        references: scores without its tokens, by name.
        shuffled: highest and lowest score after training on permuted labels; None if not tried.
        selectivity: of the control task; None if not tried.
        ahead_of: tokenizers that it is significantly better than (Holm, 5 %).
        bitrate_bps: of the tokenizer; None if not known.
    """

    tokenizer: str
    kind: str
    value: float
    interval: Interval | None
    spread: tuple[float, float]
    references: Mapping[str, float]
    shuffled: tuple[float, float] | None
    selectivity: float | None
    ahead_of: tuple[str, ...]
    bitrate_bps: float | None


@dataclass(frozen=True, slots=True)
class TaskTable:
    """All tokenizers on one task, the best first.

    Attributes:
        task: its name.
        axis: what it asks for.
        corpus: which data.
        probe: the head, and its version.
        metric: what its name stands for.
        chance: what guessing scores; None where there is none.
        entries: of the tokenizers that have the task.
        compared: whether differences were tested: they are where all share speakers and seeds.
        notes: of the results, each once.
    """

    task: str
    axis: str
    corpus: str
    probe: str
    metric: Metric
    chance: float | None
    entries: tuple[Entry, ...]
    compared: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Several tokenizers side by side.

    Attributes:
        results: of each, in the order of the combined ranking.
        rankings: who is ahead, axis by axis; None where no task is shared by all.
        tables: one for each task, on the same data and probe.
    """

    results: tuple[ProbeResults, ...]
    rankings: Rankings | None
    tables: tuple[TaskTable, ...]

    def lines(self) -> list[str]:
        """Return the mean ranks, one line for each tokenizer, and what they hide."""
        if self.rankings is None:
            return ["No task was probed in the same way on all tokenizers: they cannot be ranked."]
        axes = self.rankings.axes
        rows = [["tokenizer", *axes]]
        rows += [
            [one.tokenizer, *(f"{axis.ranks[one.tokenizer]:.2f}" for axis in axes.values())] for one in self.results
        ]
        wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join([row[0].ljust(wide[0]), *(cell.rjust(w) for cell, w in zip(row[1:], wide[1:], strict=True))])
            for row in rows
        ]
        return [*lines, *self.rankings.sentences()]

    def to_html(self) -> str:
        """Return a page that holds everything, to be opened from disk.

        Raises:
            MissingDependencyError: if jinja2 is not installed.
        """
        from tokaudio.probes.pages.leaderboard_page import leaderboard_page

        return leaderboard_page(self)


def leaderboard(results: Sequence[ProbeResults], *, allow_missing: bool = False, seed: int = 0) -> Leaderboard:
    """Put results side by side.

    Args:
        results: one of each tokenizer.
        allow_missing: show scores of discriminative tasks that lack baselines, which say little.
        seed: of the draws for intervals.

    Raises:
        ProbeError: if there are no results, two have the same name, or a baseline is missing.
    """
    if not results:
        raise ProbeError("no results: nothing to put side by side; give a file that tokaudio probe wrote")
    names = [one.tokenizer for one in results]
    for name in names:
        if names.count(name) > 1:
            raise ProbeError(f"{name}: has two results; leave one of them out")
    if not allow_missing:
        _require_baselines(results)
    shared, _ = shared_tasks(results)
    rankings = rank(results, seed=seed) if shared else None
    order = list(rankings.axes["combined"].ranks) if rankings else names
    ordered = tuple(sorted(results, key=lambda one: order.index(one.tokenizer)))
    return Leaderboard(ordered, rankings, tuple(_tables(ordered, seed)))


def _require_baselines(results: Sequence[ProbeResults]) -> None:
    for one in results:
        for task in one.tasks:
            if task.missing_baselines:
                lacks = ", ".join(task.missing_baselines)
                problem = f"{one.tokenizer}: task {task.task} lacks the baselines {lacks}, so its score says little"
                raise ProbeError(f"{problem}; probe again, or allow it (--allow-missing)")


def _tables(results: Sequence[ProbeResults], seed: int) -> list[TaskTable]:
    found: dict[tuple[str, ...], list[tuple[ProbeResults, TaskResult]]] = {}
    for one in results:
        for task in one.tasks:
            found.setdefault(task.comparable, []).append((one, task))
    return [_table(pairs, seed) for pairs in found.values()]


def _table(pairs: Sequence[tuple[ProbeResults, TaskResult]], seed: int) -> TaskTable:
    first = pairs[0][1]
    metric = first.measure.about
    measures = {one.tokenizer: task.measure for one, task in pairs}
    compared = _paired(list(measures.values()))
    ahead: dict[str, list[str]] = {name: [] for name in measures}
    for (one, other), found in (compare(measures, seed=seed) if compared else {}).items():
        if found.significant:
            better = (found.interval.value > 0) == metric.higher_is_better
            ahead[one if better else other].append(other if better else one)
    entries = [_entry(one, task, ahead[one.tokenizer], seed) for one, task in pairs]
    return TaskTable(
        task=first.task,
        axis=first.axis,
        corpus=first.corpus,
        probe=f"{first.probe}, version {first.probe_version}",
        metric=metric,
        chance=first.chance,
        entries=tuple(sorted(entries, key=lambda entry: entry.value, reverse=metric.higher_is_better)),
        compared=compared,
        notes=_notes(pairs),
    )


def _notes(pairs: Sequence[tuple[ProbeResults, TaskResult]]) -> tuple[str, ...]:
    """Return the notes of results, each once; one that does not hold for all says for whom it does."""
    owners: dict[str, list[str]] = {}
    for one, task in pairs:
        for note in task.notes:
            owners.setdefault(note, []).append(one.tokenizer)
    return tuple(
        note if len(names) == len(pairs) > 1 else f"{', '.join(names)}: {note}" for note, names in owners.items()
    )


def _paired(measures: Sequence[Measure]) -> bool:
    first = measures[0]
    alike = all((one.seeds, one.groups) == (first.seeds, first.groups) for one in measures)
    return alike and len(measures) > 1 and len(first.groups) >= FEWEST_GROUPS


def _entry(one: ProbeResults, task: TaskResult, ahead: Sequence[str], seed: int) -> Entry:
    values = task.measure.values()
    return Entry(
        tokenizer=one.tokenizer,
        kind=one.kind,
        value=task.measure.mean,
        interval=interval(task.measure, seed=seed),
        spread=(float(values.min()), float(values.max())),
        references={name: reference.mean for name, reference in task.references.items()},
        shuffled=(min(task.shuffled), max(task.shuffled)) if task.shuffled else None,
        selectivity=task.selectivity,
        ahead_of=tuple(ahead),
        bitrate_bps=one.costs.bitrate_bps,
    )
