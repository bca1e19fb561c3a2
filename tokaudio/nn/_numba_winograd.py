"""The compiled halves of `winograd`: its transforms of a signal and of the products."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokaudio.nn._numba_dilated import spread
from tokaudio.nn._numba_kernels import _kernel

__all__ = ["gather", "spread"]

_2, _4, _8 = map(np.float32, (2, 4, 8))


@_kernel("void(float32[:,:,::1], float32[::1], float32[:,::1])")
def gather(m: Any, bias: Any, out: Any) -> None:
    """Write the four rows that each of `m` `[6, n, D]` stands for, and the bias, to `out` `[4 n, D]`."""
    for g in range(m.shape[1]):
        at = 4 * g
        for j in range(m.shape[2]):
            sums, gaps = m[1, g, j] + m[2, g, j], m[1, g, j] - m[2, g, j]
            far_sums, far_gaps = m[3, g, j] + m[4, g, j], m[3, g, j] - m[4, g, j]
            b = bias[j]
            out[at, j] = m[0, g, j] + sums + far_sums + b
            out[at + 1, j] = gaps + _2 * far_gaps + b
            out[at + 2, j] = sums + _4 * far_sums + b
            out[at + 3, j] = gaps + _8 * far_gaps + m[5, g, j] + b
