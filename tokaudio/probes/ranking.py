"""Which tokenizer is ahead: mean ranks over tasks, for each axis apart and for all, and how sure that is.

    found = rank(results)
    found.axes["content"].ranks, found.axes["combined"].intervals
    found.sentences()  # where axes disagree, it says so

Equal scores share a rank. A mean over all tasks alone would hide that what is kept of the words and what is kept of the
voice are at odds, so that each axis is ranked on its own first.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure
from tokaudio.probes.resampling import draw_groups, resampled
from tokaudio.probes.results import ProbeResults, TaskResult

Floats = NDArray[np.float64]
Ties = Literal["average", "min", "max"]
COMBINED = "combined"
ROUNDS = 300
"""Draws for the intervals of ranks."""
AGREEMENT = 0.8
"""Kendall's tau below which two rankings are said to differ."""


@dataclass(frozen=True, slots=True)
class Column:
    """The scores of several tokenizers on one task.

    Attributes:
        task: its name.
        axis: what it asks for.
        higher_is_better: whether it is.
        scores: by tokenizer.
    """

    task: str
    axis: str
    higher_is_better: bool
    scores: Mapping[str, float]


def ranks(values: Floats, higher_is_better: bool, *, ties: Ties = "average") -> Floats:
    """Return the rank of each value along the last axis, 1 for the best.

    Args:
        values: of T tokenizers `[..., T]`.
        higher_is_better: whether it is.
        ties: the rank that equal values get: the mean of theirs, the best, or the worst.

    Example:
        >>> ranks(np.array([0.9, 0.5, 0.9]), True).tolist(), ranks(np.array([3.0, 1.0, 2.0]), False).tolist()
        ([1.5, 3.0, 1.5], [3.0, 1.0, 2.0])
    """
    better = values[..., None, :] > values[..., :, None]
    if not higher_is_better:
        better = values[..., None, :] < values[..., :, None]
    ahead = better.sum(axis=-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(axis=-1)
    return ahead + {"min": 1.0, "average": (equal + 1) / 2, "max": equal}[ties]


def mean_ranks(columns: Iterable[Column], *, ties: Ties = "average") -> dict[str, float]:
    """Return the mean rank of each tokenizer over tasks.

    Raises:
        ProbeError: if there are no columns, or they are not of the same tokenizers.

    Example:
        >>> wer = Column("asr", "content", False, {"a": 0.1, "b": 0.2})
        >>> voices = Column("sv", "speaker", True, {"a": 0.6, "b": 0.9})
        >>> mean_ranks([wer, voices]), mean_ranks([wer])
        ({'a': 1.5, 'b': 1.5}, {'a': 1.0, 'b': 2.0})
    """
    table = list(columns)
    if not table or any(set(column.scores) != set(table[0].scores) for column in table):
        raise ProbeError("columns are not of the same tokenizers; give each tokenizer a score in each task")
    names = list(table[0].scores)
    each = [
        ranks(np.array([column.scores[name] for name in names]), column.higher_is_better, ties=ties) for column in table
    ]
    return dict(zip(names, np.mean(each, axis=0).tolist(), strict=True))


def kendall(first: Mapping[str, float], second: Mapping[str, float]) -> float | None:
    """Return Kendall's tau-b of two rankings of the same tokenizers; None where one of them knows no order.

    Kendall, The treatment of ties in ranking problems, Biometrika 33:239 (1945).

    Example:
        >>> kendall({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "c": 2})
        0.3333333333333333
    """
    names = [name for name in first if name in second]
    concordant = untied = 0
    tied = [0, 0]
    for one, other in combinations(names, 2):
        signs = [np.sign(ranking[one] - ranking[other]) for ranking in (first, second)]
        concordant += int(signs[0] * signs[1])
        untied += 1
        for side, sign in enumerate(signs):
            tied[side] += int(sign == 0)
    below = (untied - tied[0]) * (untied - tied[1])
    return concordant / below**0.5 if below else None


@dataclass(frozen=True, slots=True)
class AxisRanking:
    """Mean ranks over the tasks of one axis.

    Attributes:
        tasks: that were ranked.
        ranks: mean rank of each tokenizer, best first.
        intervals: in which 95 % of the draws lie, by tokenizer.
    """

    tasks: tuple[str, ...]
    ranks: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two rankings of the same tokenizers agree.

    Attributes:
        first: axis or probe.
        second: the other.
        tau: Kendall's tau-b; None where one of them knows no order.
    """

    first: str
    second: str
    tau: float | None


@dataclass(frozen=True, slots=True)
class Rankings:
    """Who is ahead, axis by axis.

    Attributes:
        axes: the ranking of each axis that has tasks, and `combined`.
        of_axes: agreement of each two axes.
        of_probes: agreement of each two probes over the tasks that both did.
        left_out: tasks that not all tokenizers have on the same data and probe.
    """

    axes: Mapping[str, AxisRanking]
    of_axes: tuple[Agreement, ...]
    of_probes: tuple[Agreement, ...]
    left_out: tuple[str, ...]

    def sentences(self) -> list[str]:
        """Return what a mean rank alone would hide, one sentence each."""
        said = []
        for one in self.of_axes:
            leaders = [next(iter(self.axes[axis].ranks)) for axis in (one.first, one.second)]
            if one.tau is not None and ((one.tau < AGREEMENT and leaders[0] != leaders[1]) or one.tau <= 0):
                ahead = f"{leaders[0]} is ahead on {one.first}, {leaders[1]} on {one.second}"
                said.append(
                    f"The {one.first} and {one.second} tasks disagree (Kendall's tau {one.tau:.2f}): {ahead}; "
                    "the combined rank says nothing about either."
                )
        for one in self.of_probes:
            if one.tau is not None and one.tau < AGREEMENT:
                said.append(
                    f"The ranking depends on the probe: {one.first} and {one.second} agree by tau {one.tau:.2f}."
                )
        if self.left_out:
            said.append(f"Not all tokenizers have {', '.join(self.left_out)} on the same data and probe: left out.")
        return said


def rank(results: Sequence[ProbeResults], *, rounds: int = ROUNDS, seed: int = 0) -> Rankings:
    """Rank tokenizers by what their probes scored.

    Each draw takes speakers anew, the same for all tokenizers and for all tasks with the same speakers, and runs.

    Args:
        results: of each tokenizer.
        rounds: draws.
        seed: of the draws.

    Raises:
        ProbeError: if two results have the same name, or there is no task that all have.
    """
    names = [one.tokenizer for one in results]
    if len(set(names)) < len(names):
        raise ProbeError(f"tokenizers {', '.join(names)}: two have the same name; rename one, or leave it out")
    shared, left_out = shared_tasks(results)
    if not shared:
        raise ProbeError(f"{', '.join(names)}: no task was probed in the same way on all; probe all with one suite")
    drawn = {key: _drawn_ranks(tasks, rounds, seed) for key, tasks in shared.items()}
    parts: dict[str, list[tuple[str, ...]]] = {}
    for key, tasks in shared.items():
        parts.setdefault(tasks[0].axis, []).append(key)
    parts[COMBINED] = list(shared)
    axes = {
        axis: _axis(names, [shared[key] for key in keys], [drawn[key] for key in keys]) for axis, keys in parts.items()
    }
    own = [axis for axis in axes if axis != COMBINED]
    between = (Agreement(a, b, kendall(axes[a].ranks, axes[b].ranks)) for a, b in combinations(own, 2))
    return Rankings(axes, tuple(between), _of_probes(shared, names), left_out)


def shared_tasks(
    results: Sequence[ProbeResults],
) -> tuple[dict[tuple[str, ...], list[TaskResult]], tuple[str, ...]]:
    """Return the tasks that all tokenizers have, by what makes them comparable, and names of the others."""
    known: dict[tuple[str, ...], list[TaskResult]] = {}
    for one in results:
        for task in one.tasks:
            known.setdefault(task.comparable, []).append(task)
    shared = {key: tasks for key, tasks in known.items() if len(tasks) == len(results)}
    others = {tasks[0].task for key, tasks in known.items() if key not in shared}
    return shared, tuple(sorted(others))


def _axis(names: Sequence[str], tasks: Sequence[Sequence[TaskResult]], drawn: Sequence[Floats]) -> AxisRanking:
    found = mean_ranks([column_of(names, of) for of in tasks])
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975], axis=0)
    ordered = sorted(names, key=lambda name: found[name])
    place = {name: number for number, name in enumerate(names)}
    return AxisRanking(
        tasks=tuple(of[0].task for of in tasks),
        ranks={name: found[name] for name in ordered},
        intervals={name: (float(low[place[name]]), float(high[place[name]])) for name in ordered},
    )


def column_of(names: Sequence[str], tasks: Sequence[TaskResult]) -> Column:
    """Return the scores of several tokenizers on one task."""
    scores = {name: task.measure.mean for name, task in zip(names, tasks, strict=True)}
    return Column(tasks[0].task, tasks[0].axis, tasks[0].measure.about.higher_is_better, scores)


def _drawn_ranks(tasks: Sequence[TaskResult], rounds: int, seed: int) -> Floats:
    """Return the rank of each tokenizer in each draw `[N, T]`."""
    means = np.stack([_drawn_means(task.measure, rounds, seed) for task in tasks], axis=1)
    return ranks(means, tasks[0].measure.about.higher_is_better)


def _drawn_means(measure: Measure, rounds: int, seed: int) -> Floats:
    groups = zlib.crc32("\n".join(measure.groups).encode())
    drawn = resampled(measure, draw_groups(len(measure.groups), rounds=rounds, seed=seed + groups))
    runs = np.random.default_rng(seed).integers(0, drawn.shape[1], drawn.shape)
    means: Floats = np.take_along_axis(drawn, runs, axis=1).mean(axis=1)
    return np.where(np.isnan(means), measure.mean, means)


def _of_probes(shared: Mapping[tuple[str, ...], Sequence[TaskResult]], names: Sequence[str]) -> tuple[Agreement, ...]:
    by_probe: dict[str, dict[tuple[str, str], Column]] = {}
    for tasks in shared.values():
        by_probe.setdefault(tasks[0].probe, {})[(tasks[0].task, tasks[0].corpus)] = column_of(names, tasks)
    found = []
    for first, second in combinations(by_probe, 2):
        both = [key for key in by_probe[first] if key in by_probe[second]]
        if both:
            one, other = (mean_ranks(by_probe[probe][key] for key in both) for probe in (first, second))
            found.append(Agreement(first, second, kendall(one, other)))
    return tuple(found)
