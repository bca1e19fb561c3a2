"""What can be read off a codebook's vectors by a line: a linear probe, for values and for labels.

    linear_probe(vectors, codes, pitch, folds).r2
    linear_probe(vectors, codes, phones, folds).macro_f1

A code's number says which frames are alike; its vector also says which codes are near each other. What a linear probe
finds is there for a model that has the vectors, with few examples of each code. Values are told by least squares with a
little ridge, labels by linear discriminants (Fisher 1936): both follow from how often codes and targets meet, without
a pass over frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers, integers

Floats = NDArray[np.float64]

MOST_LABELS = 200
"""Labels that are told apart at most."""
# As a share of the mean variance of a dimension.
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class ProbeScore:
    """How well held-out frames are told from the vectors of their codes.

    Attributes:
        r2: of values, the share of their variance that is explained; None for labels.
        macro_f1: of labels, the mean over labels of the harmonic mean of precision and recall; None for values.
        accuracy: of labels, the share of frames whose label is told; None for values.
        majority: of labels, the share of the most frequent one: the accuracy of telling nothing else; None for values.
        frames: that were told.
    """

    r2: float | None
    macro_f1: float | None
    accuracy: float | None
    majority: float | None
    frames: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self)


def linear_probe(
    vectors: ArrayLike | Tensor, codes: ArrayLike, targets: ArrayLike, folds: ArrayLike
) -> ProbeScore | None:
    """Fit and measure a probe, each fold with what was fitted to the others.

    Args:
        vectors: of the codebook `[V, D]`.
        codes: of frames, integers below V `[N]`, -1 for none.
        targets: of the same frames `[N]`: values (floating point, NaN for none) or labels (integers, -1 for none).
        folds: integers `[N]`; frames that resemble each other belong into one.

    Returns:
        The score; None where there are fewer than two folds, all targets are equal, or labels are too many.

    Raises:
        AnalysisError: if shapes do not go together, or there are codes without a vector.

    Example:
        >>> vectors = np.random.default_rng(0).normal(size=(64, 3))
        >>> codes = np.random.default_rng(1).integers(0, 64, 4000)
        >>> round(linear_probe(vectors, codes, vectors[codes] @ [1.0, 2.0, 0.5], np.arange(4000) % 4).r2, 3)
        1.0
        >>> round(linear_probe(vectors, codes, (vectors[codes, 0] > 0).astype(int), np.arange(4000) % 4).accuracy, 1)
        1.0
    """
    table = np.asarray(vectors.detach().cpu() if isinstance(vectors, Tensor) else vectors, dtype=np.float64)
    code, fold, target = integers(codes, "codes"), integers(folds, "folds"), np.asarray(targets)
    if table.ndim != 2 or code.ndim != 1 or not code.shape == fold.shape == target.shape:
        shapes = f"{list(table.shape)}, {list(code.shape)}, {list(target.shape)} and {list(fold.shape)}"
        raise AnalysisError(f"vectors, codes, targets and folds are {shapes}; give [V, D], [N], [N] and [N]")
    if code.size and int(code.max()) >= len(table):
        raise AnalysisError(f"a code is {code.max()} and there are {len(table)} vectors; give those of this codebook")
    values = target.dtype.kind == "f"
    known = (code >= 0) & (np.isfinite(target) if values else target >= 0)
    code, fold, target = code[known], fold[known], target[known]
    if len(np.unique(fold)) < 2 or len(np.unique(target)) < 2:
        return None
    used, code = np.unique(code, return_inverse=True)
    table = table[used] - table[used].mean(axis=0)
    return _values(table, code, target.astype(np.float64), fold) if values else _labels(table, code, target, fold)


def _values(table: Floats, codes: Integers, values: Floats, folds: Integers) -> ProbeScore:
    size = len(table)
    errors = deviations = 0.0
    for number in np.unique(folds):
        held = folds == number
        counts = np.bincount(codes[~held], minlength=size).astype(np.float64)
        sums = np.bincount(codes[~held], weights=values[~held], minlength=size)
        mean, middle = sums.sum() / counts.sum(), counts @ table / counts.sum()
        covariance = _covariance(table, counts, middle)
        together = (sums - mean * counts) @ (table - middle) / counts.sum()
        told = mean + (table - middle) @ np.linalg.solve(covariance, together)
        errors += float(((values[held] - told[codes[held]]) ** 2).sum())
        deviations += float(((values[held] - mean) ** 2).sum())
    return ProbeScore(1 - errors / deviations, None, None, None, len(values))


def _labels(table: Floats, codes: Integers, labels: Integers, folds: Integers) -> ProbeScore | None:
    names, label = np.unique(labels, return_inverse=True)
    if len(names) > MOST_LABELS:
        return None
    told = np.empty_like(label)
    for number in np.unique(folds):
        held = folds == number
        told[held] = _discriminants(table, codes[~held], label[~held], len(names))(codes[held])
    right = np.bincount(label[told == label], minlength=len(names))
    seen, named = np.bincount(label, minlength=len(names)), np.bincount(told, minlength=len(names))
    # Harmonic mean of right / named and right / seen.
    return ProbeScore(
        None,
        float((2 * right / (seen + named)).mean()),
        float(right.sum() / len(label)),
        float(seen.max() / len(label)),
        len(label),
    )


def _discriminants(table: Floats, codes: Integers, labels: Integers, count: int) -> Callable[[Integers], Integers]:
    """Return what tells labels from codes: the likeliest of normal distributions with one covariance."""
    size = len(table)
    seen = np.bincount(codes * count + labels, minlength=size * count).reshape(size, count).astype(np.float64)
    of_label = seen.sum(axis=0)
    present = np.flatnonzero(of_label)
    means = (seen.T @ table)[present] / of_label[present, None]
    share = of_label[present] / of_label.sum()
    total = _covariance(table, seen.sum(axis=1), np.zeros(table.shape[1]))
    within = total - (means * share[:, None]).T @ means
    weights = np.linalg.solve(within, means.T)
    scores = table @ weights - 0.5 * (means * weights.T).sum(axis=1) + np.log(share)
    likeliest: Integers = present[scores.argmax(axis=1)]
    return lambda some: likeliest[some]


def _covariance(table: Floats, counts: Floats, middle: Floats) -> Floats:
    """Return the covariance of vectors, as often as they occur, around a middle, with a little ridge `[D, D]`."""
    apart = table - middle
    covariance: Floats = (apart * counts[:, None]).T @ apart / counts.sum()
    ridge = _RIDGE * np.trace(covariance) / len(covariance) + 1e-12
    return covariance + ridge * np.eye(len(covariance))
