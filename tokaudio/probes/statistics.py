"""How sure a probe's score is, and whether two differ: intervals, paired comparisons, with an interval each.

    interval(measure)  # of one score
    difference(first, second)  # of two on the same speakers and seeds
    compare({"a": ..., "b": ..., "c": ...})  # of all pairs, corrected for their number

Intervals take their width from speakers drawn anew (see `resampling`) and from the spread of the runs, and their shape
from Student's t on a scale that has no end: log odds for shares, logarithms for other rates. The quantiles of the draws
themselves would be the simpler interval; with a dozen speakers they hold the truth too seldom (benchmarks/RESULTS.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tokaudio.analysis.statistics.intervals import Interval
from tokaudio.probes.chance import FEWEST_GROUPS, holm, permutation_p_value, require_level, require_paired
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure, Sums
from tokaudio.probes.resampling import ROUNDS, draw_groups, resampled
from tokaudio.probes.uncertainty import standard_error

Floats = NDArray[np.float64]
_SHARES = ("accuracy", "balanced_accuracy", "eer", "min_dcf")
_RATES = ("wer", "cer", "dwer", "bits_per_second", "mel_distance", "warped_mel_distance")


def interval(measure: Measure, *, level: float = 0.95, rounds: int = ROUNDS, seed: int = 0) -> Interval | None:
    """Return a score with its interval, over the speakers and the seeds that might have been.

    A share of exactly 0 or 1 has no spread to take a width from; its interval then reaches to the share at which as
    many items (for pairs: speakers) would come out all alike in (1 - level) / 2 of cases (Clopper and Pearson 1934).

    Args:
        measure: the metric over all runs.
        level: of how many intervals shall hold the true score, as a share.
        rounds: draws.
        seed: of the draws.

    Returns:
        The interval, in the metric's stored scale; None with fewer than `FEWEST_GROUPS` groups.

    Raises:
        ProbeError: if the level is no share.

    Example:
        >>> right = Sums(tuple("abcdefgh"), [[[8], [9], [7], [8], [9], [6], [8], [10]]], np.full((1, 8, 1), 10.0))
        >>> found = interval(Measure("accuracy", (0,), right))
        >>> round(found.value, 4), round(found.low, 2), round(found.high, 2)
        (0.8125, 0.69, 0.9)
    """
    require_level(level)
    groups, value = len(measure.groups), measure.mean
    if groups < FEWEST_GROUPS:
        return None
    if measure.metric in _SHARES + _RATES and (value <= 0 or (measure.metric in _SHARES and value >= 1)):
        return _of_certainty(measure, value, level)
    drawn = resampled(measure, draw_groups(groups, rounds=rounds, seed=seed))
    error = standard_error(measure.values(), drawn, groups)
    reach = error.quantile(level) * error.standard
    if measure.metric in _SHARES:
        odds, steep = math.log(value / (1 - value)), value * (1 - value)
        low, high = (1 / (1 + math.exp(-_bounded(odds + side * reach / steep))) for side in (-1, 1))
    elif measure.metric in _RATES:
        low, high = (value * math.exp(_bounded(side * reach / value)) for side in (-1, 1))
    else:
        low, high = value - reach, value + reach
    return Interval(value, low, high, level, groups)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher one score is than another, both of the same speakers and seeds.

    Attributes:
        interval: first minus second, in the metric's stored scale.
        p_value: of no difference between them, over the speakers and the seeds that might have been.
        permutation_p_value: of exchanging the two within speakers at random, for these seeds; None for pairs.
        adjusted_p_value: `p_value` corrected for the number of comparisons (Holm 1979), where it was one of several.
    """

    interval: Interval
    p_value: float
    permutation_p_value: float | None
    adjusted_p_value: float

    @property
    def significant(self) -> bool:
        """Whether the two are declared different, at 1 minus the interval's level."""
        return self.adjusted_p_value <= 1 - self.interval.level


def difference(
    first: Measure, second: Measure, *, level: float = 0.95, rounds: int = ROUNDS, seed: int = 0
) -> Difference:
    """Return how much higher the first score is than the second.

    Args:
        first: the metric over all runs.
        second: the same metric of the same groups and seeds.
        level: of the interval.
        rounds: draws of the bootstrap, and of the permutation test.
        seed: of both.

    Raises:
        ProbeError: if the two are not paired, or there are fewer than `FEWEST_GROUPS` groups.

    Example:
        >>> items = np.full((1, 8, 1), 10.0)
        >>> one, other = ([[[n] for n in right]] for right in ((8, 9, 7, 8, 9, 6, 8, 10), (5, 7, 4, 6, 7, 4, 4, 8)))
        >>> first, second = (Measure("accuracy", (0,), Sums(tuple("abcdefgh"), right, items)) for right in (one, other))
        >>> found = difference(first, second)
        >>> round(found.interval.value, 3), found.significant
        (0.25, True)
    """
    return compare({"first": first, "second": second}, level=level, rounds=rounds, seed=seed)["first", "second"]


def compare(
    measures: Mapping[str, Measure], *, level: float = 0.95, rounds: int = ROUNDS, seed: int = 0
) -> dict[tuple[str, str], Difference]:
    """Return the differences of all pairs, their p-values corrected for how many there are.

    Args:
        measures: the same metric of the same groups and seeds, by tokenizer.
        level: of each interval; intervals are not widened for the number of pairs.
        rounds: draws.
        seed: of the draws.

    Raises:
        ProbeError: if any two are not paired, or there are fewer than `FEWEST_GROUPS` groups.

    Example:
        >>> from tokaudio.probes.evidence import Sums
        >>> items = np.full((1, 8, 1), 10.0)
        >>> right = {"a": (8, 9, 7, 8, 9, 6, 8, 10), "b": (8, 8, 7, 9, 9, 6, 8, 9), "c": (5, 7, 4, 6, 7, 4, 4, 8)}
        >>> sums = {name: Sums(tuple("abcdefgh"), [[[n] for n in of]], items) for name, of in right.items()}
        >>> found = compare({name: Measure("accuracy", (0,), one) for name, one in sums.items()})
        >>> [pair for pair, one in found.items() if one.significant]
        [('a', 'c'), ('b', 'c')]
    """
    require_level(level)
    pairs = list(combinations(measures, 2))
    for one, other in pairs:
        require_paired(measures[one], measures[other])
    groups = len(next(iter(measures.values())).groups) if measures else 0
    times = draw_groups(groups, rounds=rounds, seed=seed) if pairs else np.empty((0, 0))
    drawn = {name: resampled(measure, times) for name, measure in measures.items()} if pairs else {}
    intervals, p_values = [], []
    for one, other in pairs:
        values = measures[one].values() - measures[other].values()
        value = float(values.mean())
        error = standard_error(values, drawn[one] - drawn[other], groups)
        reach = error.quantile(level) * error.standard
        intervals.append(Interval(value, value - reach, value + reach, level, groups))
        p_values.append(error.p_value(value))
    adjusted = holm(p_values)
    return {
        pair: Difference(
            intervals[number],
            p_values[number],
            permutation_p_value(*(measures[name] for name in pair), rounds=rounds, seed=seed),
            adjusted[number],
        )
        for number, pair in enumerate(pairs)
    }


def stable_order(first: Measure, second: Measure, *, sets: int = 5) -> bool:
    """Return whether the same of two tokenizers is ahead in each of several sets of runs that share no seed.

    Args:
        first: the metric over all runs.
        second: the same metric of the same groups and seeds.
        sets: how many; each has as many runs as the others, and some at the end may be in none.

    Raises:
        ProbeError: if the two are not paired, or there are fewer runs than sets.

    Example:
        >>> items = np.full((2, 4, 1), 10.0)
        >>> one, other = (Sums(tuple("abcd"), items - less, items) for less in ([[[1]], [[2]]], [[[2]], [[1]]]))
        >>> stable_order(Measure("accuracy", (0, 1), one), Measure("accuracy", (0, 1), other), sets=2)
        False
    """
    require_paired(first, second)
    each = len(first.seeds) // sets
    if not each:
        raise ProbeError(f"{len(first.seeds)} runs make no {sets} sets; probe with more seeds")
    parts = [range(each * number, each * (number + 1)) for number in range(sets)]
    ahead = [np.sign(first.of_runs(part).mean - second.of_runs(part).mean) for part in parts]
    return len(set(ahead)) == 1


def _of_certainty(measure: Measure, value: float, level: float) -> Interval:
    evidence = measure.evidence
    items = evidence.below.sum() / len(measure.seeds) if isinstance(evidence, Sums) else len(measure.groups)
    most = 1 - ((1 - level) / 2) ** (1 / items)
    low, high = (0.0, most) if value <= 0 else (1 - most, 1.0)
    return Interval(value, low, high, level, len(measure.groups))


def _bounded(exponent: float) -> float:
    return max(-500.0, min(500.0, exponent))
