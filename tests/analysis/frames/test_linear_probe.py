"""Linear probes on codebook vectors: against scikit-learn frame by frame, and what they must and cannot find."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression
from sklearn.metrics import f1_score

from tokaudio.analysis.frames import linear_probe as module
from tokaudio.analysis.frames.linear_probe import linear_probe
from tokaudio.analysis.statistics.contingency import AnalysisError

N = 4_000
FOLDS = np.arange(N) // (N // 4)


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors `[40, 6]`, codes, and noise."""
    random = np.random.default_rng(seed)
    return random.normal(size=(40, 6)) + 3.0, random.integers(0, 40, N), random.normal(size=N)


def test_values_as_scikit_learns_least_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RIDGE", 0.0)
    vectors, codes, noise = scene()
    values = vectors[codes] @ np.arange(6) + (codes % 3) + 5 * noise
    told = np.empty(N)
    deviations = 0.0
    for fold in range(4):
        held = fold == FOLDS
        told[held] = LinearRegression().fit(vectors[codes[~held]], values[~held]).predict(vectors[codes[held]])
        deviations += float(((values[held] - values[~held].mean()) ** 2).sum())
    found = linear_probe(torch.from_numpy(vectors), codes, values, FOLDS)
    assert found is not None and found.accuracy is None and found.frames == N
    assert found.r2 == pytest.approx(1 - ((values - told) ** 2).sum() / deviations, abs=1e-6)


def test_labels_as_scikit_learns_discriminants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RIDGE", 0.0)
    vectors, codes, noise = scene(1)
    labels = np.digitize(vectors[codes, 0] + vectors[codes, 1] + noise, [5.0, 6.0, 8.0]) * 3
    told = np.empty(N, dtype=int)
    for fold in range(4):
        held = fold == FOLDS
        model = LinearDiscriminantAnalysis(solver="lsqr").fit(vectors[codes[~held]], labels[~held])
        told[held] = model.predict(vectors[codes[held]])
    found = linear_probe(vectors, codes, labels, FOLDS)
    assert found is not None and found.r2 is None
    assert found.accuracy == pytest.approx((told == labels).mean(), abs=1e-9)
    assert found.macro_f1 == pytest.approx(f1_score(labels, told, average="macro"), abs=1e-9)
    assert found.majority == np.bincount(labels).max() / N


def test_what_lies_on_no_line_is_not_found() -> None:
    """Codes tell the value exactly, their vectors only in pairs: a product."""
    vectors = np.array([[one, other] for one in (-1.0, 1.0) for other in (-1.0, 1.0)])
    codes = np.random.default_rng(2).integers(0, 4, N)
    found = linear_probe(vectors, codes, vectors[codes].prod(axis=1), FOLDS)
    assert found is not None and found.r2 is not None and abs(found.r2) < 0.01
    found = linear_probe(vectors, codes, (vectors[codes, 0] > 0).astype(int), FOLDS)
    assert found is not None and found.macro_f1 == 1.0


def test_vectors_without_codes_or_wider_than_them_do_no_harm() -> None:
    vectors = np.random.default_rng(3).normal(size=(2000, 64))
    codes = np.random.default_rng(4).integers(0, 30, N)
    found = linear_probe(vectors, codes, vectors[codes, 0], FOLDS)
    assert found is not None and found.r2 is not None and found.r2 > 0.98
    assert linear_probe(np.zeros((30, 3)), codes, vectors[codes, 0], FOLDS).r2 < 0.01  # type: ignore[union-attr, operator]


def test_frames_without_a_code_or_a_target_are_left_out() -> None:
    vectors, codes, noise = scene()
    codes[:100] = -1
    noise[100:300] = np.nan
    assert linear_probe(vectors, codes, noise, FOLDS).frames == N - 300  # type: ignore[union-attr]
    assert linear_probe(vectors, codes, np.where(np.arange(N) < 500, -1, codes % 2), FOLDS).frames == N - 500  # type: ignore[union-attr]


def test_what_cannot_be_told_is_none_or_refused() -> None:
    vectors, codes, noise = scene()
    assert linear_probe(vectors, codes, noise, 0 * FOLDS) is None
    assert linear_probe(vectors, codes, 0 * noise, FOLDS) is None
    assert linear_probe(vectors, codes, np.arange(N), FOLDS) is None
    with pytest.raises(AnalysisError, match=r"vectors, codes, targets and folds are \[40, 6\], \[4000\], \[1\]"):
        linear_probe(vectors, codes, noise[:1], FOLDS)
    with pytest.raises(AnalysisError, match="a code is 39 and there are 30 vectors"):
        linear_probe(vectors[:30], codes, noise, FOLDS)
