"""Components of variance: planted ones are found, and Student's t is that of scipy where there is one part alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tokaudio.probes.uncertainty import StandardError, standard_error


def test_planted_components_are_found() -> None:
    random = np.random.default_rng(0)
    runs, groups, rounds = 4, 5, 200_000
    together, alone = 0.3 * random.standard_normal((rounds, 1)), 0.2 * random.standard_normal((rounds, runs))
    values = np.array([0.1, 0.7, 0.2, 1.0])
    found = standard_error(values, together + alone, groups)
    up = groups / (groups - 1)
    # The mean over runs has what moves all of them, and a share of what moves each.
    assert found.of_groups == pytest.approx((0.3**2 + 0.2**2 / runs) * up, rel=0.02)
    assert found.of_runs == pytest.approx(values.var(ddof=1) / runs - 0.2**2 / runs * up, abs=4e-4)
    assert (found.groups_freedom, found.runs_freedom) == (4.0, 3.0)


def test_runs_that_spread_less_than_their_draws_add_nothing() -> None:
    random = np.random.default_rng(0)
    found = standard_error(np.array([0.5, 0.5]), random.standard_normal((1000, 2)), 9)
    assert found.of_runs == 0.0 and found.of_groups > 0


def test_one_part_alone_is_the_test_of_student() -> None:
    for one, freedom in ((StandardError(0.04, 7.0, 0.0, 3.0), 7), (StandardError(0.0, 7.0, 0.04, 3.0), 3)):
        assert one.quantile(0.95) == pytest.approx(stats.t.ppf(0.975, freedom))
        assert one.p_value(0.5) == pytest.approx(2 * stats.t.sf(2.5, freedom), rel=1e-6)
        assert one.p_value(0.0) == pytest.approx(1.0)
    both = StandardError(0.02, 7.0, 0.02, 3.0)
    assert stats.t.ppf(0.975, 7) < both.quantile(0.95) < stats.t.ppf(0.975, 3)
    # The p-value and the quantile are two sides of one test.
    assert both.p_value(both.quantile(0.9) * both.standard) == pytest.approx(0.1)


def test_draws_without_a_score_are_left_out_and_nothing_is_known_without_draws() -> None:
    drawn = np.array([[0.0], [np.nan], [2.0]])
    assert standard_error(np.array([1.0]), drawn, 2).of_groups == 4.0
    assert standard_error(np.array([1.0]), drawn[:2], 2).standard == np.inf
    sure = StandardError(0.0, 3.0, 0.0, 1.0)
    assert (sure.quantile(0.95), sure.p_value(0.0), sure.p_value(0.1)) == (0.0, 1.0, 0.0)
