"""Compiled loops of recurrent layers and of ELU: full vector width, weights read once per step and in order."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from tokaudio.nn._numba_kernels import _kernel

_f = np.float32
_LOG2E, _ROUND = _f(1.4426950408889634), _f(12582912.0)
# log(2) in two parts, the first with so few bits that its multiples are exact (Cody and Waite 1980).
_LN2_HIGH, _LN2_LOW = _f(0.693359375), _f(-2.12194440e-4)
# exp(r) - 1 = r + r^2 P(r) on [-log(2)/2, log(2)/2]: Taylor's terms, off by at most 4e-9.
_E = tuple(map(_f, (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2)))

# Hidden units that are computed together: four gates of them are one cache-resident row of sums.
UNITS = 32
_WIDTH = 4 * UNITS


@numba.njit(inline="always")
def _expm1(x: Any) -> Any:
    """Return `exp(x) - 1` for x <= 0, to the last bits of float32 also near 0."""
    x = max(x, _f(-87.0))
    k = (x * _LOG2E + _ROUND) - _ROUND
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    p = ((((_E[0] * r + _E[1]) * r + _E[2]) * r + _E[3]) * r + _E[4]) * r + _E[5]
    power = np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)
    return power * (r + r * r * p) + (power - _f(1.0))


@numba.njit(inline="always")
def _sigmoid(x: Any) -> Any:
    e = _expm1(-abs(x)) + _f(1.0)
    s = _f(1.0) / (_f(1.0) + e)
    return s if x >= _f(0.0) else e * s


@numba.njit(inline="always")
def _tanh(x: Any) -> Any:
    e = _expm1(_f(-2.0) * abs(x))
    t = -e / (_f(2.0) + e)
    return t if x >= _f(0.0) else -t


@_kernel("void(float32[::1], float32[::1])")
def elu(x: Any, out: Any) -> None:
    """Write x where it is positive, else `exp(x) - 1`."""
    for i in range(x.shape[0]):
        v = x[i]
        e = _expm1(min(v, _f(0.0)))
        out[i] = v if v > _f(0.0) else e


@_kernel("void(float32[::1])")
def elu_in_place(x: Any) -> None:
    """Replace x where it is negative by `exp(x) - 1`."""
    for i in range(x.shape[0]):
        v = x[i]
        e = _expm1(min(v, _f(0.0)))
        x[i] = v if v > _f(0.0) else e


@_kernel("void(float32[:,::1], float32[:,:,::1], float32[::1], float32[::1], float32[:,::1])")
def lstm(inputs: Any, weight: Any, hidden: Any, cell: Any, out: Any) -> None:
    """Run one layer over `[n, blocks * _WIDTH]` input products, laid out as `pack` does it; states are updated.

    `weight` is `[blocks, H, _WIDTH]`. Blocks are walked forwards and backwards in turns: what was read last is still in
    the cache when the next step begins. Every sum has the same order either way.
    """
    blocks, size = weight.shape[0], weight.shape[1]
    sums = np.empty(_WIDTH, np.float32)
    for step in range(inputs.shape[0]):
        for number in range(blocks):
            b = number if step % 2 == 0 else blocks - 1 - number
            w = weight[b]
            for j in range(_WIDTH):
                sums[j] = inputs[step, b * _WIDTH + j]
            for k in range(0, size, 8):
                h0, h1, h2, h3 = hidden[k], hidden[k + 1], hidden[k + 2], hidden[k + 3]
                h4, h5, h6, h7 = hidden[k + 4], hidden[k + 5], hidden[k + 6], hidden[k + 7]
                for j in range(_WIDTH):
                    a = w[k, j] * h0 + w[k + 1, j] * h1
                    a += w[k + 2, j] * h2
                    a += w[k + 3, j] * h3
                    a += w[k + 4, j] * h4
                    a += w[k + 5, j] * h5
                    a += w[k + 6, j] * h6
                    a += w[k + 7, j] * h7
                    sums[j] += a
            for u in range(UNITS):
                at = b * UNITS + u
                i, f = _sigmoid(sums[u]), _sigmoid(sums[UNITS + u])
                g, o = _tanh(sums[2 * UNITS + u]), _sigmoid(sums[3 * UNITS + u])
                c = f * cell[at] + i * g
                cell[at] = c
                out[step, at] = o * _tanh(c)
        for k in range(size):
            hidden[k] = out[step, k]
