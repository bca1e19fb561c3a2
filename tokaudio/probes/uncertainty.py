"""How far a score may be off: its variance due to speakers and due to runs, and how sure either of them is."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_NOTHING = 1e-12


class StandardError(NamedTuple):
    """The variance of a mean over runs, in two parts.

    Attributes:
        of_groups: variance due to groups, and to groups and runs at once.
        groups_freedom: its degrees of freedom.
        of_runs: variance due to runs.
        runs_freedom: its degrees of freedom.
    """

    of_groups: float
    groups_freedom: float
    of_runs: float
    runs_freedom: float

    @property
    def standard(self) -> float:
        """The standard error."""
        return math.sqrt(self.of_groups + self.of_runs)

    def quantile(self, level: float) -> float:
        """Return within how many standard errors the truth lies, so often as `level` says.

        The mean of both quantiles of Student's t, weighted by the parts (Cochran and Cox 1950): a little too wide
        rather than too narrow, unlike a number of degrees of freedom that is itself guessed from a handful of runs.
        """
        from scipy.special import stdtrit

        total = self.of_groups + self.of_runs
        if not total:
            return 0.0
        ends = [float(stdtrit(freedom, (1 + level) / 2)) for freedom in (self.groups_freedom, self.runs_freedom)]
        return (self.of_groups * ends[0] + self.of_runs * ends[1]) / total

    def p_value(self, value: float) -> float:
        """Return how often a mean as far from 0 comes about where the true one is 0."""
        if not self.standard:
            return 1.0 if abs(value) < _NOTHING else 0.0
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            inside = self.quantile(middle) * self.standard < abs(value)
            low, high = (middle, high) if inside else (low, middle)
        return 1 - low


def standard_error(values: Floats, drawn: Floats, groups: int) -> StandardError:
    """Return how far a mean over runs may be off, by the two-way components of variance.

    Of scores `[N, R]` of R runs on the same N draws of G groups, the covariance of two runs is the variance due to
    groups; what the variance of one run exceeds it by is due to groups and runs at once. The mean over runs holds the
    former, and a share of 1 / R of the latter. The spread of the runs' values `[R]` holds the latter too, and what is
    due to runs alone. Drawing n things from themselves spreads by (n - 1) / n too little.

    Args:
        values: of each run `[R]`.
        drawn: of each run on each draw `[N, R]`; draws with a NaN are left out.
        groups: how many there are.

    Example:
        >>> rounds = np.array([[0.0, 0.0], [2.0, 2.0]])  # both runs move together: all is due to groups
        >>> found = standard_error(np.array([1.0, 1.0]), rounds, 2)
        >>> found.of_groups, found.of_runs
        (4.0, 0.0)
    """
    runs = values.size
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    if len(drawn) < 2:
        return StandardError(math.inf, 1.0, 0.0, 1.0)
    covariance = np.atleast_2d(np.cov(drawn, rowvar=False)) * groups / (groups - 1)
    of_groups = max(0.0, float(covariance.mean()))
    if runs == 1:
        return StandardError(of_groups, groups - 1.0, 0.0, 1.0)
    of_both = (float(np.trace(covariance)) / runs - of_groups) / (runs - 1)
    of_runs = max(0.0, float(values.var(ddof=1)) / runs - of_both)
    return StandardError(of_groups, groups - 1.0, of_runs, runs - 1.0)
