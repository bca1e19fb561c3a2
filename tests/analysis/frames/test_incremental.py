"""What codebooks add: known joint distributions, codes that repeat each other, and what noise adds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tokaudio.analysis.frames.incremental import incremental_information
from tokaudio.analysis.statistics.contingency import AnalysisError

N = 12_000
FOLDS = np.arange(N) % 4
Rows = NDArray[np.int64]


def labels(count: int, seed: int = 0) -> Rows:
    return np.random.default_rng(seed).integers(0, count, N)


def heard(label: Rows, right: float, count: int, seed: int) -> Rows:
    """Codes that are the label with some probability, and otherwise any."""
    random = np.random.default_rng(seed)
    return np.where(random.random(N) < right, label, random.integers(0, count, N))


def known_bits(right: float, count: int, books: int) -> float:
    """Information of codes that hear the label each for itself, by summing over all their values."""
    told = np.full((count, count), (1 - right) / count) + right * np.eye(count)
    joint = np.full((count, 1), 1 / count)
    for _ in range(books):
        joint = (joint[:, :, None] * told[:, None, :]).reshape(count, -1)
    given = joint / joint.sum(axis=0)
    return math.log2(count) + float((joint * np.log2(given)).sum())


def test_codes_that_hear_the_label_each_for_itself_add_what_they_should() -> None:
    """Given the label they are independent: the model can tell their joint information exactly."""
    label = labels(4)
    found = incremental_information([heard(label, 0.6, 4, seed) for seed in (1, 2, 3)], label, FOLDS)
    assert found is not None and found.frames == N // 4 and found.entropy == pytest.approx(2.0, abs=0.01)
    for books, bits in enumerate(found.bits, start=1):
        assert bits == pytest.approx(known_bits(0.6, 4, books), abs=0.05), books
    assert found.gains[0] > found.gains[1] > found.gains[2] > 0
    assert sum(found.gains) == pytest.approx(found.bits[-1])
    assert found.to_dict()["shares"][0] == found.bits[0] / found.entropy


def test_what_repeats_what_is_known_and_noise_add_nothing() -> None:
    label = labels(8, 4)
    first = heard(label, 0.5, 8, 5)
    noise = np.random.default_rng(6).integers(0, 1024, N)
    found = incremental_information([first, 7 - first, noise], label, FOLDS)
    assert found is not None
    assert found.bits[0] == pytest.approx(known_bits(0.5, 8, 1), abs=0.06)
    assert abs(found.gains[1]) < 0.005 and abs(found.gains[2]) < 0.005


def test_many_rare_codes_do_not_spoil_what_is_known() -> None:
    label = labels(4, 7)
    found = incremental_information([np.arange(N), label], label, FOLDS)
    assert found is not None
    assert abs(found.bits[0]) < 0.02  # every code is another: none of the held-out ones was seen
    assert found.bits[1] == pytest.approx(2.0, abs=0.02)


def test_frames_without_a_code_or_a_label() -> None:
    label = labels(4, 8)
    half = np.arange(N) // 4 % 2 == 0
    found = incremental_information([np.where(half, label, -1)], label, FOLDS)
    assert found is not None and found.bits[0] == pytest.approx(1.0, abs=0.03)
    found = incremental_information([label], np.where(half, label, -1), FOLDS)
    assert found is not None and found.frames == N // 8
    found = incremental_information([label], label, FOLDS, most=1000)
    assert found is not None and 200 < found.frames < 300 and found.bits[0] == pytest.approx(2.0, abs=0.05)


def test_intervals_are_of_held_out_groups() -> None:
    """Of equal groups, an interval is the mean and t standard errors of the groups' own means."""
    groups, label = np.arange(N) // 600, labels(4, 10)
    codes = [heard(label, right, 4, 11) for right in (0.2, 0.7)]
    found = incremental_information(codes, label, groups % 4, groups=groups)
    assert found is not None and len(found.intervals) == len(found.gain_intervals) == 2
    # What the model tells of one held-out group: the same with the other groups' held-out frames left out.
    each = []
    for one in range(0, 20, 4):
        kept = (groups % 4 != 0) | (groups == one)
        alone = incremental_information([row[kept] for row in codes], label[kept], (groups % 4)[kept])
        assert alone is not None
        each.append([*alone.bits, *alone.gains])
    mean, error = np.mean(each, axis=0), np.std(each, axis=0, ddof=1) / math.sqrt(5)
    reach = 2.7764451 * error  # of t with 4 degrees of freedom
    wanted = np.stack([mean - reach, mean + reach], axis=1)
    assert np.allclose(np.array([*found.intervals, *found.gain_intervals]), wanted, atol=1e-6)
    told = found.to_dict()
    assert told["share_intervals"][1][0] == pytest.approx(wanted[1, 0] / found.entropy)
    bare = incremental_information(codes, label, groups % 4)
    assert bare is not None and bare.intervals == (None, None) and bare.to_dict()["share_intervals"] == [None, None]


def test_labels_that_could_not_be_learned_are_left_out() -> None:
    label = labels(4, 9)
    rare = np.where(FOLDS == 0, np.where(label == 3, 9, label), label)
    found = incremental_information([rare], rare, FOLDS)
    assert found is not None and found.frames == int(((FOLDS == 0) & (label != 3)).sum())
    assert found.entropy < 2.1 and found.bits[0] == pytest.approx(found.entropy, abs=0.02)


def test_what_cannot_be_told_is_none_or_refused() -> None:
    label = labels(4)
    assert incremental_information([label], 0 * label, FOLDS) is None
    assert incremental_information([label], 0 * label - 1, FOLDS) is None
    assert incremental_information([label], np.arange(N) % 201, FOLDS) is None
    assert incremental_information([label], label, FOLDS % 2) is None  # nothing to fit to
    with pytest.raises(AnalysisError, match=r"folds and groups are \[12000\], \[12000\], \[12000\] and "):
        incremental_information(label, label, FOLDS)
