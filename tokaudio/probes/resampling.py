"""Scores computed anew from speakers and runs that are drawn with replacement: what intervals are made of.

A probe's score varies with who was tested and with the seed of its training. Speakers are drawn anew, all their items
with them, and every run is scored on the same ones: how far its score moves alone, and how far together with those of
other runs, then tells apart what is due to speakers, to runs, and to both at once (see `statistics`). Whoever asks for
two measures with the same draws gets differences that are paired.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokaudio.metrics.verification import detection_costs, equal_rates, weighted_error_rates
from tokaudio.probes.evidence import Measure, Pairs, Sums

Floats = NDArray[np.float64]
ROUNDS = 1000
"""Draws of an interval, where no other number is given."""
_MOST_AT_ONCE = 2_000_000


def draw_groups(groups: int, *, rounds: int = ROUNDS, seed: int = 0) -> Floats:
    """Draw as many groups as there are, with replacement, in N rounds.

    Returns:
        Times that each was drawn `[N, G]`.

    Example:
        >>> draw_groups(12, rounds=3).sum(axis=1).tolist()
        [12.0, 12.0, 12.0]
    """
    random = np.random.default_rng(seed)
    return random.multinomial(groups, np.full(groups, 1 / groups), rounds).astype(np.float64)


def resampled(measure: Measure, times: Floats) -> Floats:
    """Return the score of each run in each round `[N, R]`; NaN where a round holds nothing of a run to score.

    Args:
        measure: the metric over R runs.
        times: that each group was drawn `[N, G]`.

    Example:
        >>> right = Sums(("ann", "ben"), [[[2], [4]]], [[[4], [4]]])
        >>> resampled(Measure("accuracy", (0,), right), np.array([[0.0, 2.0], [1.0, 1.0]])).tolist()
        [[1.0], [0.75]]
    """
    evidence = measure.evidence
    return _of_sums(evidence, times) if isinstance(evidence, Sums) else _of_pairs(evidence, measure.metric, times)


def _of_sums(evidence: Sums, times: Floats) -> Floats:
    """Return the score of each run in each round `[N, R]`."""
    above, below = (np.einsum("ng,rgl->nrl", times, part) for part in (evidence.above, evidence.below))
    known = below > 0
    ratios = np.divide(above, below, out=np.zeros_like(above), where=known)
    with np.errstate(invalid="ignore"):
        scores: Floats = ratios.sum(axis=2) / known.sum(axis=2)
    return scores


def _of_pairs(evidence: Pairs, metric: str, times: Floats) -> Floats:
    """Return the score of each run in each round `[N, R]`.

    A pair of two speakers occurs as often as both of them together; one of the same speaker as often as the speaker.
    """
    at_once = max(1, _MOST_AT_ONCE // evidence.left.size)
    rounds = [times[start : start + at_once] for start in range(0, len(times), at_once)]
    return np.concatenate([_scored(evidence, metric, some) for some in rounds])


def _scored(evidence: Pairs, metric: str, times: Floats) -> Floats:
    weights = times[:, evidence.left] * np.where(evidence.same, 1.0, times[:, evidence.right])
    found = []
    for scores in evidence.scores:
        known = ~np.isnan(scores)
        rates = weighted_error_rates(scores[known], evidence.same[known], weights[:, known])
        found.append(equal_rates(*rates) if metric == "eer" else detection_costs(*rates))
    return np.stack(found, axis=1)
