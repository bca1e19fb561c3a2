"""How much of the variance of a value codes explain, on frames that were not used to learn what the codes mean.

variance_explained(codes, energy, folds)  # 1 where the code tells the energy, 0 or less where it tells nothing
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tokaudio.analysis.statistics.contingency import AnalysisError, integers

Floats = NDArray[np.float64]


def variance_explained(codes: ArrayLike | Tensor, values: ArrayLike, folds: ArrayLike) -> float | None:
    """Return the share of the variance of held-out values that the mean value of their code explains.

    The correlation ratio eta squared of an analysis of variance (Fisher 1925), cross-validated: the frames of each fold
    are told from the means of the others, a code that did not occur there from the mean of all; what is explained is
    `1 - squared errors / squared deviations from that mean`. May be a little below 0 where codes tell nothing.

    Args:
        codes: integers from 0 `[N]`.
        values: of the same frames `[N]`, NaN for none.
        folds: integers `[N]`; frames that resemble each other belong into one.

    Returns:
        The share; None where values do not vary, or fewer than two folds have any.

    Raises:
        AnalysisError: if shapes differ.

    Example:
        >>> codes = np.arange(100) % 4
        >>> round(variance_explained(codes, codes * 2.0, np.arange(100) // 50), 6)
        1.0
    """
    code, fold = integers(codes, "codes"), integers(folds, "folds")
    value = np.asarray(values, dtype=np.float64)
    if not code.shape == fold.shape == value.shape:
        shapes = f"{list(code.shape)}, {list(value.shape)} and {list(fold.shape)}"
        raise AnalysisError(f"codes, values and folds are {shapes}; give one of each for every frame")
    known = np.isfinite(value)
    code, fold, value = code[known], fold[known], value[known]
    errors = deviations = 0.0
    for number in np.unique(fold) if value.size else ():
        held = fold == number
        if held.all():
            return None
        mean = float(value[~held].mean())
        told = code_means(code[~held], value[~held], int(code.max()) + 1, mean)[code[held]]
        errors += float(((value[held] - told) ** 2).sum())
        deviations += float(((value[held] - mean) ** 2).sum())
    return 1 - errors / deviations if deviations > 0 else None


def code_means(codes: NDArray[np.int64], values: Floats, size: int, otherwise: float) -> Floats:
    """Return the mean value of each code `[V]`.

    Args:
        codes: integers from 0 `[N]`.
        values: of the same frames `[N]`.
        size: V.
        otherwise: what codes have that do not occur.

    Example:
        >>> code_means(np.array([0, 0, 2]), np.array([1.0, 3.0, 5.0]), 3, -1.0)
        array([ 2., -1.,  5.])
    """
    counts = np.bincount(codes, minlength=size)
    sums = np.bincount(codes, weights=values, minlength=size)
    return np.divide(sums, counts, out=np.full(size, otherwise), where=counts > 0)
