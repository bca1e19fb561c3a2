"""Intervals of information: by definition, and how often they hold what was planted."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.planted import Corpus, bits_and_share, planted_joint, unrelated_joint
from tests.near import assert_near
from tokaudio.analysis.statistics.contingency import AnalysisError, Contingency, contingency
from tokaudio.analysis.statistics.grouping import GroupedCounts
from tokaudio.analysis.statistics.information import entropy, mutual_information
from tokaudio.analysis.statistics.intervals import InformationInterval, information_interval, jackknife


def tables_of(random: np.random.Generator, joint: np.ndarray, corpus: Corpus, groups: int = 20) -> list[Contingency]:
    counts = GroupedCounts(groups)
    for codes, labels in corpus.draw(random, joint):
        counts.add(codes, labels)
    return list(counts.finish())


def twin(tables: Sequence[Contingency]) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and standard errors by adding up whole tables, one for each group that is left out."""

    def figures(some: Sequence[Contingency]) -> np.ndarray:
        table = some[0]
        for other in some[1:]:
            table = table + other
        bits = mutual_information(table, correct=True)
        return np.array([bits, bits / entropy(table.label_counts(), correct=True)])

    whole, frames = figures(tables), np.array([table.frames for table in tables])
    value, pseudo = len(tables) * whole, []
    for left_out in range(len(tables)):
        without = figures([table for number, table in enumerate(tables) if number != left_out])
        times = frames.sum() / frames[left_out]
        value = value - (1 - 1 / times) * without
        pseudo.append(times * whole - (times - 1) * without)
    squares = [(p - value) ** 2 / (frames.sum() / n - 1) for p, n in zip(pseudo, frames, strict=True)]
    return value, np.sqrt(np.mean(squares, axis=0))


@pytest.mark.parametrize("groups", [4, 7])
def test_figures_equal_those_of_whole_tables(groups: int) -> None:
    random = np.random.default_rng(groups)
    tables = tables_of(random, planted_joint(random, 30, 6, 0.3), Corpus(recordings=9, frames=60), groups)
    value, error = twin(tables)
    found = information_interval(tables, splits=0)
    wide = {4: 3.182446, 7: 2.446912}[groups] * error  # quantiles of t, as tables print them
    for one, place in ((found.information, 0), (found.share, 1)):
        wanted = [value[place], value[place] - wide[place], value[place] + wide[place]]
        assert_near(torch.tensor([one.value, one.low, one.high]), torch.tensor(wanted, dtype=torch.float32))
    assert found.correction == 0.0 and found.information.groups == groups


@pytest.mark.parametrize("groups", [4, 8])
def test_the_second_correction_compares_parts_with_the_whole(groups: int) -> None:
    random = np.random.default_rng(3)
    joint = planted_joint(random, 40, 8, 1.0)
    tables = [contingency(*pair) for pair in Corpus(recordings=groups, frames=200).draw(random, joint)]
    order = np.random.default_rng(5).permutation(groups)
    whole, error = twin(tables)
    halves, quarters = (
        np.mean([twin([tables[n] for n in part])[0] for part in order.reshape(parts, -1)], axis=0) - whole
        for parts in (2, groups // 2 if groups == 4 else 4)
    )
    power = np.clip(quarters / halves - 1, 2, 4) if groups == 8 else np.array([4.0, 4.0])
    correction = halves / (power - 1)
    found = information_interval(tables, splits=1, seed=5)
    values = torch.tensor([found.information.value, found.share.value, found.correction])
    assert_near(values, torch.tensor([*(whole - correction), correction[0]]).float())
    half = {4: 3.182446, 8: 2.364624}[groups] * np.hypot(error, correction / 3)[0]
    assert found.information.high == pytest.approx(found.information.value + half, rel=1e-4)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-50, 50), min_size=3, max_size=12))
def test_of_a_mean_the_jackknife_is_the_textbook_error(numbers: list[int]) -> None:
    values = np.array(numbers, dtype=float)
    left = (values.sum() - values) / (values.size - 1)
    value, error = jackknife([values.mean()], left[:, None], np.ones(values.size))
    assert math.isclose(value[0], values.mean(), abs_tol=1e-9)
    assert math.isclose(error[0], values.std(ddof=1) / math.sqrt(values.size), abs_tol=1e-9)


def test_a_bias_of_one_over_n_is_taken_off_whatever_the_sizes() -> None:
    sizes = np.array([10, 50, 20, 40])
    left = 3.0 + 7.0 / (sizes.sum() - sizes)
    assert jackknife([3.0 + 7.0 / sizes.sum()], left[:, None], sizes)[0][0] == pytest.approx(3.0)


@pytest.mark.parametrize(("codes", "spread", "frames"), [(16, 0.3, 250), (64, 0.1, 400)])
def test_intervals_hold_what_was_planted(codes: int, spread: float, frames: int) -> None:
    """A small version of `benchmarks/analysis.py --part coverage`: of 40 intervals, 34 or more all but surely."""
    random = np.random.default_rng(codes)
    joint = planted_joint(random, codes, 8, spread)
    wanted = bits_and_share(joint)
    found = [information_interval(tables_of(random, joint, Corpus(40, frames))) for _ in range(40)]
    for name, true in zip(("information", "share"), wanted, strict=True):
        intervals = [getattr(one, name) for one in found]
        assert sum(one.low <= true <= one.high for one in intervals) >= 34, name
        values = np.array([one.value for one in intervals])
        half = np.mean([(one.high - one.low) / 2 for one in intervals])
        assert abs(values.mean() - true) < 0.5 * values.std(), "the bias is small beside the spread"
        assert 1.5 * values.std() < half < 3.0 * values.std(), "and the interval no wider than it must be"


def test_intervals_of_what_says_nothing_begin_at_zero() -> None:
    random = np.random.default_rng(1)
    joint = unrelated_joint(random, 32, 8)
    found = [information_interval(tables_of(random, joint, Corpus(40, 125))) for _ in range(20)]
    assert sum(one.information.low == 0.0 for one in found) >= 18
    assert all(one.share.high < 0.05 for one in found)


def test_what_cannot_be_told_apart_is_said() -> None:
    random = np.random.default_rng(2)
    joint = planted_joint(random, 8, 4, 0.5)
    assert information_interval(tables_of(random, joint, Corpus())).settled
    crowded = planted_joint(random, 2_000, 40, 1.0)
    assert not information_interval(tables_of(random, crowded, Corpus(frames=30))).settled
    one_each = [contingency(random.integers(0, 8, 90), np.full(90, speaker)) for speaker in range(6)]
    alone = information_interval(one_each)
    assert alone.lonely == 1.0 and not alone.settled


def test_perfect_codes_tell_everything() -> None:
    random = np.random.default_rng(4)
    labels = random.integers(0, 5, (8, 400))
    found = information_interval([contingency(row + 3, row) for row in labels])
    assert found.share.value == found.share.low == found.share.high == pytest.approx(1.0)
    assert found.information.value == pytest.approx(math.log2(5), abs=0.01)


def test_one_label_leaves_nothing_to_know() -> None:
    found = information_interval([contingency([0, 1, 2], [6, 6, 6])] * 4)
    assert found.share.to_dict() == {"value": 0.0, "low": 0.0, "high": 0.0, "level": 0.95, "groups": 4}


def test_plain_values() -> None:
    found = information_interval([contingency([0, 1, 1], [0, 1, 1])] * 4, level=0.5)
    told = json.loads(json.dumps(found.to_dict()))
    assert set(told) == {"information", "share", "correction", "lonely", "settled"} and told["share"]["level"] == 0.5
    assert isinstance(found, InformationInterval)


def test_what_makes_no_interval_is_refused() -> None:
    table = contingency([0, 1], [0, 1])
    with pytest.raises(AnalysisError, match="3 groups of recordings; give 4 at least"):
        information_interval([table] * 3)
    with pytest.raises(AnalysisError, match="level is 95"):
        information_interval([table] * 4, level=95)
    with pytest.raises(AnalysisError, match="1 groups and estimates"):
        jackknife([1.0], [[1.0]], [1])
