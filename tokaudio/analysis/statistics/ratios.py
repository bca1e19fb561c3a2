"""Ratios of sums over recordings, such as means and shares, with an interval, in memory that does not grow.

Recordings are dealt out to groups; leaving out each group in turn says how sure the ratio is, see
[`jackknife`][tokaudio.analysis.statistics.intervals.jackknife].

    sums = RatioSums((num_codebooks,))
    for equal, frames in counted:
        sums.add(equal, frames)
    sums.estimates()[0].value
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.analysis.statistics.grouping import GROUPS
from tokaudio.analysis.statistics.intervals import jackknife

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and how sure it is.

    Attributes:
        value: the ratio over all recordings; NaN where nothing was counted.
        interval: lower and upper end of the 95 % interval; None with fewer than two groups that count.

    Example:
        >>> Estimate(0.5, (0.4, 0.6)).to_dict()
        {'value': 0.5, 'interval': [0.4, 0.6]}
    """

    value: float
    interval: tuple[float, float] | None

    def within(self, low: float, high: float = math.inf) -> Estimate:
        """Return the same with an interval that ends where the figure cannot go further.

        Example:
            >>> Estimate(0.01, (-0.01, 0.03)).within(0.0, 1.0).interval
            (0.0, 0.03)
        """
        if self.interval is None:
            return self
        return Estimate(self.value, (max(low, self.interval[0]), min(high, self.interval[1])))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, None for NaN."""
        known = None if math.isnan(self.value) else self.value
        return {"value": known, "interval": None if self.interval is None else list(self.interval)}


class RatioSums:
    """Numerators and denominators of ratios, added up.

    Args:
        shape: of the ratios.
        groups: into how many groups recordings are dealt.

    Raises:
        AnalysisError: if there are fewer than two groups.

    Example:
        >>> sums = RatioSums((2,))
        >>> for value in range(10):
        ...     sums.add([value, 1.0], 1.0)
        >>> mean, one = sums.estimates()
        >>> mean.value, one.interval
        (4.5, (1.0, 1.0))
    """

    def __init__(self, shape: tuple[int, ...] = (), *, groups: int = GROUPS) -> None:
        if groups < 2:
            raise AnalysisError(f"groups is {groups}; give 2 or more")
        self._above = np.zeros((groups, *shape))
        self._below = np.zeros((groups, *shape))
        self.recordings = 0

    def add(self, numerators: ArrayLike, denominators: ArrayLike) -> None:
        """Add what one recording has.

        Args:
            numerators: that broadcast to the shape of the ratios.
            denominators: likewise; 0 where the recording has nothing to count.
        """
        group = self.recordings % len(self._above)
        self._above[group] += np.asarray(numerators, dtype=np.float64)
        self._below[group] += np.asarray(denominators, dtype=np.float64)
        self.recordings += 1

    @property
    def totals(self) -> NDArray[np.float64]:
        """The denominators, summed, of the shape of the ratios."""
        return np.asarray(self._below.sum(0))

    def estimates(self) -> list[Estimate]:
        """Return every ratio with its interval, in the order of a flattened array."""
        flat = (part.reshape(len(part), -1).T for part in (self._above, self._below))
        return [_estimate(above, below) for above, below in zip(*flat, strict=True)]


def _estimate(above: NDArray[np.float64], below: NDArray[np.float64]) -> Estimate:
    counted = below > 0
    above, below = above[counted], below[counted]
    if not len(below):
        return Estimate(float("nan"), None)
    value = float(above.sum() / below.sum())
    groups = len(below)
    if groups < 2:
        return Estimate(value, None)
    from scipy.special import stdtrit

    without = (above.sum() - above) / (below.sum() - below)
    _, error = jackknife([value], without[:, None], below)
    reach = float(stdtrit(groups - 1, (1 + _CONFIDENCE) / 2)) * float(error[0])
    return Estimate(value, (value - reach, value + reach))
