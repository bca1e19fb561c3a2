"""Bits of n-gram models: against a slow twin, as a distribution, and for chains of known entropy."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.toys import toy
from tokaudio.analysis.codes.pieces import PieceSample
from tokaudio.analysis.codes.predictability import bpe_gain, ngram_bits, predictability
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.spec import CodebookSpec

STRETCHES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=4)


def twin(learned: list[list[int]], held_out: list[list[int]], size: int, order: int) -> list[float]:
    """The same models by dictionaries of pasts, one code at a time."""

    def places(rows: list[list[int]], n: int) -> list[tuple[tuple[int, ...], int]]:
        padded = [[-1] * (n - 1) + row for row in rows]
        return [(tuple(row[t - n + 1 : t]), row[t]) for row in padded for t in range(n - 1, len(row))]

    chances, bits = [1 / size] * sum(map(len, held_out)), []
    for n in range(1, order + 1):
        grams = Counter(places(learned, n))
        after: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for (past, _), times in grams.items():
            after[past].append(times)
        times = list(grams.values())
        once, twice = times.count(1), times.count(2)
        discount = min(0.99, max(0.1, once / (once + 2 * twice) if once else 0.0))
        for place, (past, code) in enumerate(places(held_out, n)):
            if past in after:
                own = max(0.0, grams[past, code] - discount)
                chances[place] = (own + discount * len(after[past]) * chances[place]) / sum(after[past])
        bits.append(-sum(map(math.log2, chances)) / len(chances))
    return bits


def rows_of(stretches: list[list[int]]) -> list[Integers]:
    return [np.array(row) for row in stretches]


@settings(deadline=None, max_examples=80)
@given(STRETCHES, STRETCHES, st.integers(1, 4))
def test_bits_equal_those_of_dictionaries(learned: list[list[int]], held_out: list[list[int]], order: int) -> None:
    found = ngram_bits(rows_of(learned), rows_of(held_out), 4, order=order)
    assert np.allclose(found, twin(learned, held_out, 4, order), atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(STRETCHES, st.lists(st.integers(0, 3), max_size=4), st.integers(1, 4))
def test_chances_of_all_next_codes_add_up_to_one(learned: list[list[int]], past: list[int], order: int) -> None:
    def last_chance(code: int) -> float:
        """Bits of the whole less those of the past alone are those of the last code."""
        whole = ngram_bits(rows_of(learned), [np.array([*past, code])], 4, order=order)[-1] * (len(past) + 1)
        before = ngram_bits(rows_of(learned), [np.array(past)], 4, order=order)[-1] * len(past) if past else 0.0
        return 2.0 ** (before - whole)

    assert sum(map(last_chance, range(4))) == pytest.approx(1.0, abs=1e-6)


def chain(random: np.random.Generator, count: int) -> Integers:
    """Codes of 8 that follow from the two before, with some chance."""
    codes = random.integers(0, 8, count)
    free = random.random(count) < 0.3
    for place in range(2, count):
        if not free[place]:
            codes[place] = (codes[place - 1] + 3 * codes[place - 2] + 1) % 8
    return codes


def test_a_chain_of_order_two_is_foretold_from_order_three_on() -> None:
    random = np.random.default_rng(0)
    learned, held_out = ([chain(random, 3_000) for _ in range(many)] for many in (6, 2))
    found = ngram_bits(learned, held_out, 8)
    right, wrong = 0.7 + 0.3 / 8, 0.3 / 8
    wanted = -right * math.log2(right) - 7 * wrong * math.log2(wrong)
    assert found[0] == pytest.approx(3.0, abs=0.01) and found[1] == pytest.approx(3.0, abs=0.05)
    assert found[2] == pytest.approx(wanted, abs=0.05) and wanted - 0.05 < found[3] < wanted + 0.3


def test_what_was_never_seen_costs_more_than_any_code_but_is_possible() -> None:
    assert 10 < ngram_bits([np.zeros(5_000, dtype=int)], [np.array([7])], 1024)[0] < 30
    noise = np.random.default_rng(0).integers(0, 1024, (2, 20_000))
    assert ngram_bits(noise[:1], noise[1:], 1024)[3] == pytest.approx(10.0, abs=0.1), "and noise about what it must"


def test_codebooks_and_seconds() -> None:
    random = np.random.default_rng(1)
    sample = PieceSample(toy(CodebookSpec(4, stride=2), CodebookSpec(8), CodebookSpec(8)))
    for _ in range(8):
        slow = np.repeat(random.integers(0, 4, 500), 2)
        sample.add(np.stack([slow, np.arange(1_000) % 8, np.full(1_000, -1)]))
    found = predictability(sample.finish(), order=2, bpe=[1], merges=7)
    free, counting, nothing = found.codebooks
    assert free is not None and counting is not None and nothing is None
    assert free.bits == pytest.approx((2.0, 2.0), abs=0.05) and free.bpe is None
    assert counting.bits[0] == pytest.approx(3.0, abs=0.01) and counting.bits[1] < 0.05
    assert counting.bpe == pytest.approx(8.0, rel=0.02), "eight codes that always follow each other become one id"
    assert (free.learned, free.tested, counting.learned, counting.tested) == (3_000, 1_000, 6_000, 2_000)
    wanted = 25 * np.array(free.bits) + 50 * np.array(counting.bits)
    assert found.bits_per_second == pytest.approx(wanted)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["codebooks"][2] is None


def test_bpe_gains_nothing_on_noise() -> None:
    noise = np.random.default_rng(2).integers(0, 512, (2, 4_000))
    assert bpe_gain(noise[:1], noise[1:], 512, merges=50) < 1.05


def test_nothing_is_refused() -> None:
    row = np.array([1])
    for learned, held_out, order in (([row], [row], 0), ([], [row], 2), ([row], [row[:0]], 2)):
        with pytest.raises(AnalysisError, match="give an order from 1"):
            ngram_bits(learned, held_out, 4, order=order)
