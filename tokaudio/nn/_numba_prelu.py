"""The compiled way back of `prelu_unit`: Winograd's transform of the products, fused with PReLU."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokaudio.nn._numba_dilated import spread
from tokaudio.nn._numba_kernels import _kernel

__all__ = ["gather_prelu", "spread"]

_0, _2, _4, _8 = map(np.float32, (0, 2, 4, 8))


@_kernel("void(float32[:,:,:,::1], float32[::1], float32, float32[:,:,:,::1])")
def gather_prelu(m: Any, bias: Any, slope: Any, out: Any) -> None:
    """Add to `out` `[n, 4, d, C]` the four rows that each of `m` `[6, n, d, C]` stands for, and the bias; PReLU."""
    for g in range(out.shape[0]):
        for r in range(4):
            for p in range(out.shape[2]):
                for j in range(out.shape[3]):
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
                    v = y + out[g, r, p, j] + bias[j]
                    out[g, r, p, j] = v if v > _0 else slope * v
