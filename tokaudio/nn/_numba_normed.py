"""Compiled passes of normalised signals: sums for the statistics, and norm, sum and ELU on the way to a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokaudio.nn._numba_kernels import _kernel
from tokaudio.nn._numba_recurrent import _expm1

_f = np.float32
# Sums that run side by side, and values that enter each of them at a time.
_SUMS, _STEP = 32, 8


@_kernel("void(float32[::1], float64[::1])")
def add_moments(x: Any, out: Any) -> None:
    """Add the sum and the sum of squares of x, in float64, to the two numbers of `out`."""
    sums, squares = np.zeros(_SUMS), np.zeros(_SUMS)
    whole = x.shape[0] // (_SUMS * _STEP) * (_SUMS * _STEP)
    for i in range(0, whole, _SUMS * _STEP):
        for j in range(_SUMS):
            a, b = np.float64(x[i + j]), np.float64(x[i + _SUMS + j])
            c, d = np.float64(x[i + 2 * _SUMS + j]), np.float64(x[i + 3 * _SUMS + j])
            e, f = np.float64(x[i + 4 * _SUMS + j]), np.float64(x[i + 5 * _SUMS + j])
            g, h = np.float64(x[i + 6 * _SUMS + j]), np.float64(x[i + 7 * _SUMS + j])
            sums[j] += ((a + b) + (c + d)) + ((e + f) + (g + h))
            squares[j] += ((a * a + b * b) + (c * c + d * d)) + ((e * e + f * f) + (g * g + h * h))
    for i in range(whole, x.shape[0]):
        v = np.float64(x[i])
        sums[i % _SUMS] += v
        squares[i % _SUMS] += v * v
    for j in range(_SUMS):
        out[0] += sums[j]
        out[1] += squares[j]


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
