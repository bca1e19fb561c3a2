"""The compiled half of `depthwise_unit`: Snake, depthwise convolution and Snake in one pass over memory."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from tokaudio.nn._numba_kernels import _kernel, sine

# Rows of the table of parameters, one column per channel: seven taps, then these.
BIAS, FIRST_ALPHA, FIRST_SCALE, SECOND_ALPHA, SECOND_SCALE, OUT_BIAS, ROWS = range(7, 14)


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def _sin_squared(t: Any) -> Any:
    s = sine(t)
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
                active[ready, :] = np.float32(0)
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
