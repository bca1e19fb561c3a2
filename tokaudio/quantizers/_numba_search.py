"""The compiled loop of `search`: the two least scores of every vector in one pass."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


@numba.njit("void(float32[:,::1], float32[::1], float32[::1], int32[::1])", nogil=True, error_model="numpy", cache=True)
def two_least(scores: Any, best: Any, second: Any, index: Any) -> None:
    """Write the least score of each column of `[V, N]`, the least of the others, and the first row of the least."""
    best[:], second[:], index[:] = np.float32(np.inf), np.float32(np.inf), 0
    for row in range(scores.shape[0]):
        number = np.int32(row)
        for n in range(scores.shape[1]):
            score, least = scores[row, n], best[n]
            less = score < least
            other = least if less else score
            second[n] = other if other < second[n] else second[n]
            index[n] = number if less else index[n]
            best[n] = score if less else least
