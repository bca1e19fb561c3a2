"""A codebook as a map: which codes lie near each other, and all of them in a plane.

table = tokenizer.codebooks()[0]
neighbours(table, count=5).codes[17]  # the five codes nearest to code 17
codebook_map(table).points  # [V, 2]
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers, integers
from tokaudio.errors import MissingDependencyError, one_line

Values = NDArray[np.float64]
Method = Literal["pca", "umap"]

# Distances that are held at once.
_BLOCK = 1 << 24
# Of fewer, its spectral start has no two axes.
_FEWEST_FOR_UMAP = 5


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The codes nearest to each of some codes, itself left out.

    Attributes:
        of: the codes `[N]`.
        codes: their neighbours, the nearest first `[N, count]`.
        distances: Euclidean `[N, count]`.
    """

    of: Integers
    codes: Integers
    distances: Values

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return {"of": self.of.tolist(), "codes": self.codes.tolist(), "distances": self.distances.tolist()}


@dataclass(frozen=True, slots=True, eq=False)
class CodebookMap:
    """Codes in a plane.

    Attributes:
        points: of each code `[V, 2]`.
        method: `pca` or `umap`.
        explained: share of the variance along each axis, of PCA; None of UMAP.
    """

    points: Values
    method: Method
    explained: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        explained = None if self.explained is None else list(self.explained)
        return {"points": self.points.tolist(), "method": self.method, "explained": explained}


def validate(table: ArrayLike | Tensor) -> Values:
    """Return the vectors of a codebook `[V, D]` in float64.

    Raises:
        AnalysisError: if they have another shape, are not finite, or are fewer than two.

    Example:
        >>> validate([[0, 1], [2, 3]]).shape
        (2, 2)
    """
    array = table.detach().cpu().numpy() if isinstance(table, Tensor) else np.asarray(table)
    if array.ndim != 2 or len(array) < 2 or not array.shape[1]:
        raise AnalysisError(f"a codebook of {list(array.shape)}; give [V, D], two codes or more")
    vectors = array.astype(np.float64)
    if not np.isfinite(vectors).all():
        raise AnalysisError("a codebook holds NaN or Inf; give finite vectors")
    return vectors


def neighbours(table: ArrayLike | Tensor, *, count: int = 5, of: ArrayLike | None = None) -> Neighbours:
    """Return the codes whose vectors lie nearest.

    Args:
        table: vectors of a codebook `[V, D]`.
        count: neighbours of each code, at most V - 1.
        of: the codes that are asked for `[N]`; None for all.

    Raises:
        AnalysisError: if the table is no codebook, or there is no such code or number of neighbours.

    Example:
        >>> neighbours([[0.0], [1.0], [5.0]], count=1).codes.tolist()
        [[1], [0], [1]]
    """
    vectors = validate(table)
    asked = np.arange(len(vectors)) if of is None else integers(of, "codes").ravel()
    if not 1 <= count < len(vectors):
        raise AnalysisError(f"{count} neighbours among {len(vectors)} codes; give 1 to {len(vectors) - 1}")
    if asked.size and not 0 <= asked.min() <= asked.max() < len(vectors):
        raise AnalysisError(f"codes {asked.min()} to {asked.max()} of {len(vectors)}; give codes that exist")
    # Around the mean, so that little is lost where squares of lengths are subtracted.
    vectors = vectors - vectors.mean(0)
    squares = np.sum(vectors**2, axis=1)
    rows = max(1, _BLOCK // len(vectors))
    found = [_nearest(vectors, squares, asked[first : first + rows], count) for first in range(0, asked.size, rows)]
    if not found:
        return Neighbours(asked, np.zeros((0, count), dtype=np.int64), np.zeros((0, count)))
    codes, distances = (np.concatenate(part) for part in zip(*found, strict=True))
    return Neighbours(asked, codes, distances)


def codebook_map(
    table: ArrayLike | Tensor, *, method: Method = "pca", weights: ArrayLike | None = None, seed: int = 0
) -> CodebookMap:
    """Return a place in a plane for each code.

    PCA keeps distances as far as a plane can, UMAP (arXiv:1802.03426) keeps neighbours together.

    Args:
        table: vectors of a codebook `[V, D]`.
        method: `pca`, or `umap`, which needs the package umap-learn.
        weights: how often each code occurs `[V]`, for PCA: rare ones then turn the axes less; None for all alike.
        seed: of UMAP.

    Raises:
        AnalysisError: if the table is no codebook, weights do not fit it, or there is no such method,
            or too few codes for it.
        MissingDependencyError: if umap-learn is not installed.

    Example:
        >>> found = codebook_map([[0.0, 0.0, 1.0], [4.0, 0.0, 1.0], [2.0, 1.0, 1.0]])
        >>> found.points.round(2).tolist(), found.explained[0] > 0.9
        ([[-2.0, -0.33], [2.0, -0.33], [0.0, 0.67]], True)
    """
    vectors = validate(table)
    if method == "umap":
        return CodebookMap(_umap(vectors, seed), "umap", None)
    if method != "pca":
        raise AnalysisError(f"method is {method!r}; give 'pca' or 'umap'")
    share = np.ones(len(vectors)) if weights is None else np.asarray(weights, dtype=np.float64)
    if share.shape != (len(vectors),) or not np.isfinite(share).all() or share.min() < 0 or not share.sum() > 0:
        raise AnalysisError(f"weights of {list(share.shape)} for {len(vectors)} codes; give one from 0 on for each")
    return _pca(vectors, share / share.sum())


def _nearest(vectors: Values, squares: Values, asked: Integers, count: int) -> tuple[Integers, Values]:
    apart = squares[asked][:, None] + squares - 2 * vectors[asked] @ vectors.T
    apart[np.arange(len(asked)), asked] = np.inf
    # Candidates from the quick formula, in their order by the exact one.
    few = np.sort(np.argpartition(apart, count - 1, axis=1)[:, :count], axis=1)
    exact = np.sqrt(np.sum((vectors[few] - vectors[asked][:, None]) ** 2, axis=2))
    order = np.argsort(exact, axis=1, kind="stable")
    return np.take_along_axis(few, order, axis=1), np.take_along_axis(exact, order, axis=1)


def _pca(vectors: Values, share: Values) -> CodebookMap:
    centred = vectors - share @ vectors
    variances, axes = np.linalg.eigh((centred * share[:, None]).T @ centred)
    axes = axes[:, ::-1][:, :2]
    # An axis has no direction of its own: its largest component is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    points = np.zeros((len(vectors), 2))
    points[:, : axes.shape[1]] = centred @ axes
    total = float(variances.clip(0).sum())
    first, second = [*variances[::-1][:2].clip(0).tolist(), 0.0][:2]
    return CodebookMap(points, "pca", (first / total, second / total) if total > 0 else (0.0, 0.0))


def _umap(vectors: Values, seed: int) -> Values:
    if len(vectors) < _FEWEST_FOR_UMAP:
        raise AnalysisError(f"UMAP of {len(vectors)} codes; give {_FEWEST_FOR_UMAP} or more, or use 'pca'")
    try:
        with warnings.catch_warnings():
            # That a part which is not used here would need TensorFlow.
            warnings.simplefilter("ignore", ImportWarning)
            umap = importlib.import_module("umap")
    except ImportError:
        raise MissingDependencyError(
            one_line("umap-learn", "is not installed", "run: pip install umap-learn")
        ) from None
    around = min(15, len(vectors) - 1)
    points: Values = np.asarray(
        umap.UMAP(n_neighbors=around, random_state=seed, n_jobs=1).fit_transform(vectors), dtype=np.float64
    )
    return points
