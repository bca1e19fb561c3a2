"""Rates of error against slow obvious twins and scikit-learn, and laws that must hold for any scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_curve

from tokaudio.errors import TokaudioError
from tokaudio.metrics import verification
from tokaudio.metrics.verification import eer, error_rates, evaluate, min_dcf, weighted_error_rates

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)


def random_scores(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    matching = random.normal(random.uniform(0, 2), 1, random.integers(3, 200))
    other = random.normal(0, random.uniform(0.5, 2), random.integers(3, 200))
    return (matching.round(1), other.round(1)) if seed % 2 else (matching, other)


def of_sklearn(matching: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels = np.r_[np.ones(matching.size), np.zeros(other.size)]
    alarms, hits, _ = roc_curve(labels, np.r_[matching, other], drop_intermediate=False)
    return alarms, 1 - hits


@pytest.mark.parametrize("seed", range(20))
def test_equal_to_scikit_learn(seed: int) -> None:
    matching, other = random_scores(seed)
    alarms, misses = of_sklearn(matching, other)
    crossing = np.flatnonzero(misses <= alarms)[0]
    # The line between the points on both sides of equality, solved as two equations.
    (a0, m0), (a1, m1) = ((alarms[i], misses[i]) for i in (crossing - 1, crossing))
    share = (m0 - a0) / ((m0 - a0) + (a1 - m1))
    assert eer(matching, other) == pytest.approx(m0 + share * (m1 - m0), abs=1e-12)
    for prior, miss, alarm in [(0.01, 1, 1), (0.05, 10, 1), (0.5, 1, 1)]:
        costs = miss * prior * misses + alarm * (1 - prior) * alarms
        wanted = costs.min() / min(miss * prior, alarm * (1 - prior))
        found = min_dcf(matching, other, prior=prior, miss_cost=miss, alarm_cost=alarm)
        assert found == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_the_convex_hull_is_that_of_pooling_adjacent_violators(seed: int) -> None:
    matching, other = random_scores(seed)
    labels = np.r_[np.ones(matching.size), np.zeros(other.size)]
    scores = np.r_[matching, other]
    levels = IsotonicRegression().fit(scores, labels).predict(scores)
    # Thresholds between pooled levels are the corners of the hull.
    points = [(np.mean(levels[labels == 1] < at), np.mean(levels[labels == 0] >= at)) for at in (*np.unique(levels), 2)]
    misses, alarms = np.array(points).T
    above = misses - alarms
    wanted = np.interp(0, above, misses)
    assert eer(matching, other, convex_hull=True) == pytest.approx(wanted, abs=1e-12)


@given(SCORES, SCORES)
def test_rates_are_those_of_counting_at_each_threshold(matching: list[float], other: list[float]) -> None:
    misses, alarms = error_rates(matching, other)
    thresholds = sorted({*matching, *other})
    assert misses.tolist() == pytest.approx([*(np.mean(np.array(matching) < at) for at in thresholds), 1])
    assert alarms.tolist() == pytest.approx([*(np.mean(np.array(other) >= at) for at in thresholds), 0], abs=1e-12)


@given(SCORES, SCORES)
@settings(deadline=None)
def test_laws(matching: list[float], other: list[float]) -> None:
    found = evaluate(matching, other)
    assert -1e-12 <= found["eer_convex_hull"] <= found["eer"] + 1e-12 <= 1 + 1e-12
    assert -1e-12 <= found["min_dcf"] <= 1 + 1e-12
    # Any rising function of the scores leaves all as it is; exchanging the kinds mirrors it.
    moved = evaluate(np.exp(matching), np.exp(other))
    assert moved == pytest.approx(found)
    assert eer(-np.array(other), -np.array(matching)) == pytest.approx(found["eer"], abs=1e-12)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 3)), min_size=2, max_size=12))
def test_a_weight_is_so_many_copies(pairs: list[tuple[int, bool, int]]) -> None:
    scores, same, times = (np.array(column) for column in zip(*pairs, strict=True))
    copies = np.repeat(scores, times), np.repeat(same, times)
    found = weighted_error_rates(scores.astype(float), same, times[None].astype(float))
    if not copies[1].any() or copies[1].all():
        assert np.isnan(found).any()
        return
    misses, alarms = error_rates(copies[0][copies[1]], copies[0][~copies[1]])
    known = np.isin(np.unique(scores), copies[0])
    at = np.r_[True, known]
    assert np.unique(found[0][0, at]).tolist() == pytest.approx(np.unique(misses).tolist())
    assert np.unique(found[1][0, at].round(12)).tolist() == pytest.approx(np.unique(alarms.round(12)).tolist())


def test_chance_and_certainty() -> None:
    assert evaluate([1.0, 1.0], [1.0, 1.0, 1.0]) == {"eer": 0.5, "eer_convex_hull": 0.5, "min_dcf": 1.0}
    assert evaluate([2.0], [1.0]) == {"eer": 0.0, "eer_convex_hull": 0.0, "min_dcf": 0.0}
    assert eer([1.0], [2.0]) == 1.0 and eer([1.0], [2.0], convex_hull=True) == 0.5


@pytest.mark.parametrize(
    ("matching", "other", "said"),
    [([], [1.0], "matching: scores [0]"), ([1.0], [[1.0]], "other: scores [1, 1]"), ([np.nan], [1.0], "matching: a")],
)
def test_what_is_no_score_is_refused(matching: list[float], other: list[float], said: str) -> None:
    with pytest.raises(TokaudioError) as refused:
        eer(matching, other)
    assert said in str(refused.value)


@pytest.mark.parametrize("options", [{"prior": 0}, {"prior": 1.0}, {"miss_cost": 0}, {"alarm_cost": -1}])
def test_costs_and_priors_must_be_possible(options: dict[str, float]) -> None:
    with pytest.raises(TokaudioError, match="no detection cost"):
        min_dcf([1.0], [0.0], **options)


def test_the_usual_prior() -> None:
    assert min_dcf([1.0, 3.0], [0.0, 2.0]) == min_dcf([1.0, 3.0], [0.0, 2.0], prior=verification.PRIOR) == 0.5
