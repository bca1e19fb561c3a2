"""The compiled loop of attention heads: their norm and their rotation in one pass over memory."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from tokaudio.nn._numba_kernels import _kernel

_f = np.float32
# Partial sums that grow side by side: one vector of float32.
_LANES = 16


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def _total(values: Any, lanes: Any) -> Any:
    """Return the sum of `[d]`, in an order that the width of a machine's vectors does not change."""
    width = values.shape[0]
    lanes[:] = _f(0.0)
    whole = width // _LANES * _LANES
    for at in range(0, whole, _LANES):
        for lane in range(_LANES):
            lanes[lane] += values[at + lane]
    for at in range(whole, width):
        lanes[at - whole] += values[at]
    total = _f(0.0)
    for lane in range(_LANES):
        total += lanes[lane]
    return total


@_kernel(
    "void(float32[:,::1], int64, float32[::1], float32[::1], float32, float32[:,::1], float32[:,::1], float32[:,:,::1])"
)
def turn(parts: Any, first: Any, gain: Any, shift: Any, eps: Any, cosine: Any, sine: Any, out: Any) -> None:  # noqa: PLR0917
    """Write heads, normalised and with their first half turned, to `[H, n, d]`.

    They are columns `first` to `first + H * d` of `parts`; `cosine` and `sine` are `[n, d / 4]`.
    """
    heads, steps, width = out.shape
    quarter = width // 4
    lanes, row, squares = np.empty(_LANES, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for step in range(steps):
        for head in range(heads):
            at = first + head * width
            for j in range(width):
                row[j] = parts[step, at + j]
            mean = _total(row, lanes) / _f(width)
            for j in range(width):
                row[j] -= mean
                squares[j] = row[j] * row[j]
            scale = _f(1.0) / np.sqrt(_total(squares, lanes) / _f(width) + eps)
            for j in range(width):
                row[j] = row[j] * scale * gain[j] + shift[j]
            for j in range(quarter):
                a, b, c, s = row[j], row[quarter + j], cosine[step, j], sine[step, j]
                out[head, step, j] = a * c - b * s
                out[head, step, quarter + j] = b * c + a * s
            for j in range(2 * quarter, width):
                out[head, step, j] = row[j]
