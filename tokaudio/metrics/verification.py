"""How well scores tell pairs that match from pairs that do not: equal error rate and detection cost.

    eer(matching, other), min_dcf(matching, other)

A pair is accepted where its score reaches a threshold. Raising the threshold through all scores gives points of two
error rates: misses (matching pairs refused) and false alarms (others accepted). Pairs of equal score fall together, so
that neither their order nor their number decides.

Two conventions of the equal error rate are in use, and differ where there are few pairs. Here the points are joined in
the order of thresholds, and the rate is read where the line crosses equality, which is what interpolating a receiver
operating characteristic does. With `convex_hull`, points that a mixture of two thresholds beats are dropped first
(Brummer and de Villiers, The BOSARIS Toolkit, arXiv 1304.2865, section 2.2): that rate is never higher.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.errors import TokaudioError

Floats = NDArray[np.float64]
PRIOR = 0.01
"""Of a matching pair, where none is given: one in a hundred."""


def validate(matching: ArrayLike, other: ArrayLike) -> tuple[Floats, Floats]:
    """Return the scores of both kinds of pairs as float64, or say why there are no rates of error.

    Args:
        matching: scores of pairs that match `[P]`, higher where a pair is more alike.
        other: scores of pairs that do not `[Q]`.

    Raises:
        TokaudioError: one of them is empty, not one-dimensional, or not finite.

    Example:
        >>> validate([1, 2], [0])[1].tolist()
        [0.0]
    """
    found = []
    for name, values in (("matching", matching), ("other", other)):
        scores = np.asarray(values, dtype=np.float64)
        if scores.ndim != 1 or not scores.size:
            raise TokaudioError(f"{name}: scores {list(scores.shape)}; give at least one score for each kind of pair")
        if not np.isfinite(scores).all():
            raise TokaudioError(f"{name}: a score is NaN or infinite; remove it, or score the pair again")
        found.append(scores)
    return found[0], found[1]


def error_rates(matching: ArrayLike, other: ArrayLike) -> tuple[Floats, Floats]:
    """Return the rates of misses and of false alarms at each threshold, from the lowest to the highest.

    Args:
        matching: scores of pairs that match `[P]`.
        other: scores of pairs that do not `[Q]`.

    Returns:
        Misses and false alarms, `[N + 1]` each for N different scores: first everything is accepted, last nothing.

    Raises:
        TokaudioError: as for [`validate`][tokaudio.metrics.verification.validate].

    Example:
        >>> misses, alarms = error_rates([2.0, 3.0], [1.0, 2.0])
        >>> misses.tolist(), alarms.tolist()
        ([0.0, 0.0, 0.5, 1.0], [1.0, 0.5, 0.0, 0.0])
    """
    matching, other = validate(matching, other)
    scores, same = _joined(matching, other)
    misses, alarms = weighted_error_rates(scores, same, np.ones((1, scores.size)))
    return misses[0], alarms[0]


def weighted_error_rates(scores: Floats, same: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """Return the rates of error at each threshold where pairs count more than once or not at all, as a bootstrap has.

    Args:
        scores: of pairs `[P]`.
        same: whether a pair matches `[P]`.
        weights: of each pair, for each of N rounds `[N, P]`; a round without pairs of one kind has NaN.

    Returns:
        Misses and false alarms, `[N, M + 1]` each for M different scores.

    Example:
        >>> misses, _ = weighted_error_rates(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]), np.ones((1, 3)))
        >>> misses.tolist()
        [[0.0, 0.5, 0.5, 1.0]]
    """
    order = np.argsort(scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=np.inf))
    rates = []
    for kind in (same, ~same):
        refused = np.cumsum(np.where(kind, weights, 0.0)[:, order], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = refused[:, last] / refused[:, -1:]
        rates.append(np.concatenate([np.zeros((len(weights), 1)), rate], axis=1))
    return rates[0], 1.0 - rates[1]


def eer(matching: ArrayLike, other: ArrayLike, *, convex_hull: bool = False) -> float:
    """Return the equal error rate: where as large a share of matching pairs is refused as of others accepted.

    Args:
        matching: scores of pairs that match `[P]`, higher where a pair is more alike.
        other: scores of pairs that do not `[Q]`.
        convex_hull: drop thresholds that a mixture of two others beats; see above.

    Returns:
        The rate, 0 (scores tell all pairs apart) to 1; 0.5 by chance.

    Raises:
        TokaudioError: as for [`validate`][tokaudio.metrics.verification.validate].

    Example:
        >>> eer([0.9, 0.8, 0.3, 0.7], [0.1, 0.4, 0.2, 0.35])
        0.25
    """
    misses, alarms = error_rates(matching, other)
    if convex_hull:
        kept = _lower_hull(alarms[::-1], misses[::-1])[::-1]
        misses, alarms = misses[::-1][kept], alarms[::-1][kept]
    return float(equal_rates(misses[None], alarms[None])[0])


def equal_rates(misses: Floats, alarms: Floats) -> Floats:
    """Return where misses, which rise, and false alarms, which fall, are equal, between points by a straight line.

    Args:
        misses: rates `[N, M]`.
        alarms: rates `[N, M]`.

    Returns:
        One rate for each round `[N]`; NaN where there is a NaN.

    Example:
        >>> equal_rates(np.array([[0.0, 0.0, 0.5, 1.0]]), np.array([[1.0, 0.5, 0.0, 0.0]])).tolist()
        [0.25]
    """
    above = misses - alarms
    after = np.argmax(above >= 0, axis=1)
    rounds = np.arange(len(misses))
    before = np.maximum(after - 1, 0)
    start, end = above[rounds, before], above[rounds, after]
    step = np.where(end > start, end - start, 1.0)
    rate: Floats = misses[rounds, before] - start / step * (misses[rounds, after] - misses[rounds, before])
    return np.where(np.isnan(above).any(axis=1), np.nan, rate)


def min_dcf(
    matching: ArrayLike, other: ArrayLike, *, prior: float = PRIOR, miss_cost: float = 1.0, alarm_cost: float = 1.0
) -> float:
    """Return the least detection cost over all thresholds, as a share of the cost of deciding without scores.

    The cost of a threshold is `miss_cost * prior * misses + alarm_cost * (1 - prior) * alarms`. Accepting everything or
    nothing, whichever is cheaper, costs 1 after the division (NIST Speaker Recognition Evaluation plans; Brummer and
    de Villiers, arXiv 1304.2865, section 2).

    Args:
        matching: scores of pairs that match `[P]`, higher where a pair is more alike.
        other: scores of pairs that do not `[Q]`.
        prior: probability that a pair matches, where the system would be used.
        miss_cost: of refusing a pair that matches.
        alarm_cost: of accepting one that does not.

    Returns:
        The cost, 0 to 1.

    Raises:
        TokaudioError: the prior is not between 0 and 1, a cost is not positive, or the scores are no scores.

    Example:
        >>> min_dcf([0.9, 0.8, 0.3, 0.7], [0.1, 0.4, 0.2, 0.35], prior=0.5)
        0.25
    """
    if not 0 < prior < 1 or not miss_cost > 0 or not alarm_cost > 0:
        text = f"prior {prior}, costs {miss_cost} and {alarm_cost}"
        raise TokaudioError(f"{text}: no detection cost; give a prior between 0 and 1 and costs above 0")
    misses, alarms = error_rates(matching, other)
    return float(detection_costs(misses[None], alarms[None], prior, miss_cost, alarm_cost)[0])


def detection_costs(
    misses: Floats, alarms: Floats, prior: float = PRIOR, miss_cost: float = 1.0, alarm_cost: float = 1.0
) -> Floats:
    """Return the least detection cost of each round `[N]`, from its rates of error `[N, M]` at M thresholds.

    Example:
        >>> detection_costs(np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.25, 0.0]]), 0.5).tolist()
        [0.25]
    """
    miss, alarm = miss_cost * prior, alarm_cost * (1 - prior)
    costs: Floats = (miss * misses + alarm * alarms).min(axis=1) / min(miss, alarm)
    return costs


def evaluate(matching: ArrayLike, other: ArrayLike) -> dict[str, float]:
    """Return all metrics of this module: `eer`, `eer_convex_hull` and `min_dcf` at the usual prior and costs of 1.

    Raises:
        TokaudioError: as for [`validate`][tokaudio.metrics.verification.validate].

    Example:
        >>> evaluate([2.0, 3.0], [0.0, 1.0])
        {'eer': 0.0, 'eer_convex_hull': 0.0, 'min_dcf': 0.0}
    """
    return {
        "eer": eer(matching, other),
        "eer_convex_hull": eer(matching, other, convex_hull=True),
        "min_dcf": min_dcf(matching, other),
    }


def _joined(matching: Floats, other: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    same = np.zeros(matching.size + other.size, dtype=bool)
    same[: matching.size] = True
    return np.concatenate([matching, other]), same


def _lower_hull(x: Floats, y: Floats) -> list[int]:
    """Return which points of a curve with ascending x are on its lower convex hull (Andrew's monotone chain)."""
    kept: list[int] = []
    for point in range(x.size):
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            if (x[b] - x[a]) * (y[point] - y[a]) > (y[b] - y[a]) * (x[point] - x[a]):
                break
            kept.pop()
        kept.append(point)
    return kept
