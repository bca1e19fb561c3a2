"""The compiled loop of LSTM layers over signals side by side: weights are read once per step for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokaudio.nn._numba_kernels import _kernel
from tokaudio.nn._numba_recurrent import _WIDTH, UNITS, _sigmoid, _tanh


@_kernel(
    "void(float32[:,::1], int64[::1], float32[:,:,::1], float32[:,::1], float32[:,::1], float32[:,::1])",
)
def lstm(inputs: Any, starts: Any, weight: Any, hidden: Any, cell: Any, out: Any) -> None:  # noqa: PLR0917
    """Run one layer over signals, longest first, whose input products follow one another; states are updated.

    `starts [signals + 1]` says where each begins; `weight` is `[blocks, H, _WIDTH]`; states are `[signals, H]`. Every
    sum has the same order, however many signals there are. Blocks are walked forwards and backwards in turns, for what
    was read last is still in the cache.
    """
    blocks, size, active = weight.shape[0], weight.shape[1], starts.shape[0] - 1
    sums = np.empty((active, _WIDTH), np.float32)
    for step in range(starts[1] - starts[0]):
        while starts[active] - starts[active - 1] <= step:
            active -= 1
        for number in range(blocks):
            b = number if step % 2 == 0 else blocks - 1 - number
            w = weight[b]
            for lane in range(active):
                for j in range(_WIDTH):
                    sums[lane, j] = inputs[starts[lane] + step, b * _WIDTH + j]
            for k in range(0, size, 8):
                for lane in range(active):
                    h0, h1, h2, h3 = hidden[lane, k], hidden[lane, k + 1], hidden[lane, k + 2], hidden[lane, k + 3]
                    h4, h5, h6, h7 = hidden[lane, k + 4], hidden[lane, k + 5], hidden[lane, k + 6], hidden[lane, k + 7]
                    for j in range(_WIDTH):
                        a = w[k, j] * h0 + w[k + 1, j] * h1
                        a += w[k + 2, j] * h2
                        a += w[k + 3, j] * h3
                        a += w[k + 4, j] * h4
                        a += w[k + 5, j] * h5
                        a += w[k + 6, j] * h6
                        a += w[k + 7, j] * h7
                        sums[lane, j] += a
            for lane in range(active):
                for u in range(UNITS):
                    at = b * UNITS + u
                    i, f = _sigmoid(sums[lane, u]), _sigmoid(sums[lane, UNITS + u])
                    g, o = _tanh(sums[lane, 2 * UNITS + u]), _sigmoid(sums[lane, 3 * UNITS + u])
                    c = f * cell[lane, at] + i * g
                    cell[lane, at] = c
                    out[starts[lane] + step, at] = o * _tanh(c)
        for lane in range(active):
            for k in range(size):
                hidden[lane, k] = out[starts[lane] + step, k]
