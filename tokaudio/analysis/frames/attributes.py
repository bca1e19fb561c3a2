"""What can be heard in each frame, in bins, to be compared with codes.

Pitch, energy and cepstra themselves are measured in [`tokaudio.audio.attributes`][tokaudio.audio.attributes].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.audio.attributes import HIGHEST, LOWEST, energy, mfcc, pitch

__all__ = ["HIGHEST", "LOWEST", "binned", "energy", "mfcc", "pitch"]


def binned(values: ArrayLike, *, bins: int = 16) -> Integers:
    """Return the number of the bin of each value, as many values in each bin, -1 for NaN.

    Equal values share a bin, so that there may be fewer bins than asked for.

    Args:
        values: `[N]`.
        bins: how many.

    Raises:
        AnalysisError: if `bins` is below 2.

    Example:
        >>> binned([5.0, 1.0, float("nan"), 3.0, 7.0], bins=2)
        array([ 1,  0, -1,  0,  1])
    """
    if bins < 2:
        raise AnalysisError(f"bins is {bins}; give 2 or more")
    array = np.asarray(values, dtype=np.float64)
    known = np.isfinite(array)
    numbers = np.full(array.shape, -1, dtype=np.int64)
    if known.any():
        edges = np.unique(np.quantile(array[known], np.arange(1, bins) / bins))
        numbers[known] = np.searchsorted(edges, array[known], side="right")
    return numbers
