"""The compiled halves of `hifigan`: Snake beside a leaky ReLU, and a transposed convolution of pairs of channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokaudio.nn._numba_kernels import _kernel, sine

_ZERO = np.float32(0)


@_kernel("void(float32[:,::1], float32[::1], float32[::1], float32[::1], float32[:,::1])")
def half_snake(x: Any, alpha: Any, scale: Any, slope: Any, out: Any) -> None:
    """Write `y + scale * sin(alpha * x) ** 2` of `[n, C]`; y is x, times the slope where it is negative.

    One formula for all channels, so that vectors of them may hold both kinds: a Snake has slope 1, a ReLU scale 0.
    """
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = x[i, j]
            s = sine(v * alpha[j])
            out[i, j] = max(v, _ZERO) + slope[j] * min(v, _ZERO) + scale[j] * s * s


@_kernel("void(float32[:,:,::1], float32[:,:,:,::1], float32[::1], float32[:,:,::1])")
def spread_pairs(steps: Any, taps: Any, bias: Any, out: Any) -> None:
    """Write what lies between steps `[2, n + 1, D]`, `[n, s, D]`, of taps `[2, 2, s, D]`: now or before, which of two.

    Every channel of `out` is the sum over its two channels of the step itself times the first s taps and of the step
    before times the last s.
    """
    first, second = steps[0], steps[1]
    for i in range(out.shape[0]):
        for t in range(out.shape[1]):
            for j in range(out.shape[2]):
                now = taps[0, 0, t, j] * first[i + 1, j] + taps[0, 1, t, j] * second[i + 1, j]
                then = taps[1, 0, t, j] * first[i, j] + taps[1, 1, t, j] * second[i, j]
                out[i, t, j] = bias[j] + (now + then)
