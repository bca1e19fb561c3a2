"""Variance explained on held-out frames: against a loop, scikit-learn, and what noise explains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.analysis.statistics.variance import code_means, variance_explained

FRAMES = st.lists(
    st.tuples(st.integers(0, 4), st.one_of(st.just(float("nan")), st.integers(-9, 9).map(float)), st.integers(0, 2)),
    max_size=40,
)


def twin(frames: list[tuple[int, float, int]]) -> float | None:
    """One frame at a time."""
    known = [frame for frame in frames if not np.isnan(frame[1])]
    errors = deviations = 0.0
    for code, value, fold in known:
        others = [(c, v) for c, v, f in known if f != fold]
        if not others:
            return None
        own = [v for c, v in others if c == code] or [v for _, v in others]
        errors += (value - sum(own) / len(own)) ** 2
        deviations += (value - sum(v for _, v in others) / len(others)) ** 2
    return 1 - errors / deviations if deviations > 0 else None


@settings(deadline=None)
@given(FRAMES)
def test_it_equals_its_definition(frames: list[tuple[int, float, int]]) -> None:
    codes, values, folds = (np.array(part) for part in zip(*frames, strict=True)) if frames else (np.zeros(0, int),) * 3
    found, wanted = variance_explained(codes, values, folds), twin(frames)
    assert (found is None) == (wanted is None)
    assert found is None or wanted is None or found == pytest.approx(wanted, abs=1e-9)


def test_it_equals_scikit_learns_r2_of_a_tree_of_codes() -> None:
    from sklearn.metrics import r2_score

    random = np.random.default_rng(0)
    codes, folds = random.integers(0, 8, 4000), np.arange(4000) // 2000
    values = codes**2 + random.normal(0, 8, 4000)
    told = np.concatenate(
        [
            code_means(codes[a], values[a], 8, 0.0)[codes[b]]
            for a, b in ((folds == 1, folds == 0), (folds == 0, folds == 1))
        ]
    )
    assert variance_explained(codes, values, folds) == pytest.approx(r2_score(values, told), abs=1e-3)


def test_many_codes_explain_no_noise() -> None:
    random = np.random.default_rng(1)
    codes, values = random.integers(0, 300, 3000), random.normal(size=3000)
    found = variance_explained(codes, values, np.arange(3000) % 4)
    within = (
        1 - ((values - code_means(codes, values, 300, 0.0)[codes]) ** 2).sum() / ((values - values.mean()) ** 2).sum()
    )
    assert within > 0.08  # what the same frames would say
    assert found is not None and -0.3 < found < 0


def test_what_cannot_be_told_is_none_or_refused() -> None:
    assert variance_explained([0, 1], [1.0, 1.0], [0, 1]) is None
    assert variance_explained([0, 1], [1.0, 2.0], [3, 3]) is None
    assert variance_explained([0, 1], [np.nan, np.nan], [0, 1]) is None
    with pytest.raises(AnalysisError, match=r"codes, values and folds are \[2\], \[1\] and \[2\]"):
        variance_explained([0, 1], [1.0], [0, 1])
