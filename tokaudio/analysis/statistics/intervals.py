"""How sure a figure of information is: its interval, from groups of recordings left out one after the other.

    found = information_interval(tables)  # one table for each group; see grouping.py
    found.information.low, found.information.high, found.share

Leaving out each group in turn tells both how far the figure varies with the recordings, and how far it is too high for
having been counted (the delete-a-group jackknife: Quenouille 1956; Tukey 1958; groups of unequal size: Busing, Meijer
and van der Leeden 1999, Statistics and Computing 9:3). Unlike the correction of Miller and Madow alone, which takes
each frame for a draw of its own, this holds for frames that resemble their neighbours.

What bias is left falls with a power of the number of frames: between the first, where many pairs of code and label are
rare, and the second, where few are. Halves and quarters of the groups say which, and how much is left (extrapolation
of information from parts of the data: Strong et al. 1998, PRL 80:197; here after Aitken 1927, within these bounds). A
third of what this takes off counts as a standard error of its own: our choice, by simulation (benchmarks/analysis.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.analysis.statistics.contingency import AnalysisError, Contingency, Integers

Floats = NDArray[np.float64]

FEWEST_GROUPS = 4
"""Each half of the groups must be able to leave one out."""
_NOTHING = 1e-9
_LONELY = 0.1
_UNSURE = 1 / 3


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and where the true one lies.

    Attributes:
        value: the estimate, its bias taken off.
        low: lower end.
        high: upper end.
        level: of how many intervals it shall hold the true figure, as a share.
        groups: of recordings that it was computed from.
    """

    value: float
    low: float
    high: float
    level: float
    groups: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class InformationInterval:
    """What codes say about labels, and how sure that is.

    Attributes:
        information: mutual information in bits, 0 at least.
        share: of what there is to know about the labels (the entropy), from 0 to 1.
        correction: bits that the second step took off, after leaving out groups.
        lonely: share of frames whose label occurs in one group alone.
    """

    information: Interval
    share: Interval
    correction: float
    lonely: float

    @property
    def settled(self) -> bool:
        """Whether there was enough audio for the interval to mean what it says.

        It was not where the second correction exceeds half the interval's width (more pairs of code and label than
        could be counted), or where more than a tenth of the frames have a label that a single group has, as with
        one recording for each speaker.
        """
        return abs(self.correction) <= (self.information.high - self.information.low) / 2 and self.lonely <= _LONELY

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self) | {"settled": self.settled}


def jackknife(whole: ArrayLike, without: ArrayLike, sizes: ArrayLike) -> tuple[Floats, Floats]:
    """Return estimates `[F]` without their bias, and their standard errors `[F]` (Busing et al. 1999, equations 6, 8).

    Args:
        whole: estimates from all groups `[F]`.
        without: estimates without each group `[G, F]`.
        sizes: frames of each group `[G]`.

    Raises:
        AnalysisError: if groups are fewer than two, or shapes do not go together.

    Example:
        >>> numbers = np.array([3.0, 5.0, 7.0, 9.0])
        >>> mean, error = jackknife([6.0], (numbers.sum() - numbers[:, None]) / 3, [1, 1, 1, 1])
        >>> mean.round(6).tolist(), error.round(6).tolist()  # the error is that of a mean: deviation / sqrt(4)
        ([6.0], [1.290994])
    """
    all_of, left = np.asarray(whole, dtype=np.float64), np.asarray(without, dtype=np.float64)
    size = np.asarray(sizes, dtype=np.float64)
    if size.size < 2 or left.shape != (size.size, *all_of.shape):
        raise AnalysisError(f"{size.size} groups and estimates {list(left.shape)}; give one row for each of 2 or more")
    times = (size.sum() / size)[:, None]
    value = size.size * all_of - ((1 - 1 / times) * left).sum(axis=0)
    pseudo = times * all_of - (times - 1) * left
    return value, np.sqrt(((pseudo - value) ** 2 / (times - 1)).mean(axis=0))


def information_interval(
    tables: Sequence[Contingency], *, level: float = 0.95, splits: int = 4, seed: int = 0
) -> InformationInterval:
    """Return the mutual information of codes and labels, and its share of the labels' entropy, with intervals.

    Args:
        tables: one for each group of recordings, of which empty ones are left out; see `GroupedCounts`.
        level: of how many intervals it shall hold the true figure, as a share.
        splits: times that groups are halved at random for the second correction.
        seed: of the halving.

    Raises:
        AnalysisError: if there are fewer than 4 groups, or `level` is not between 0 and 1.

    Example:
        >>> from tokaudio.analysis.statistics.contingency import contingency
        >>> random = np.random.default_rng(0)
        >>> labels = random.integers(0, 4, (20, 500))
        >>> codes = np.where(random.random((20, 500)) < 0.5, labels, random.integers(0, 4, (20, 500)))
        >>> found = information_interval([contingency(*pair) for pair in zip(codes, labels)])
        >>> found.information.low < 0.4512 < found.information.high  # of 2 bits
        True
    """
    tables = [table for table in tables if table.frames]
    if len(tables) < FEWEST_GROUPS:
        raise AnalysisError(f"{len(tables)} groups of recordings; give {FEWEST_GROUPS} at least")
    if not 0 < level < 1:
        raise AnalysisError(f"level is {level}; give a share between 0 and 1")
    counted = _Counted(tables)
    first, error = counted.estimate(np.arange(len(tables)))
    correction = _second_correction(counted, first, splits, np.random.default_rng(seed))
    value, error = first - correction, np.hypot(error, _UNSURE * correction)
    wide = _quantile(level, len(tables) - 1) * error
    most = np.array([np.inf, 1.0])
    (bits, share), (low, least), (high, greatest) = (
        end.clip(0.0, most).tolist() for end in (value, value - wide, value + wide)
    )
    return InformationInterval(
        information=Interval(bits, low, high, level, len(tables)),
        share=Interval(share, least, greatest, level, len(tables)),
        correction=float(correction[0]),
        lonely=counted.lonely(),
    )


def _second_correction(counted: _Counted, whole: Floats, splits: int, random: np.random.Generator) -> Floats:
    """Return by how much the estimate `[F]` of all groups is still too high, seen from halves and quarters of them.

    Where the bias of n frames is b / n**p, halves are 2**p - 1 times b higher than the whole, and quarters are 2**p
    times higher above the halves than these are above the whole: the ratio tells p, which is held between 1 and 2.
    """
    groups = counted.sizes.size
    halves, quarters = np.zeros_like(whole), np.zeros_like(whole)
    for _ in range(splits):
        order = random.permutation(groups)
        halves += _mean(counted, np.array_split(order, 2), whole) / splits
        if groups >= 2 * FEWEST_GROUPS:
            quarters += _mean(counted, np.array_split(order, 4), whole) / splits
    steps = np.full_like(whole, 4.0)
    np.divide(quarters - halves, halves, out=steps, where=(quarters != 0) & (np.abs(halves) > _NOTHING))
    return halves / (steps.clip(2.0, 4.0) - 1)


def _mean(counted: _Counted, parts: Sequence[Integers], whole: Floats) -> Floats:
    """Return how much higher estimates of parts of the groups are than that of the whole, on average."""
    excess: Floats = np.mean([counted.estimate(part)[0] for part in parts], axis=0) - whole
    return excess


def _quantile(level: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


class _Counted:
    """Counts of pairs, codes and labels by group, so that leaving out a group costs what the group holds."""

    def __init__(self, tables: Sequence[Contingency]) -> None:
        self.sizes = np.array([table.frames for table in tables], dtype=np.int64)
        group = np.repeat(np.arange(len(tables)), [len(table.counts) for table in tables])
        codes, labels, counts = (
            np.concatenate([getattr(table, name) for table in tables]) for name in ("codes", "labels", "counts")
        )
        _, label = np.unique(labels, return_inverse=True)
        pair = codes * (int(label.max()) + 1) + label
        self.sides = [_Cells(cell, group, counts) for cell in (codes, label, pair)]

    def estimate(self, groups: Integers) -> tuple[Floats, Floats]:
        """Return information in bits and its share `[2]` of some groups, first bias taken off, and standard errors."""
        total = int(self.sizes[groups].sum())
        left = np.concatenate([[total], total - self.sizes[groups]])
        code, label, pair = (side.entropies(groups, left) for side in self.sides)
        bits = code + label - pair
        values = np.stack([bits, np.divide(bits, label, out=np.zeros_like(bits), where=label > _NOTHING)], axis=1)
        return jackknife(values[0], values[1:], self.sizes[groups])

    def lonely(self) -> float:
        """Return the share of frames whose label occurs in one group alone."""
        side = self.sides[1]
        alone = np.bincount(side.cell, minlength=side.cells) == 1
        return float(side.count[alone[side.cell]].sum() / self.sizes.sum())


class _Cells:
    """How often each cell (a code, a label, or a pair of both) occurs in each group; of P entries, those that do."""

    def __init__(self, cell: Integers, group: Integers, count: NDArray[Any]) -> None:
        _, cell = np.unique(cell, return_inverse=True)
        self.cells, groups = int(cell.max()) + 1, int(group.max()) + 1
        key = group * self.cells + cell
        if (key[1:] <= key[:-1]).any():  # codes or labels, of which a table has several entries each
            key, entry = np.unique(key, return_inverse=True)
            count = np.bincount(entry, weights=count)
        self.cell, self.count = key % self.cells, count
        edges = np.searchsorted(key, np.arange(groups + 1) * self.cells).tolist()
        self.slices = [slice(*pair) for pair in pairwise(edges)]

    def entropies(self, groups: Integers, frames: Integers) -> Floats:
        """Return entropies in bits after Miller and Madow: of the given groups together, then without each of them.

        Args:
            groups: numbers of groups `[G]`, none of which is empty.
            frames: that each of the results is of `[1 + G]`.
        """
        chosen = [self.slices[group] for group in groups.tolist()]
        cell, count = (np.concatenate([side[part] for part in chosen]) for side in (self.cell, self.count))
        starts = np.cumsum([0, *(part.stop - part.start for part in chosen[:-1])])
        total = np.bincount(cell, weights=count, minlength=self.cells)
        sums = _n_log_n(total)
        less = total[cell] - count
        # Only the cells that a group has change without it.
        change = np.add.reduceat(_n_log_n(less) - sums[cell], starts)
        gone = np.add.reduceat((less == 0).astype(np.int64), starts)
        left = sums.sum() + np.concatenate([[0.0], change])
        seen = np.count_nonzero(total) - np.concatenate([[0], gone])
        entropies: Floats = np.log2(frames) - left / frames + (seen - 1) / (2 * frames * math.log(2))
        return entropies


def _n_log_n(counts: NDArray[Any]) -> Floats:
    """Return n log2 n, 0 for 0."""
    logarithms: Floats = np.log2(np.maximum(counts, 1.0))
    return counts * logarithms
