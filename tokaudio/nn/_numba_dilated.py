"""The compiled halves of `dilated_unit` and `prelu_unit`: Winograd's transforms, fused with what bends the signal."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from tokaudio.nn._numba_kernels import _kernel, sine, snake

__all__ = ["gather_prelu", "gather_snake", "snake", "spread"]

_0, _2, _4, _8 = map(np.float32, (0, 2, 4, 8))


@_kernel("void(float32[:,:,::1], float32[:,:,::1])")
def spread(x: Any, out: Any) -> None:
    """Write for every fourth row of `[4 n + 2, C]` the transform of the six that begin there, `[6, n, C]`.

    The middle axis of `x` is that of rows, the last one holds everything that is treated alike.
    """
    for g in range(out.shape[1]):
        at = 4 * g
        for j in range(out.shape[2]):
            a, b, c = x[at, 0, j], x[at + 1, 0, j], x[at + 2, 0, j]
            d, e, f = x[at + 3, 0, j], x[at + 4, 0, j], x[at + 5, 0, j]
            even, odd = e - _4 * c, d - _4 * b
            near, far = e - c, _2 * (d - b)
            out[0, g, j] = _4 * (a - c) + near
            out[1, g, j] = even + odd
            out[2, g, j] = even - odd
            out[3, g, j] = near + far
            out[4, g, j] = near - far
            out[5, g, j] = _4 * (b - d) + (f - d)


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def _row(m: Any, g: int, r: int, p: int, j: int) -> Any:
    """Return row `r` of the four that `m[:, g, p, j]` stands for."""
    sums, gaps = m[1, g, p, j] + m[2, g, p, j], m[1, g, p, j] - m[2, g, p, j]
    far_sums, far_gaps = m[3, g, p, j] + m[4, g, p, j], m[3, g, p, j] - m[4, g, p, j]
    if r == 0:
        y = m[0, g, p, j] + sums + far_sums
    elif r == 1:
        y = gaps + _2 * far_gaps
    elif r == 2:
        y = sums + _4 * far_sums
    else:
        y = gaps + _8 * far_gaps + m[5, g, p, j]
    return y


@_kernel("void(float32[:,:,:,::1], float32[::1], float32[::1], float32[::1], float32[:,:,:,::1])")
def gather_snake(m: Any, bias: Any, alpha: Any, scale: Any, out: Any) -> None:
    """Add to `out` `[n, 4, d, C]` the four rows that each of `m` `[6, n, d, C]` stands for, and the bias; Snake."""
    for g in range(out.shape[0]):
        for r in range(4):
            for p in range(out.shape[2]):
                for j in range(out.shape[3]):
                    v = _row(m, g, r, p, j) + out[g, r, p, j] + bias[j]
                    s = sine(v * alpha[j])
                    out[g, r, p, j] = v + scale[j] * s * s


@_kernel("void(float32[:,:,:,::1], float32[::1], float32, float32[:,:,:,::1])")
def gather_prelu(m: Any, bias: Any, slope: Any, out: Any) -> None:
    """Do the same with PReLU in the place of Snake."""
    for g in range(out.shape[0]):
        for r in range(4):
            for p in range(out.shape[2]):
                for j in range(out.shape[3]):
                    v = _row(m, g, r, p, j) + out[g, r, p, j] + bias[j]
                    out[g, r, p, j] = v if v > _0 else slope * v
