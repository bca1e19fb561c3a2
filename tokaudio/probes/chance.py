"""What chance can do: the band of guessing, exchanges of two tokenizers at random, many comparisons at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure, Pairs
from tokaudio.probes.resampling import ROUNDS

Integers = NDArray[np.int64]
FEWEST_GROUPS = 4
"""Of speakers: with fewer there is no interval."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the order given (Holm 1979, Scandinavian J. of Statistics 6:65).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    count = len(p_values)
    steps = [min(1.0, (count - place) * float(p_values[number])) for place, number in enumerate(order)]
    adjusted = np.empty(count)
    adjusted[order] = np.maximum.accumulate(steps) if count else []
    return [float(value) for value in adjusted]


def permutation_p_value(first: Measure, second: Measure, *, rounds: int = ROUNDS, seed: int = 0) -> float | None:
    """Return how often exchanging two tokenizers within speakers at random makes them differ as much as they do.

    Each speaker's counts, of all runs, go to one tokenizer or the other by the toss of a coin. Unlike the bootstrap, it
    takes the seeds as they are. The exchange that was found counts as one of them (Phipson and Smyth 2010).

    Args:
        first: the metric over all runs.
        second: the same metric of the same groups and seeds.
        rounds: exchanges.
        seed: of the coin.

    Returns:
        The share of exchanges; None for scored pairs, which have two speakers each.

    Raises:
        ProbeError: if the two are not paired, or there are fewer than `FEWEST_GROUPS` groups.

    Example:
        >>> from tokaudio.probes.evidence import Sums
        >>> items = np.full((1, 8, 1), 10.0)
        >>> one, other = ([[[n] for n in right]] for right in ((8, 9, 7, 8, 9, 6, 8, 10), (5, 7, 4, 6, 7, 4, 4, 8)))
        >>> first, second = (Measure("accuracy", (0,), Sums(tuple("abcdefgh"), right, items)) for right in (one, other))
        >>> permutation_p_value(first, second, rounds=4000) < 0.02  # 2 of 256 exchanges
        True
    """
    require_paired(first, second)
    one, other = first.evidence, second.evidence
    if isinstance(one, Pairs) or isinstance(other, Pairs):
        return None
    stays = np.random.default_rng(seed).integers(0, 2, (rounds, len(one.groups))).astype(np.float64)
    sides = []
    for kept in (stays, 1 - stays):
        above, below = (
            np.einsum("ng,rgl->nrl", kept, mine) + np.einsum("ng,rgl->nrl", 1 - kept, theirs)
            for mine, theirs in ((one.above, other.above), (one.below, other.below))
        )
        ratios = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
        sides.append(np.nanmean(ratios, axis=2).mean(axis=1))
    found = abs(first.mean - second.mean)
    as_much = int((np.abs(sides[0] - sides[1]) >= found - 1e-12).sum())
    return (1 + as_much) / (1 + rounds)


def chance_band(chance: float, items: int, *, level: float = 0.999) -> tuple[float, float]:
    """Return between which shares guessing lies, so often as `level` says: quantiles of the binomial distribution.

    Args:
        chance: share that guessing gets right, on average.
        items: guessed.
        level: share of guessers within the band, at least.

    Raises:
        ProbeError: if chance or level is no share, or nothing is guessed.

    Example:
        >>> chance_band(0.1, 1000), chance_band(0.5, 200)
        ((0.07, 0.132), (0.385, 0.615))
    """
    require_level(level)
    if not 0 <= chance <= 1 or items < 1:
        raise ProbeError(f"chance {chance} of {items} items; give a share of 0 to 1, and an item at least")
    from scipy.stats import binom

    ends = binom.ppf([(1 - level) / 2, (1 + level) / 2], items, chance) / items
    return float(ends[0]), float(ends[1])


def renaming_band(
    predicted: Integers, labels: Integers, *, level: float = 0.999, rounds: int = 20_000, seed: int = 0
) -> tuple[float, float]:
    """Return between which shares of right answers lies what is said, if classes were named at random.

    A probe that has learnt nothing of the classes may still take all clips of one word for the same other word. Its
    answers then are right or wrong by dozens at once, and spread far wider than as many guesses (`chance_band`). Here
    the answers stay, and the classes of the test set exchange their names.

    Args:
        predicted: class that each item is taken for `[N]`, from 0.
        labels: class of each item `[N]`.
        level: share of namings within the band, at least.
        rounds: namings that are drawn.
        seed: of these.

    Raises:
        ProbeError: if the level is no share, or there is no item.

    Example:
        >>> labels = np.arange(200) % 10
        >>> renaming_band(np.zeros(200, dtype=int), labels), renaming_band(labels, labels)
        ((0.1, 0.1), (0.0, 0.6))
    """
    require_level(level)
    if not len(labels):
        raise ProbeError("no items were answered; give one at least")
    classes = int(max(predicted.max(), labels.max())) + 1
    said = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(said, (labels, predicted), 1)
    count = np.broadcast_to(said.sum(axis=1, keepdims=True), said.shape)
    return naming_band(said, count, level=level, rounds=rounds, seed=seed)


def naming_band(
    above: NDArray[Any], below: NDArray[Any], *, level: float = 0.999, rounds: int = 20_000, seed: int = 0
) -> tuple[float, float]:
    """Return between which ratios a score lies, if what is right for each kind of items were exchanged at random.

    Args:
        above: numerators, such as errors, of the items of each kind beside what is right for each `[N, N]`.
        below: denominators, such as words `[N, N]`.
        level: share of exchanges within the band, at least.
        rounds: exchanges that are drawn.
        seed: of these.

    Raises:
        ProbeError: if the level is no share.

    Example:
        >>> naming_band(np.array([[0, 4], [4, 0]]), np.full((2, 2), 4))  # errors of two texts beside both
        (0.0, 1.0)
    """
    require_level(level)
    kinds = len(above)
    names = np.random.default_rng(seed).permuted(np.tile(np.arange(kinds), (rounds, 1)), axis=1)
    ratios = above[np.arange(kinds), names].sum(axis=1) / below[np.arange(kinds), names].sum(axis=1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)


def require_level(level: float) -> None:
    """Refuse a level that is no share.

    Raises:
        ProbeError: if so.
    """
    if not 0 < level < 1:
        raise ProbeError(f"level is {level}; give a share between 0 and 1")


def require_paired(first: Measure, second: Measure) -> None:
    """Refuse two measures that are not of the same metric, seeds and groups, or of too few groups.

    Raises:
        ProbeError: if so.
    """
    for what in ("metric", "seeds", "groups"):
        mine, theirs = (str(getattr(one, what)) for one in (first, second))
        if mine != theirs:
            raise ProbeError(f"{what} {mine[:60]} and {theirs[:60]}: not paired; probe both on the same data and seeds")
    if len(first.groups) < FEWEST_GROUPS:
        raise ProbeError(f"{len(first.groups)} groups tell no difference; test {FEWEST_GROUPS} speakers at least")
