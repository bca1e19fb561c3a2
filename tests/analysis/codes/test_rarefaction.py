"""Expected numbers of different codes: against every possible draw, and by the bounds they keep."""

from __future__ import annotations

import json
from itertools import combinations
from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.near import assert_near
from tokaudio.analysis.codes.rarefaction import chao1, expected_codes, rarefaction
from tokaudio.analysis.statistics.contingency import AnalysisError

COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=12)


def test_it_is_the_mean_over_all_draws() -> None:
    codes = [0, 0, 0, 1, 1, 2, 3]
    for drawn in range(8):
        draws = list(combinations(codes, drawn))
        wanted = sum(len(set(draw)) for draw in draws) / len(draws)
        assert expected_codes([3, 2, 1, 1], [drawn])[0] == pytest.approx(wanted, abs=1e-9)


@settings(deadline=None)
@given(COUNTS, st.data())
def test_it_equals_the_formula_in_whole_numbers(times: list[int], data: st.DataObject) -> None:
    total = sum(times)
    drawn = data.draw(st.integers(0, total))
    wanted = sum(1 - comb(total - n, drawn) / comb(total, drawn) for n in times)
    assert_near(
        torch.tensor(expected_codes([*times, 0], [drawn])), torch.tensor([wanted], dtype=torch.float64), within=1e-9
    )


@settings(deadline=None)
@given(COUNTS)
def test_the_curve_rises_ever_more_slowly_to_what_was_seen(times: list[int]) -> None:
    found = rarefaction(times, 20, stated=3, points=40)
    numbers, expected = (np.array(side) for side in zip(*found.curve, strict=True))
    assert numbers[0] == 1 and expected[0] == pytest.approx(1.0)
    assert found.curve[-1] == (sum(times), pytest.approx(len(times)))
    slopes = np.diff(expected) / np.diff(numbers)
    assert (slopes >= -1e-9).all() and (np.diff(slopes) <= 1e-9).all()
    assert (found.at_stated is None) == (sum(times) < 3)
    assert found.used <= found.expected_total <= 20


def test_corpora_of_different_lengths_agree_at_a_stated_number() -> None:
    random = np.random.default_rng(0)
    likely = random.dirichlet(np.full(1024, 0.3))
    short, long = (rarefaction(random.multinomial(n, likely), 1024, stated=2_000) for n in (4_000, 400_000))
    assert short.used < 0.8 * long.used, "the plain figures differ"
    assert short.utilisation is not None and long.utilisation is not None
    assert short.utilisation == pytest.approx(long.utilisation, rel=0.03)
    assert short.used < short.expected_total < 1.1 * (likely > 0).sum()
    assert rarefaction([3], 1024).utilisation is None


def test_large_counts_stay_exact_enough() -> None:
    even = np.full(1000, 20_000)
    assert expected_codes(even, [1, 10])[1] == pytest.approx(1000 * (1 - 0.999**10), rel=1e-5)


def test_unseen_codes_by_those_seen_once_and_twice() -> None:
    assert chao1([4, 4, 4]) == 3.0
    assert chao1([1, 1, 2, 7]) == 4 + 2 * 1 / (2 * 2)
    assert rarefaction([1] * 9, 10).expected_total == 10.0, "never more than there are"


def test_plain_values_and_refusals() -> None:
    told = json.loads(json.dumps(rarefaction([9, 9], 4, stated=5).to_dict()))
    assert told["utilisation"] == pytest.approx(told["at_stated"] / 4) and told["curve"][-1] == [18, 2.0]
    for times, size, stated in (([], 4, 1), ([0], 4, 1), ([-1, 3], 4, 1), ([1] * 5, 4, 1), ([1], 4, 0)):
        with pytest.raises(AnalysisError):
            rarefaction(np.array(times, dtype=int), size, stated=stated)
    with pytest.raises(AnalysisError, match="5 to 5 codes to draw of 4"):
        expected_codes([4], [5])
