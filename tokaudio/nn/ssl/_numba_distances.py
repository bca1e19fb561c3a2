"""The compiled half of `attention`: the bias of distances, which is never held as a table of all with all."""

from __future__ import annotations

from typing import Any

from tokaudio.nn._numba_kernels import _kernel


@_kernel("void(float32[:,::1], float32[::1], float32[::1], int64)")
def add_distances(scores: Any, gates: Any, distances: Any, start: int) -> None:
    """Add `gate * distance` to scores `[n, T]` of queries from number `start` on.

    `gates` are those of the queries `[n]`, `distances` those of keys from queries, -(T - 1) to T - 1.
    """
    count = scores.shape[1]
    for i in range(scores.shape[0]):
        row, gate = scores[i], gates[i]
        bias = distances[count - 1 - start - i : 2 * count - 1 - start - i]
        for k in range(count):
            row[k] += gate * bias[k]
