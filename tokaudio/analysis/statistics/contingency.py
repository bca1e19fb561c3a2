"""How often codes and labels occur together: the one table that all measures of information are computed from.

    table = contingency(codes, phones) + contingency(more_codes, more_phones)
    table.frames, table.code_counts(), table.label_counts()

Frames whose label is negative have none, and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tokaudio.errors import TokaudioError

Integers = NDArray[np.int64]


class AnalysisError(TokaudioError, ValueError):
    """Codes, labels or attributes that cannot be used or do not go together."""


@dataclass(frozen=True, slots=True, eq=False)
class Contingency:
    """How many frames have a code and a label at once; of M pairs, those that occur.

    Attributes:
        codes: of each pair `[M]`.
        labels: of each pair `[M]`; pairs are in ascending order of code, then label.
        counts: frames that have both, at least 1 `[M]`.
    """

    codes: Integers
    labels: Integers
    counts: Integers

    @property
    def frames(self) -> int:
        """N, frames with a label."""
        return int(self.counts.sum())

    def code_counts(self) -> Integers:
        """Return the frames of each code that occurs."""
        return _sums(self.codes, self.counts)

    def label_counts(self) -> Integers:
        """Return the frames of each label that occurs."""
        return _sums(self.labels, self.counts)

    def largest_by_code(self) -> int:
        """Return the sum over codes of the frames of the most frequent label."""
        return _largest(self.codes, self.counts)

    def largest_by_label(self) -> int:
        """Return the sum over labels of the frames of the most frequent code."""
        return _largest(self.labels, self.counts)

    def __add__(self, other: Contingency) -> Contingency:
        """Return the table of both: tables may be counted file by file."""
        codes, labels = np.concatenate([self.codes, other.codes]), np.concatenate([self.labels, other.labels])
        order = np.lexsort((labels, codes))
        codes, labels = codes[order], labels[order]
        new = np.concatenate([[True], (codes[1:] != codes[:-1]) | (labels[1:] != labels[:-1])])
        counts = np.concatenate([self.counts, other.counts])[order]
        return Contingency(codes[new], labels[new], np.add.reduceat(counts, np.flatnonzero(new)))


def validate(codes: ArrayLike | Tensor, labels: ArrayLike | Tensor) -> tuple[Integers, Integers]:
    """Return codes and labels `[N]` of the frames that have a label.

    Args:
        codes: integers from 0, of any shape.
        labels: integers of that shape; negative for frames without a label.

    Raises:
        AnalysisError: if shapes differ, numbers are no integers, a code is negative, or no frame has a label.

    Example:
        >>> validate([3, 4, 5], [0, -1, 2])
        (array([3, 5]), array([0, 2]))
    """
    sides = [integers(side, name) for side, name in ((codes, "codes"), (labels, "labels"))]
    if sides[0].shape != sides[1].shape:
        shapes = f"codes are {list(sides[0].shape)} and labels {list(sides[1].shape)}"
        raise AnalysisError(f"{shapes}; give one label for each frame, or -1 for none")
    found = sides[1] >= 0
    code, label = sides[0][found], sides[1][found]
    if not code.size:
        raise AnalysisError("no frame has a label; give labels of this audio")
    if code.min() < 0:
        raise AnalysisError(f"a code is {code.min()}; codes count from 0")
    return code, label


def contingency(codes: ArrayLike | Tensor, labels: ArrayLike | Tensor) -> Contingency:
    """Count how often codes and labels occur together.

    Args:
        codes: integers from 0, of any shape.
        labels: integers of that shape; negative for frames without a label.

    Raises:
        AnalysisError: as in `validate`.

    Example:
        >>> contingency([0, 0, 7], [1, 1, 2]).counts
        array([2, 1])
    """
    code, label = validate(codes, labels)
    width = int(label.max()) + 1
    pairs = code * width + label
    span = (int(code.max()) + 1) * width
    # Counting in place is faster than sorting wherever the table of all pairs is no larger than what is counted.
    if span <= 4 * pairs.size + 4096:
        every = np.bincount(pairs, minlength=span)
        found = np.flatnonzero(every)
        counts = every[found]
    else:
        found, counts = np.unique(pairs, return_counts=True)
    return Contingency(found // width, found % width, counts)


def integers(values: ArrayLike | Tensor, name: str) -> Integers:
    """Return numbers as int64, whatever they are held in.

    Raises:
        AnalysisError: if they are no integers.

    Example:
        >>> integers([1, 2], "codes")
        array([1, 2])
    """
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.dtype.kind not in "iub":
        raise AnalysisError(f"{name} are {array.dtype}; give integers")
    return array.astype(np.int64, copy=False)


def _sums(of: Integers, counts: Integers) -> Integers:
    """Return the sums of counts over equal values, in the order of the values."""
    of, counts = _in_order(of, counts)
    return np.add.reduceat(counts, _starts(of))


def _largest(of: Integers, counts: Integers) -> int:
    """Return the sum of the largest count of every value."""
    of, counts = _in_order(of, counts)
    return int(np.maximum.reduceat(counts, _starts(of)).sum())


def _in_order(of: Integers, counts: Integers) -> tuple[Integers, Integers]:
    """Return values in ascending order, codes of a table being so already, and their counts along with them."""
    if (of[1:] >= of[:-1]).all():
        return of, counts
    # A stable sort of numbers of two bytes counts instead of comparing.
    order = np.argsort(of.astype(np.uint16) if of.max() < 1 << 16 else of, kind="stable")
    return of[order], counts[order]


def _starts(of: Integers) -> Integers:
    """Return where each value begins."""
    return np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]]))
