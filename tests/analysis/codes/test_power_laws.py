"""Laws of Zipf and Heaps: planted ones are found, and figures are those of their definitions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.toys import SLOW, plain, recordings, toy
from tokaudio.analysis.codes.power_laws import HeapsCounter, PowerLaws, zipf
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.spec import CodebookSpec


@pytest.mark.parametrize("exponent", [0.0, 0.4, 1.0, 1.7])
def test_a_planted_exponent_is_found(exponent: float) -> None:
    weights = np.arange(1, 501) ** -exponent
    times = np.random.default_rng(1).multinomial(200_000, weights / weights.sum())
    law = zipf(times)
    assert law is not None and law.exponent == pytest.approx(exponent, abs=0.05) and law.distance < 0.02


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=20).filter(lambda times: np.count_nonzero(times) > 1))
def test_no_other_law_is_more_likely(times: list[int]) -> None:
    seen = np.array(sorted((n for n in times if n), reverse=True))
    ranks = np.arange(1, seen.size + 1)

    def likelihood(exponent: float) -> float:
        weights = ranks**-exponent
        return float(seen @ np.log(weights / weights.sum()))

    law = zipf(times)
    assert law is not None and law.exponent >= 0
    best = likelihood(law.exponent)
    for other in (law.exponent + 0.01, law.exponent - 0.01, 0.0, 1.0, 3.0):
        assert best >= likelihood(max(0.0, other)) - 1e-9
    fitted, shares = ranks**-law.exponent, seen / seen.sum()
    distances = [abs(fitted[:r].sum() / fitted.sum() - shares[:r].sum()) for r in ranks]
    assert law.distance == pytest.approx(max(distances), abs=1e-9)


def test_a_bad_fit_is_seen() -> None:
    law = zipf([1000] * 50 + [1] * 450)
    assert law is not None and law.distance > 0.15


@settings(deadline=None, max_examples=40)
@given(recordings())
def test_growth_is_counted_as_codes_come(given: list[Integers]) -> None:
    counter = HeapsCounter(toy(*SLOW), points=12)
    for rows in given:
        counter.add(rows)
    for number, law in enumerate(counter.finish()):
        codes = [code for rows in given for code in plain(rows, SLOW, number)]
        if len(codes) < 2:
            assert law is None
            continue
        assert law is not None and law.curve[-1][0] == len(codes)
        assert all(different == len(set(codes[:seen])) for seen, different in law.curve)


def test_a_planted_growth_is_found() -> None:
    """A code is new exactly where the square root of the place passes a whole number."""
    codes = np.ceil(np.sqrt(np.arange(1, 40_001))).astype(int) - 1
    counter = HeapsCounter(toy(CodebookSpec(1024)))
    for part in np.split(codes, 40):
        counter.add(part[None])
    (law,) = counter.finish()
    assert law is not None and law.exponent == pytest.approx(0.5, abs=0.03)
    assert law.factor == pytest.approx(1.0, abs=0.25) and law.fit > 0.99


def test_a_full_codebook_grows_no_more() -> None:
    counter = HeapsCounter(toy(CodebookSpec(2)))
    for _ in range(3):
        counter.add([[0, 1] * 500])
    (law,) = counter.finish()
    assert law is not None and law.exponent < 0.1 and law.curve[-1] == (3000, 2)
    counter = HeapsCounter(toy(CodebookSpec(4)))
    counter.add([[3, 3, 3]])
    (alone,) = counter.finish()
    assert alone is not None and (alone.exponent, alone.fit) == (pytest.approx(0.0, abs=1e-9), 1.0)


def test_plain_values_and_refusals() -> None:
    counter = HeapsCounter(toy(CodebookSpec(4), CodebookSpec(4)))
    counter.add([[0, 1, 2], [-1, -1, 3]])
    laws = PowerLaws((zipf([1, 1, 1]), zipf([1])), counter.finish())
    told = json.loads(json.dumps(laws.to_dict(), allow_nan=False))
    assert told["zipf"][1] is None and told["heaps"][1] is None and told["heaps"][0]["curve"][-1] == [3, 3]
    with pytest.raises(AnalysisError, match="a count is -1"):
        zipf([-1, 2])
