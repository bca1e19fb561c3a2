"""Convolutions of 3 taps from 6 products for every 4 steps, where the definition takes 12.

Winograd 1980; Lavin and Gray 2015 (arXiv:1509.09308, section 4): F(4, 3) with the points 0, 1, -1, 2, -2 and infinity.
Rounding is a few times that of plain sums.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tokaudio.nn.compiled import compiled

TAPS = 3
# Steps computed at a time, and how a filter of 3 taps [3] becomes the 6 factors of the products.
TILE = 4
FILTER = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
# Below so many channels, or steps, a product is too small for the transforms to pay.
_LEAST_CHANNELS, _LEAST_STEPS = 32, 256
# Steps that are transformed together, a multiple of the tile: what is made of them stays in the cache.
_SLICE = 1024


def pays(steps: Tensor, outputs: int) -> bool:
    """Return whether steps `[n, C]` are best convolved this way to so many channels, and can be here.

    Example:
        >>> pays(torch.zeros(100, 8), 64)
        False
    """
    if len(steps) < _LEAST_STEPS or min(steps.shape[1], outputs) < _LEAST_CHANNELS or torch.is_grad_enabled():
        return False
    return steps.device.type == "cpu" and steps.dtype == torch.float32 and compiled("winograd") is not None


@torch.no_grad()
def factors_of(weight: Tensor) -> Tensor:
    """Return the factors `[6, C, D]` of a convolution's weight `[D, C, 3]`.

    Example:
        >>> factors_of(torch.zeros(5, 4, 3)).shape
        torch.Size([6, 4, 5])
    """
    filters, exact = torch.tensor(FILTER, dtype=torch.float64), weight.double()
    factors = torch.empty(len(FILTER), weight.shape[1], weight.shape[0])
    # One after the other: all of them in float64 would be the most memory that a decoder ever takes.
    for row, factor in zip(filters, factors, strict=True):
        factor.copy_((exact @ row).T)
    return factors


def three_taps(steps: Tensor, factors: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """Write the convolution of `[4 t + 2, C]` without padding to `[4 t, D]`.

    Example:
        >>> weight, out = torch.rand(32, 32, 3), torch.empty(64, 32)
        >>> three_taps(torch.ones(66, 32), factors_of(weight), None, out)
        >>> torch.allclose(out[9], weight.sum((1, 2)), rtol=1e-4)
        True
    """
    loops, (_, inputs, outputs) = compiled("winograd"), factors.shape
    tiles = len(out) // TILE
    spread = steps.new_empty(len(FILTER), tiles, inputs)
    loops.spread(steps.view(-1, 1, inputs).numpy(), spread.numpy())
    products = steps.new_empty(len(FILTER), tiles, outputs)
    for rows, factor, product in zip(spread, factors, products, strict=True):
        torch.mm(rows, factor, out=product)
    bias = steps.new_zeros(outputs) if bias is None else bias.detach()
    loops.gather(products.numpy(), bias.numpy(), out.numpy())


def centred(steps: Tensor, factors: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of a whole signal `[n, C]`, with a zero at both ends, `[n, D]`.

    Example:
        >>> weight, steps = torch.rand(32, 32, 3), torch.rand(70, 32)
        >>> wanted = torch.nn.functional.conv1d(steps.T[None], weight, None, padding=1)[0].T
        >>> torch.allclose(centred(steps, factors_of(weight), None), wanted, rtol=1e-4)
        True
    """
    count, steps = len(steps), steps.contiguous()
    whole = -(-count // TILE) * TILE
    out = steps.new_empty(whole, factors.shape[2])
    for start in range(0, whole, _SLICE):
        stop = min(start + _SLICE, whole)
        if start and stop < count:
            rows = steps[start - 1 : stop + 1]
        else:
            rows = steps.new_zeros(stop - start + 2, steps.shape[1])
            given = steps[max(0, start - 1) : stop + 1]
            first = 0 if start else 1
            rows[first : first + len(given)] = given
        three_taps(rows, factors, bias, out[start:stop])
    return out[:count]
