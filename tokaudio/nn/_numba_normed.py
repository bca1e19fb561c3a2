"""Compiled passes of normalised signals: sums for the statistics, and norm, sum and ELU on the way to a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokaudio.nn._numba_kernels import _kernel
from tokaudio.nn._numba_recurrent import _expm1

_f = np.float32
# Steps whose values are added up before they enter the sums.
_STEP = 8


@_kernel("void(float32[:,::1], float32[::1], float64[::1])")
def add_moments(x: Any, bias: Any, out: Any) -> None:
    """Add the sum and the sum of squares of `x + bias`, `[n, C]` and `[C]`, in float64 to the two numbers of `out`."""
    channels = x.shape[1]
    sums, squares = np.zeros(channels), np.zeros(channels)
    whole = x.shape[0] // _STEP * _STEP
    for i in range(0, whole, _STEP):
        for j in range(channels):
            z = bias[j]
            a, b = np.float64(x[i, j] + z), np.float64(x[i + 1, j] + z)
            c, d = np.float64(x[i + 2, j] + z), np.float64(x[i + 3, j] + z)
            e, f = np.float64(x[i + 4, j] + z), np.float64(x[i + 5, j] + z)
            g, h = np.float64(x[i + 6, j] + z), np.float64(x[i + 7, j] + z)
            sums[j] += ((a + b) + (c + d)) + ((e + f) + (g + h))
            squares[j] += ((a * a + b * b) + (c * c + d * d)) + ((e * e + f * f) + (g * g + h * h))
    for i in range(whole, x.shape[0]):
        for j in range(channels):
            v = np.float64(x[i, j] + bias[j])
            sums[j] += v
            squares[j] += v * v
    for j in range(channels):
        out[0] += sums[j]
        out[1] += squares[j]


@_kernel("void(float32[:,::1], float32[:,::1])")
def add_diagonals(products: Any, out: Any) -> None:
    """Write the sums over taps of `products[step + tap, tap]`, `[m + taps - 1, taps * D]` to `[m, D]`."""
    columns = out.shape[1]
    for i in range(out.shape[0]):
        for j in range(columns):
            out[i, j] = products[i, j]
        for tap in range(1, products.shape[1] // columns):
            for j in range(columns):
                out[i, j] += products[i + tap, tap * columns + j]


@_kernel("void(float32[:,::1], float32[::1], float32[::1], float32[:,::1])")
def affine(x: Any, scale: Any, shift: Any, out: Any) -> None:
    """Write `x * scale + shift` of `[n, C]`, per channel `[C]`."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] * scale[j] + shift[j]


@_kernel("void(float32[:,::1], float32[::1], float32[::1], float32[:,::1])")
def affine_elu(x: Any, scale: Any, shift: Any, out: Any) -> None:
    """Write ELU of what `affine` writes."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = x[i, j] * scale[j] + shift[j]
            e = _expm1(min(v, _f(0.0)))
            out[i, j] = v if v > _f(0.0) else e


@_kernel("void(float32[:,::1], float32[::1], float32[:,::1], float32[::1], float32[::1], float32[:,::1])")
def affine_sum(x: Any, scale: Any, y: Any, factor: Any, shift: Any, out: Any) -> None:  # noqa: PLR0917
    """Write `x * scale + y * factor + shift` of two `[n, C]`."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] * scale[j] + (y[i, j] * factor[j] + shift[j])


@_kernel("void(float32[:,::1], float32[::1], float32[:,::1], float32[::1], float32[::1], float32[:,::1])")
def affine_sum_elu(x: Any, scale: Any, y: Any, factor: Any, shift: Any, out: Any) -> None:  # noqa: PLR0917
    """Write ELU of what `affine_sum` writes."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = x[i, j] * scale[j] + (y[i, j] * factor[j] + shift[j])
            e = _expm1(min(v, _f(0.0)))
            out[i, j] = v if v > _f(0.0) else e
