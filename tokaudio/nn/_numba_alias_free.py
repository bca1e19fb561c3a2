"""The compiled half of `alias_free`: up by two, SnakeBeta, down by two, over a few rows at a time."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from tokaudio.nn._numba_kernels import _kernel, sine

# Channels and rows that are worked on together: what is made of them stays in the first-level cache.
_W, _ROWS = 48, 48
# Pairs of the doubled signal that are needed before and after that of an output row.
_PAIRS = 3


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def _snake(v: Any, alpha: Any, scale: Any) -> Any:
    s = sine(v * alpha)
    return v + scale * (s * s)


@_kernel("void(float32[:,::1], int64, int64, float32[:,::1])")
def _copied(x: Any, first: int, left: int, rows: Any) -> None:
    """Write the rows of `x` from `first` on, `_W` channels from `left` on; beyond its ends the outermost row."""
    width = min(_W, x.shape[1] - left)
    for i in range(rows.shape[0]):
        row = min(max(first + i, 0), x.shape[0] - 1)
        for j in range(width):
            rows[i, j] = x[row, left + j]


@_kernel("void(float32[:,::1], float32[::1], float32[:,::1], float32[:,::1])")
def _doubled(rows: Any, taps: Any, curve: Any, pairs: Any) -> None:
    """Write SnakeBeta of two values per row, each from six of the seven rows around it."""
    t0, t1, t2, t3, t4, t5 = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
    t6, t7, t8, t9, t10, t11 = taps[6], taps[7], taps[8], taps[9], taps[10], taps[11]
    two = np.float32(2)
    for i in range(pairs.shape[0] // 2):
        # One loop for each of the two: what writes to two rows at once is not made into vector instructions.
        for j in range(_W):
            v = t11 * rows[i, j] + t9 * rows[i + 1, j]
            v += t7 * rows[i + 2, j]
            v += t5 * rows[i + 3, j]
            v += t3 * rows[i + 4, j]
            v += t1 * rows[i + 5, j]
            pairs[2 * i, j] = _snake(two * v, curve[0, j], curve[1, j])
        for j in range(_W):
            v = t10 * rows[i + 1, j] + t8 * rows[i + 2, j]
            v += t6 * rows[i + 3, j]
            v += t4 * rows[i + 4, j]
            v += t2 * rows[i + 5, j]
            v += t0 * rows[i + 6, j]
            pairs[2 * i + 1, j] = _snake(two * v, curve[0, j], curve[1, j])


@_kernel("void(float32[:,::1], int64, int64)")
def _continued(pairs: Any, before: int, after: int) -> None:
    """Repeat the first and the last value of the signal in the pairs that lie `before` it and from `after` on."""
    for i in range(2 * min(before, pairs.shape[0] // 2)):
        for j in range(_W):
            pairs[i, j] = pairs[2 * before, j]
    for i in range(2 * max(after, 0), pairs.shape[0]):
        for j in range(_W):
            pairs[i, j] = pairs[2 * after - 1, j]


@_kernel("void(float32[:,::1], float32[::1], float32[:,::1])")
def _halved(pairs: Any, taps: Any, rows: Any) -> None:
    """Write one row for each pair, from the twelve values around it."""
    t0, t1, t2, t3, t4, t5 = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
    t6, t7, t8, t9, t10, t11 = taps[6], taps[7], taps[8], taps[9], taps[10], taps[11]
    for i in range(rows.shape[0]):
        at = 2 * i
        for j in range(_W):
            v = t0 * pairs[at + 1, j] + t1 * pairs[at + 2, j]
            v += t2 * pairs[at + 3, j]
            v += t3 * pairs[at + 4, j]
            v += t4 * pairs[at + 5, j]
            v += t5 * pairs[at + 6, j]
            v += t6 * pairs[at + 7, j]
            v += t7 * pairs[at + 8, j]
            v += t8 * pairs[at + 9, j]
            v += t9 * pairs[at + 10, j]
            v += t10 * pairs[at + 11, j]
            v += t11 * pairs[at + 12, j]
            rows[i, j] = v


@_kernel("void(float32[:,::1], int64, float32[::1], float32[::1], float32[::1], float32[:,::1])")
def alias_free(x: Any, first: int, taps: Any, alpha: Any, scale: Any, out: Any) -> None:  # noqa: PLR0917
    """Write the rows of `[n, C]` from `first` on; where `x` ends, its last row goes on, and so at its start.

    Pair t of the doubled signal are its values 2t and 2t + 1. A pair needs the rows t - 3 to t + 3, an output row the
    pairs t - 3 to t + 3. `taps` are the twelve of the filter.
    """
    count, channels, halo = out.shape[0], x.shape[1], 2 * _PAIRS
    rows = np.zeros((_ROWS + halo, _W), np.float32)
    pairs = np.zeros((2 * (_ROWS + halo), _W), np.float32)
    curve = np.zeros((2, _W), np.float32)
    for left in range(0, channels, _W):
        width = min(_W, channels - left)
        for j in range(width):
            curve[0, j], curve[1, j] = alpha[left + j], scale[left + j]
        # The pairs before those of the rows at hand; afterwards, the last six are kept.
        start = first - _PAIRS
        _copied(x, start - _PAIRS, left, rows[: 2 * halo])
        _doubled(rows, taps, curve, pairs[: 2 * halo])
        for at in range(0, count, _ROWS):
            m = min(_ROWS, count - at)
            _copied(x, start + at + halo - _PAIRS, left, rows[: m + halo])
            _doubled(rows, taps, curve, pairs[2 * halo : 2 * (m + halo)])
            _continued(pairs[: 2 * (m + halo)], -(start + at), x.shape[0] - (start + at))
            _halved(pairs, taps, rows[:m])
            for i in range(m):
                for j in range(width):
                    out[at + i, left + j] = rows[i, j]
            for i in range(2 * halo):
                for j in range(_W):
                    pairs[i, j] = pairs[2 * m + i, j]
