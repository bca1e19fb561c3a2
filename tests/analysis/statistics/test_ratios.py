"""Ratios of sums and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.analysis.statistics.ratios import Estimate, RatioSums


def test_a_ratio_is_of_sums_and_not_of_ratios() -> None:
    sums = RatioSums()
    sums.add(1, 10)
    sums.add(9, 10)
    sums.add(30, 30)
    assert sums.estimates()[0].value == pytest.approx(0.8)
    assert sums.recordings == 3 and float(sums.totals) == 50


def test_the_interval_of_a_mean_is_students() -> None:
    from scipy import stats

    values = np.random.default_rng(0).normal(size=12)
    sums = RatioSums()
    for value in values:
        sums.add(value, 1)
    wanted = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert sums.estimates()[0].interval == pytest.approx(wanted)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(500):
        sums = RatioSums()
        for _ in range(60):
            frames, rate = random.integers(50, 500), random.beta(3, 7)
            sums.add(random.binomial(frames, rate), frames)
        found = sums.estimates()[0].interval
        assert found
        covered += found[0] <= 0.3 <= found[1]
    assert 0.92 <= covered / 500 <= 0.98


def test_shapes_broadcast_and_are_flattened_in_order() -> None:
    sums = RatioSums((2, 2))
    for _ in range(3):
        sums.add([[1, 2], [3, 4]], [[2], [1]])
    assert [one.value for one in sums.estimates()] == [0.5, 1.0, 3.0, 4.0]


def test_one_recording_has_no_interval_and_none_no_value() -> None:
    sums = RatioSums()
    assert np.isnan(sums.estimates()[0].value) and sums.estimates()[0].to_dict()["value"] is None
    sums.add(1, 2)
    assert sums.estimates() == [Estimate(0.5, None)]
    sums.add(0, 0)
    assert sums.estimates() == [Estimate(0.5, None)]


def test_one_group_is_refused() -> None:
    with pytest.raises(AnalysisError, match="give 2 or more"):
        RatioSums(groups=1)


def test_intervals_can_be_cut() -> None:
    assert Estimate(0.5, (-1.0, 2.0)).within(0.0, 1.0) == Estimate(0.5, (0.0, 1.0))
    assert Estimate(0.5, (-1.0, 2.0)).within(0.0) == Estimate(0.5, (0.0, 2.0))
    assert Estimate(0.5, None).within(0.0) == Estimate(0.5, None)
