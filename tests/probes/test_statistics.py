"""Intervals, comparisons and chance: laws, slow twins, and a small version of benchmarks/probe_statistics.py."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, ttest_1samp

from tests.probes.planted import Probed, Verified
from tests.probes.resulting import measure, pairs
from tokaudio.metrics.verification import eer, min_dcf
from tokaudio.probes.chance import chance_band, holm, permutation_p_value, renaming_band
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure, Pairs, Sums
from tokaudio.probes.resampling import draw_groups, resampled
from tokaudio.probes.statistics import compare, difference, interval, stable_order


def sums(right: np.ndarray, items: float = 10.0, metric: str = "accuracy") -> Measure:
    """Return a measure of right answers `[R, G]`."""
    names = tuple(str(number) for number in range(right.shape[1]))
    return Measure(metric, tuple(range(len(right))), Sums(names, right[:, :, None], np.full((*right.shape, 1), items)))


# What is drawn anew.


def test_a_draw_is_the_score_of_what_was_drawn() -> None:
    random = np.random.default_rng(0)
    above = random.integers(0, 6, (3, 5, 2)).astype(float)
    one = Measure("balanced_accuracy", (0, 1, 2), Sums(tuple("abcde"), above, np.full_like(above, 6)))
    times = draw_groups(5, rounds=20)
    for found, groups in zip(resampled(one, times), times, strict=True):
        who = np.repeat(np.arange(5), groups.astype(int))
        again = Sums(tuple(map(str, range(5))), above[:, who], np.full((3, 5, 2), 6.0))
        np.testing.assert_allclose(found, again.values())


@pytest.mark.parametrize("metric", ["eer", "min_dcf"])
def test_a_draw_of_speakers_has_their_pairs(metric: str) -> None:
    one = dataclasses.replace(pairs(1.0, seeds=2, speakers=5, each=3), metric=metric)
    assert isinstance(one.evidence, Pairs)
    times, evidence = draw_groups(5, rounds=10), one.evidence
    for found, groups in zip(resampled(one, times), times, strict=True):
        counts = [
            int(groups[a] if a == b else groups[a] * groups[b])
            for a, b in zip(evidence.left, evidence.right, strict=True)
        ]
        same = np.repeat(evidence.same, counts)
        if same.all():
            assert np.isnan(found).all()
            continue
        scores = [np.repeat(run, counts) for run in evidence.scores]
        wanted = [(eer if metric == "eer" else min_dcf)(run[same], run[~same]) for run in scores]
        assert found.tolist() == pytest.approx(wanted)


def test_groups_that_a_run_did_not_test_do_not_count() -> None:
    below = np.array([[[4.0], [0.0]], [[4.0], [4.0]]])
    one = Measure("accuracy", (0, 1), Sums(("a", "b"), below * [[[0.25], [0.5]]], below))
    found = resampled(one, np.array([[0.0, 2.0], [1.0, 1.0]]))
    assert np.isnan(found[0, 0]) and found[1].tolist() == [0.25, 0.375] and found[0, 1] == 0.5


# Intervals.


def test_an_interval_of_a_mean_is_that_of_student() -> None:
    # Ratings have no ends: one run, equal speakers; the bootstrap's error is that of the mean, but for its own noise.
    values = np.random.default_rng(0).normal(3, 0.5, (1, 20))
    found = interval(sums(values, 1.0, "dnsmos"), rounds=20_000)
    wanted = ttest_1samp(values[0], 0).confidence_interval()
    assert found is not None and found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.01)


def test_an_interval_is_the_same_again_and_its_level_is_kept() -> None:
    one = measure(0.7)
    found, wider, other = interval(one), interval(one, level=0.99), interval(one, seed=1)
    assert found == interval(one) and found is not None and wider is not None and other is not None
    assert wider.low < found.low < found.value < found.high < wider.high
    assert other.low == pytest.approx(found.low, abs=0.01)


@pytest.mark.parametrize(("metric", "share"), [("accuracy", 0.99), ("wer", 0.01)])
def test_an_interval_ends_where_the_metric_does(metric: str, share: float) -> None:
    found = interval(measure(share, metric=metric))
    assert found is not None and 0 < found.low < found.value < found.high <= 1


def test_certainty_is_no_proof() -> None:
    perfect = interval(sums(np.full((5, 8), 10.0)))
    assert perfect is not None and (perfect.value, perfect.high) == (1.0, 1.0)
    # 80 items: at this share all of them come out right in 2.5 % of cases.
    assert perfect.low**80 == pytest.approx(0.025)
    nothing = interval(sums(np.zeros((5, 8)), metric="wer"))
    assert nothing is not None and nothing.low == 0.0 and (1 - nothing.high) ** 80 == pytest.approx(0.025)


def test_few_speakers_have_no_interval() -> None:
    assert interval(sums(np.full((5, 3), 5.0))) is None
    with pytest.raises(ProbeError, match="give a share between 0 and 1"):
        interval(sums(np.full((5, 4), 5.0)), level=95)


@pytest.mark.parametrize(
    "one", [Probed(), Probed(share=0.95, speakers=28, items=10), Probed(share=0.15, run_spread=0.3, metric="wer")]
)
def test_intervals_hold_the_truth(one: Probed) -> None:
    random, truth = np.random.default_rng(0), one.truth()
    found = [interval(one.draw(random)[0], rounds=300) for _ in range(200)]
    held = sum(each is not None and each.low <= truth <= each.high for each in found)
    assert 182 <= held <= 198  # 95 % is 190, and the standard deviation 3


def test_intervals_of_pairs_hold_the_truth() -> None:
    one, random = Verified(speakers=16, recordings=2, runs=2), np.random.default_rng(0)
    found = [interval(one.draw(random)[0], rounds=100) for _ in range(60)]
    held = sum(each is not None and each.low <= one.truth() <= each.high for each in found)
    # More often than they say: with as few pairs of one speaker the draws spread too far.
    assert held >= 54


# Comparisons.


def test_a_difference_of_paired_speakers_is_that_of_student() -> None:
    random = np.random.default_rng(0)
    voices = random.normal(3, 1, (1, 20))
    first, second = (sums(voices + random.normal(by, 0.1, (1, 20)), 1.0, "dnsmos") for by in (0.1, 0.0))
    found = difference(first, second, rounds=20_000)
    apart = (first.evidence.above - second.evidence.above).ravel()
    wanted = ttest_1samp(apart, 0)
    assert found.p_value == pytest.approx(wanted.pvalue, rel=0.2)
    assert found.interval.low == pytest.approx(wanted.confidence_interval().low, abs=0.003)
    # What all speakers share cancels.
    assert found.interval.high - found.interval.low < 0.2


def test_nothing_differs_from_itself() -> None:
    found = difference(measure(0.7), measure(0.7))
    assert (found.interval.value, found.p_value, found.permutation_p_value) == (0.0, 1.0, 1.0)
    assert not found.significant
    same = difference(pairs(1.0, seeds=2), pairs(1.0, seeds=2), rounds=50)
    assert same.permutation_p_value is None and not same.significant


def test_differences_are_mirrored() -> None:
    one, other = (measure(share, seed=seed) for share, seed in ((0.7, 0), (0.8, 1)))
    there, back = difference(one, other), difference(other, one)
    assert there.interval.low == pytest.approx(-back.interval.high) and there.p_value == pytest.approx(back.p_value)
    assert there.permutation_p_value == back.permutation_p_value


def test_equal_tokenizers_are_left_alone_and_a_gap_is_found() -> None:
    one, random = Probed(speakers=28, own_spread=0.2), np.random.default_rng(0)
    same, better = one.share_for(0.75), one.share_for(0.80)
    alone = [difference(*one.draw(random, same, same), rounds=300).significant for _ in range(60)]
    found = [difference(*one.draw(random, better, same), rounds=300) for _ in range(60)]
    assert sum(alone) <= 7 and sum(each.significant and each.interval.value > 0 for each in found) >= 44


def test_what_is_not_paired_is_not_compared() -> None:
    one = measure(0.7)
    for other, said in [
        (measure(0.7, metric="wer"), "metric accuracy and wer"),
        (measure(0.7, seeds=4), "seeds"),
        (sums(np.full((5, 12), 3.0)), "groups"),
    ]:
        with pytest.raises(ProbeError, match=said):
            difference(one, other)
    few = sums(np.full((5, 3), 3.0))
    with pytest.raises(ProbeError, match="3 groups tell no difference"):
        difference(few, few)


def test_all_pairs_are_corrected_for_their_number() -> None:
    found = compare({"a": measure(0.7), "b": measure(0.72, seed=1), "c": measure(0.4, seed=2)})
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [one.adjusted_p_value for one in found.values()] == holm([one.p_value for one in found.values()])
    assert [pair for pair, one in found.items() if one.significant] == [("a", "c"), ("b", "c")]


def test_the_order_of_disjoint_seeds_is_stable_where_it_is_clear() -> None:
    clear, better = (measure(share, seeds=10, seed=seed) for share, seed in ((0.5, 0), (0.9, 1)))
    assert stable_order(clear, better) and stable_order(better, clear, sets=10)
    # The same luck in every run, but for the last set, in which the other one is ahead.
    right = np.full((10, 4), 5.0)
    other = right - 1
    other[8:] += 2
    assert stable_order(sums(right), sums(other), sets=4) and not stable_order(sums(right), sums(other), sets=5)
    with pytest.raises(ProbeError, match="10 runs make no 11 sets"):
        stable_order(clear, better, sets=11)
    with pytest.raises(ProbeError, match="places from 0"):
        clear.of_runs([10])
    voices = pairs(1.0, seeds=3)
    assert voices.of_runs([2, 0]).values().tolist() == voices.values()[[2, 0]].tolist()


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_its_definition(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.3):
        # Step down: from the smallest on, until one is above the level over how many are left.
        rejected, left = set(), len(p_values)
        for number in sorted(range(len(p_values)), key=lambda n: p_values[n]):
            if p_values[number] * left > level:
                break
            rejected.add(number)
            left -= 1
        assert {number for number, value in enumerate(adjusted) if value <= level} == rejected
    if p_values:
        # Never less than what only controls the rate of false discoveries.
        assert (np.array(adjusted) >= false_discovery_control(p_values) - 1e-12).all()


def test_a_permutation_test_counts_all_exchanges() -> None:
    random = np.random.default_rng(3)
    first, second = (random.integers(2, 10, (2, 6)).astype(float) for _ in range(2))
    apart = abs((first - second).mean())
    every = [
        abs((np.where(flip, -1, 1) * (first - second)).mean()) >= apart - 1e-12
        for flip in np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T
    ]
    found = permutation_p_value(sums(first), sums(second), rounds=20_000)
    assert found == pytest.approx(np.mean(every), abs=0.015)


# Chance.


@pytest.mark.parametrize(("classes", "items", "reach"), [(10, 1000, 0.031), (10, 200, 0.070), (2, 200, 0.116)])
def test_the_band_of_chance_is_about_that_of_the_normal_distribution(classes: int, items: int, reach: float) -> None:
    ends = chance_band(1 / classes, items)
    assert ends == pytest.approx((1 / classes - reach, 1 / classes + reach), abs=0.012)


def test_the_band_holds_as_many_guessers_as_it_says() -> None:
    random = np.random.default_rng(0)
    low, high = chance_band(0.1, 100, level=0.95)
    shares = random.binomial(100, 0.1, 20_000) / 100
    assert 0.95 <= np.mean((shares >= low) & (shares <= high)) < 0.98


def test_chance_is_a_share() -> None:
    with pytest.raises(ProbeError, match="chance 10"):
        chance_band(10, 100)
    with pytest.raises(ProbeError, match="0 items"):
        chance_band(0.1, 0)


def test_answers_that_hang_together_stay_within_the_band_of_renaming_and_leave_that_of_guessing() -> None:
    random, labels = np.random.default_rng(0), np.arange(400) % 20
    guessed = chance_band(1 / 20, 400)
    outside = {"together": [0, 0], "apart": [0, 0]}
    for number in range(200):
        answers = {"together": random.integers(0, 20, 20)[labels], "apart": random.integers(0, 20, 400)}
        for name, said in answers.items():
            score = (said == labels).mean()
            low, high = renaming_band(said, labels, rounds=4000, seed=number)
            outside[name][0] += not low <= score <= high
            outside[name][1] += not guessed[0] <= score <= guessed[1]
    assert outside["together"][0] <= 3 and outside["together"][1] > 100
    assert max(outside["apart"]) <= 3


def test_a_fifth_of_right_answers_leaves_both_bands() -> None:
    random, labels = np.random.default_rng(0), np.arange(400) % 20
    for rest in (random.integers(0, 20, 400), random.integers(0, 20, 20)[labels]):
        said = np.where(random.random(400) < 0.3, labels, rest)
        assert (said == labels).mean() > max(renaming_band(said, labels)[1], chance_band(1 / 20, 400)[1])
    # One answer for all is right as often as it must be, to the last bit.
    thirds = np.arange(54) % 18
    assert renaming_band(np.zeros(54, dtype=int), thirds) == ((thirds == 0).mean(),) * 2
    with pytest.raises(ProbeError, match="no items were answered"):
        renaming_band(labels[:0], labels[:0])
