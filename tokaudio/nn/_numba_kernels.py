"""The compiled halves of `kernels`: plain loops that the compiler turns into vector instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

_f = np.float32
# pi in three parts whose first ones have so few bits that multiples of them are exact (Cody and Waite 1980).
_PI = tuple(map(_f, (3.140625, 0.0009670257568359375, 6.2771141529083252e-07)))
_INV_PI, _ROUND = _f(0.31830988618379067), _f(12582912.0)
# sin(r) = r + r^3 P(r^2) on [-pi/2, pi/2], least squares with equal ripple; off by at most 6e-9.
_P = tuple(map(_f, (-2.3889859e-08, 2.7525562e-06, -0.00019840874, 0.0083333310, -0.16666667)))


def _kernel(signature: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    # Only fused multiply-add is allowed to the compiler: anything more would change sums from machine to machine.
    compiled: Callable[[Callable[..., None]], Callable[..., None]] = numba.njit(
        signature, fastmath={"contract"}, nogil=True, error_model="numpy", cache=True
    )
    return compiled


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def sine(t: Any) -> Any:
    """Return `sin(t)` or `-sin(t)`, whose squares are the same: so no quadrants are needed."""
    k = (t * _INV_PI + _ROUND) - _ROUND
    r = ((t - k * _PI[0]) - k * _PI[1]) - k * _PI[2]
    q = r * r
    p = (((_P[0] * q + _P[1]) * q + _P[2]) * q + _P[3]) * q + _P[4]
    return r + r * q * p


@_kernel("void(float32[:,::1], float32[::1], float32[::1], float32[:,::1])")
def snake(x: Any, alpha: Any, scale: Any, out: Any) -> None:
    """Write `x + scale * sin(alpha * x) ** 2` of `[n, C]`."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = x[i, j]
            s = sine(v * alpha[j])
            out[i, j] = v + scale[j] * s * s


@_kernel("void(float32[:,::1], float32[:,::1], float32[::1], int64, int64, float32[:,::1])")
def depthwise(x: Any, weight: Any, bias: Any, stride: int, dilation: int, out: Any) -> None:  # noqa: PLR0917
    """Write the convolution of every channel of `[n, C]` with its taps `[k, C]`."""
    for i in range(out.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = bias[j]
        for tap in range(weight.shape[0]):
            at = i * stride + tap * dilation
            for j in range(x.shape[1]):
                out[i, j] += weight[tap, j] * x[at, j]
