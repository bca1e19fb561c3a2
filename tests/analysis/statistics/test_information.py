"""Information of codes about labels: against a slow twin and scikit-learn, and on tables of known answers."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.analysis.statistics.contingency import AnalysisError, validate
from tokaudio.analysis.statistics.information import (
    cluster_purity,
    contingency,
    entropy,
    evaluate,
    mutual_information,
    phone_purity,
    pnmi,
    shuffled_floor,
)

PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 5)), min_size=1, max_size=80)


def close(found: float, wanted: float) -> bool:
    return math.isclose(found, wanted, rel_tol=0, abs_tol=1e-9)


def twin(pairs: list[tuple[int, int]]) -> dict[str, float]:
    """The same measures by their definitions, one frame and one logarithm at a time."""
    kept = [(code, label) for code, label in pairs if label >= 0]
    n, both = len(kept), Counter(kept)
    by_code, by_label = Counter(code for code, _ in kept), Counter(label for _, label in kept)
    known = -sum(c / n * math.log2(c / n) for c in by_label.values())
    shared = sum(c / n * math.log2((c / n) / (by_code[z] / n * by_label[y] / n)) for (z, y), c in both.items())
    bias = (len(by_code) + len(by_label) - len(both) - 1) / (2 * n) / math.log(2)
    return {
        "entropy": known,
        "plain": shared,
        "corrected": shared + bias,
        "phone_purity": sum(max(both[z, y] for y in by_label) for z in by_code) / n,
        "cluster_purity": sum(max(both[z, y] for z in by_code) for y in by_label) / n,
    }


@settings(deadline=None)
@given(PAIRS)
def test_measures_equal_their_definitions(pairs: list[tuple[int, int]]) -> None:
    codes, labels = zip(*pairs, strict=True)
    if len({label for label in labels if label >= 0}) < 2:
        with pytest.raises(AnalysisError):
            evaluate(codes, labels)
        return
    found, wanted = evaluate(codes, labels, repeats=1), twin(pairs)
    for name, value in wanted.items():
        assert close(getattr(found, name), value), name
    assert close(found.pnmi, wanted["plain"] / wanted["entropy"])


@settings(deadline=None, max_examples=30)
@given(PAIRS, st.integers(0, 80))
def test_tables_add_up(pairs: list[tuple[int, int]], cut: int) -> None:
    parts = [part for part in (pairs[:cut], pairs[cut:]) if any(label >= 0 for _, label in part)]
    if not parts:
        return
    tables = [contingency(*zip(*part, strict=True)) for part in parts]
    whole = contingency(*zip(*pairs, strict=True))
    joined = tables[0] if len(tables) == 1 else tables[0] + tables[1]
    for name in ("codes", "labels", "counts"):
        assert np.array_equal(getattr(joined, name), getattr(whole, name))


@pytest.mark.parametrize("size", [40, 70_000])
def test_measures_equal_scikit_learns(size: int) -> None:
    from sklearn.metrics import homogeneity_score, mutual_info_score
    from sklearn.metrics.cluster import contingency_matrix

    random = np.random.default_rng(size)
    labels = random.integers(0, 20, 3_000)
    codes = (labels * 7 + random.integers(0, 9, 3_000) ** 2) % size
    table = contingency(codes * (size // 40), labels)  # sparse where size is large
    assert close(mutual_information(table) * math.log(2), mutual_info_score(labels, codes))
    assert close(pnmi(table), homogeneity_score(labels, codes))
    frames = contingency_matrix(labels, codes, sparse=True)
    assert close(phone_purity(table), frames.max(axis=0).sum() / 3_000)
    assert close(cluster_purity(table), frames.max(axis=1).sum() / 3_000)


def test_known_answers() -> None:
    codes = torch.arange(800) % 8
    assert evaluate(codes, codes // 2).pnmi == pytest.approx(1.0)
    told = evaluate(codes, codes % 2)
    assert told.share == pytest.approx(1.0, abs=0.02)
    assert (told.phone_purity, told.cluster_purity, told.codes, told.labels) == (1.0, 0.25, 8, 2)
    assert entropy([1, 1, 2]) == pytest.approx(1.5)
    assert entropy([1, 1, 2], correct=True) == pytest.approx(1.5 + 2 / 8 / math.log(2))


def test_codes_that_say_nothing_are_within_the_floor() -> None:
    random = np.random.default_rng(5)
    codes, labels = random.integers(0, 300, 20_000), random.integers(0, 40, 20_000)
    found = evaluate(codes, labels)
    assert found.plain > 0.3  # what the bias alone gives
    assert abs(found.corrected - found.floor) < 0.02 and found.share < 0.005
    assert shuffled_floor(codes, labels, correct=False) == pytest.approx(found.plain, rel=0.03)


def test_the_share_depends_least_on_the_number_of_frames() -> None:
    random = np.random.default_rng(7)
    likely = random.dirichlet(np.full(30, 0.1), size=600).cumsum(axis=1)
    codes = random.integers(0, 600, 120_000)
    labels = (random.random(120_000)[:, None] > likely[codes]).sum(axis=1)
    few, many = evaluate(codes[:4_000], labels[:4_000]), evaluate(codes, labels)
    assert few.floor > 0.3 * few.entropy
    off = abs(few.share - many.share)
    assert off < 0.9 * abs(few.pnmi - many.pnmi)
    assert off < 0.5 * abs((few.corrected - few.floor) / few.entropy - many.share)


def test_codes_as_many_as_frames_say_nothing() -> None:
    assert evaluate(np.arange(90), np.arange(90) % 3).share == pytest.approx(0.0, abs=1e-6)


def test_the_floor_is_the_expected_information() -> None:
    from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

    random = np.random.default_rng(8)
    codes, labels = random.integers(0, 60, 900), random.integers(0, 9, 900)
    wanted = expected_mutual_information(contingency_matrix(labels, codes), 900) / math.log(2)
    assert shuffled_floor(codes, labels, repeats=40, correct=False) == pytest.approx(wanted, rel=0.02)


def test_the_floor_of_labels_that_last_keeps_them_together() -> None:
    random = np.random.default_rng(6)
    codes = np.repeat(random.integers(0, 40, 120), 50)  # by chance alike for long stretches, as sounds of one room are
    labels = np.repeat(random.integers(0, 6, 120), 50)
    apart, together = (shuffled_floor(codes, labels, runs=runs, repeats=9) for runs in (False, True))
    assert together > 10 * max(apart, 0.01)
    assert shuffled_floor(codes, labels, seed=1) == shuffled_floor(codes, labels, seed=1)


def test_what_does_not_go_together_is_refused() -> None:
    for codes, labels, message in (
        ([1, 2], [1, 2, 3], r"codes are \[2\] and labels \[3\]"),
        ([1.0], [1], "codes are float64; give integers"),
        ([1], ["a"], "labels are"),
        ([-1], [1], "a code is -1"),
        ([1, 2], [-1, -1], "no frame has a label"),
    ):
        with pytest.raises(AnalysisError, match=message):
            validate(codes, labels)  # type: ignore[arg-type]
    with pytest.raises(AnalysisError, match="repeats is 0"):
        shuffled_floor([1], [1], repeats=0)
    for counts in ([0, 0], [], [1, -1]):
        with pytest.raises(AnalysisError):
            entropy(np.array(counts, dtype=int))
    with pytest.raises(AnalysisError, match="all 2 frames have the same label"):
        pnmi(contingency([1, 2], [3, 3]))


def test_purities_of_one_table() -> None:
    table = contingency([0, 0, 0, 1, 1, 2], [4, 4, 5, 5, 5, 4])
    assert phone_purity(table) == pytest.approx(5 / 6)
    assert cluster_purity(table) == pytest.approx(4 / 6)
