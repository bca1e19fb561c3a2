"""What codebooks repeat of each other: by definition, and for codes of known dependence."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.analysis.codes.redundancy import greatest_tree, joint_counts, redundancy
from tokaudio.analysis.statistics.contingency import AnalysisError

ROWS = st.integers(0, 2**32).map(lambda seed: np.random.default_rng(seed).integers(0, 4, (3, seed % 60 + 2)))


def bits(values: list[object]) -> float:
    return -sum(n / len(values) * math.log2(n / len(values)) for n in Counter(values).values())


@settings(deadline=None, max_examples=40)
@given(ROWS)
def test_figures_equal_their_definitions(rows: np.ndarray) -> None:
    found = redundancy(rows)
    for one, other in combinations(range(3), 2):
        first, second = rows[one].tolist(), rows[other].tolist()
        pair = found.pairs[one][other]
        assert pair is not None and found.pairs[other][one] == pair
        wanted = bits(first) + bits(second) - bits(list(zip(first, second, strict=True)))
        assert pair.plain == pytest.approx(wanted, abs=1e-9)
        assert 0 <= pair.normalised <= 1
    assert found.pairs[1][1] is None and found.total is not None
    frames = [tuple(frame) for frame in rows.T.tolist()]
    assert found.total.plain == pytest.approx(sum(bits(row.tolist()) for row in rows) - bits(frames), abs=1e-9)
    assert found.total.unique == sum(n == 1 for n in Counter(frames).values()) / len(frames)
    json.dumps(found.to_dict(), allow_nan=False)


def test_codebooks_that_repeat_each_other_and_those_that_do_not() -> None:
    random = np.random.default_rng(0)
    first, free = random.integers(0, 8, (2, 40_000))
    noisy = np.where(random.random(40_000) < 0.5, first, random.integers(0, 8, 40_000))
    found = redundancy(np.stack([first, (first * 7 + 3) % 8, free, noisy]))
    same, none, half = (found.pairs[0][other] for other in (1, 2, 3))
    assert same is not None and same.normalised == pytest.approx(1.0, abs=1e-3)
    assert none is not None and none.normalised < 1e-3 and none.plain > 0
    right, wrong = 0.5 + 0.5 / 8, 0.5 / 8
    wanted = 3 + right * math.log2(right) + 7 * wrong * math.log2(wrong)
    assert half is not None and half.normalised == pytest.approx(wanted / 3, abs=0.01)
    assert found.total is not None
    assert found.total.tree == pytest.approx(3 + wanted, abs=0.05)
    assert found.total.plain == pytest.approx(3 + wanted, abs=0.05)


def test_what_counting_alone_seems_to_find_is_in_the_floor() -> None:
    found = redundancy(np.random.default_rng(1).integers(0, 256, (3, 30_000)))
    pair = found.pairs[0][1]
    assert pair is not None and pair.plain > 0.9 and pair.normalised < 0.01
    assert found.total is not None and found.total.unique > 0.99 and found.total.tree < 0.05
    assert found.total.plain == pytest.approx(found.total.floor, abs=0.01)
    assert found.total.plain > 8, "the plain figure of independent codebooks"


def test_the_limit_draws_frames() -> None:
    rows = np.stack([np.arange(5_000) // 2_500, np.arange(5_000) // 2_500])
    found = redundancy(rows, limit=400)
    assert found.frames == 400 and found.pairs[0][1] is not None and found.pairs[0][1].plain > 0.95


def test_frames_without_a_codebook() -> None:
    rows = np.array([[0, 1, 0, 1], [0, 1, -1, -1], [-1, -1, 2, 3]])
    found = redundancy(rows)
    assert found.pairs[0][1] is not None and found.pairs[0][1].plain == 1.0
    assert found.pairs[1][2] is None and found.total is None
    assert redundancy(np.zeros((1, 5), dtype=int)).to_dict() == {"frames": 5, "pairs": [[None]], "total": None}
    for wrong in (np.zeros((2, 0), dtype=int), np.zeros(4, dtype=int)):
        with pytest.raises(AnalysisError, match="give"):
            redundancy(wrong)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_no_tree_is_greater(seed: int) -> None:
    weights = np.random.default_rng(seed).random((4, 4))
    weights = weights + weights.T
    edges, best = list(combinations(range(4), 2)), 0.0
    for chosen in combinations(edges, 3):
        reached = {0}
        for _ in range(3):
            reached |= {node for edge in chosen if set(edge) & reached for node in edge}
        if len(reached) == 4:
            best = max(best, sum(weights[edge] for edge in chosen))
    assert greatest_tree(weights) == pytest.approx(best)


@settings(deadline=None, max_examples=40)
@given(ROWS)
def test_combinations_are_counted(rows: np.ndarray) -> None:
    assert sorted(joint_counts(rows)) == sorted(Counter(map(tuple, rows.T.tolist())).values())
