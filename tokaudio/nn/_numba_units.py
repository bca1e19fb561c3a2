"""The compiled half of `depthwise_unit`: Snake, depthwise convolution and Snake in one pass over memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

_f = np.float32
# The sine of `_numba_kernels`: pi in three parts, and a polynomial on [-pi/2, pi/2].
_PI0, _PI1, _PI2 = _f(3.140625), _f(0.0009670257568359375), _f(6.2771141529083252e-07)
_INV_PI, _ROUND = _f(0.31830988618379067), _f(12582912.0)
_P0, _P1, _P2, _P3, _P4 = map(_f, (-2.3889859e-08, 2.7525562e-06, -0.00019840874, 0.0083333310, -0.16666667))

# Rows of the table of parameters, one column per channel: seven taps, then these.
BIAS, FIRST_ALPHA, FIRST_SCALE, SECOND_ALPHA, SECOND_SCALE, OUT_BIAS, ROWS = range(7, 14)


def _kernel(signature: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    # Only fused multiply-add is allowed to the compiler: anything more would change sums from machine to machine.
    compiled: Callable[[Callable[..., None]], Callable[..., None]] = numba.njit(
        signature, fastmath={"contract"}, nogil=True, error_model="numpy", cache=True
    )
    return compiled


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def _sin_squared(t: Any) -> Any:
    k = (t * _INV_PI + _ROUND) - _ROUND
    r = ((t - k * _PI0) - k * _PI1) - k * _PI2
    q = r * r
    s = r + r * q * ((((_P0 * q + _P1) * q + _P2) * q + _P3) * q + _P4)
    return s * s


@_kernel("void(float32[:,::1], float32[:,::1], float32[:,::1], int64, float32[:,::1], float32[:,::1], float32[:,::1])")
def snake_depthwise_snake(  # noqa: PLR0917 - calls would cost a third
    held: Any, block: Any, table: Any, dilation: int, active: Any, out: Any, past: Any
) -> None:
    """Write `snake(depthwise(snake(x)))` to `out [m, C]` and x plus the last bias, at the middle tap, to `past [m, C]`.

    x is `held [h, C]`, `block [n, C]` and zeros up to the `m + 6 * dilation` steps of the workspace `active`.
    """
    h, n, channels = held.shape[0], block.shape[0], block.shape[1]
    ready = 0
    for i in range(out.shape[0]):
        while ready <= i + 6 * dilation:
            if ready < h:
                for j in range(channels):
                    v = held[ready, j]
                    active[ready, j] = v + table[FIRST_SCALE, j] * _sin_squared(v * table[FIRST_ALPHA, j])
            elif ready < h + n:
                for j in range(channels):
                    v = block[ready - h, j]
                    active[ready, j] = v + table[FIRST_SCALE, j] * _sin_squared(v * table[FIRST_ALPHA, j])
            else:
                active[ready, :] = _f(0)
            ready += 1
        for j in range(channels):
            v = table[BIAS, j] + table[0, j] * active[i, j]
            v += table[1, j] * active[i + dilation, j]
            v += table[2, j] * active[i + 2 * dilation, j]
            v += table[3, j] * active[i + 3 * dilation, j]
            v += table[4, j] * active[i + 4 * dilation, j]
            v += table[5, j] * active[i + 5 * dilation, j]
            v += table[6, j] * active[i + 6 * dilation, j]
            out[i, j] = v + table[SECOND_SCALE, j] * _sin_squared(v * table[SECOND_ALPHA, j])
        middle = i + 3 * dilation
        if middle < h:
            for j in range(channels):
                past[i, j] = held[middle, j] + table[OUT_BIAS, j]
        else:
            for j in range(channels):
                past[i, j] = block[middle - h, j] + table[OUT_BIAS, j]
