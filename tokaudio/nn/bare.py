"""Convolutions of a window without padding and without their bias, into memory that is there: `[n, C]` to `[m, D]`.

A product that writes its result is up to three times as fast as one that adds to a bias where channels are few. Whoever
normalises afterwards can take the bias into account there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.nn.compiled import compiled
from tokaudio.nn.conv import Conv1d, ConvTranspose1d, laid_out

# Up to so many channels in and taps times channels out, all taps are one product whose diagonals are added up.
_NARROW, _COLUMNS = 64, 128


def convolve(conv: Conv1d, window: Tensor, out: Tensor) -> None:
    """Write the convolution of a window `[n, C]` to `out` `[m, D]`.

    Example:
        >>> out = torch.empty(3, 2)
        >>> with torch.no_grad():
        ...     convolve(Conv1d(4, 2, 3), torch.zeros(5, 4), out)
        >>> out.abs().sum().item()
        0.0
    """
    weight, taps, dense = laid_out(conv.weight.detach()), conv.kernel_size, conv.groups == 1 and conv.dilation == 1
    if not dense:
        picture(conv, window, out)
    elif taps * conv.in_channels <= conv.out_channels or (conv.stride == 1 and conv.in_channels <= 4):
        shape, strides = (len(out), taps * conv.in_channels), (conv.stride * conv.in_channels, 1)
        torch.mm(window.as_strided(shape, strides).contiguous(), weight.transpose(1, 2).flatten(1).T, out=out)
    elif conv.stride == 1 and conv.in_channels <= _NARROW and 1 < taps * conv.out_channels <= _COLUMNS:
        columns = weight.permute(1, 2, 0).reshape(conv.in_channels, taps * conv.out_channels)
        add_diagonals(window @ columns, out)
    elif taps == 1 or conv.stride > 1:
        rows(weight.transpose(1, 2).flatten(1), conv.stride * conv.in_channels, window, out)
    else:
        picture(conv, window, out)


def spread(conv: ConvTranspose1d, window: Tensor, out: Tensor) -> None:
    """Write the steps `[n * stride, D]` between the first step of a window `[n + 1, C]` and after the last.

    Example:
        >>> out = torch.empty(4, 2)
        >>> with torch.no_grad():
        ...     spread(ConvTranspose1d(3, 2, 4, stride=2), torch.zeros(3, 3), out)
        >>> out.abs().sum().item()
        0.0
    """
    columns = laid_out(conv.weight.detach()).transpose(1, 2).flatten(1)
    wide = out.view(len(window) - 1, conv.stride * conv.out_channels)
    torch.mm(window[1:], columns[:, : wide.shape[1]], out=wide)
    rest = columns[:, wide.shape[1] :]
    if rest.shape[1]:
        wide[:, : rest.shape[1]].addmm_(window[:-1], rest)


def rows(weight: Tensor, row: int, window: Tensor, out: Tensor) -> None:
    """Write a strided convolution: as many numbers as a stride has are one row of a product, without a copy.

    Args:
        weight: `[D, taps * C]`.
        row: `stride * C`.
        window: `[n, C]`.
        out: `[m, D]`.

    Example:
        >>> out = torch.empty(2, 1)
        >>> rows(torch.ones(1, 3), 2, torch.arange(5.0)[:, None], out)
        >>> out.T
        tensor([[3., 9.]])
    """
    window = window.contiguous()
    for number, columns in enumerate(weight.split(row, dim=1)):
        strided = window.as_strided((len(out), columns.shape[1]), (row, 1), window.storage_offset() + number * row)
        if number:
            out.addmm_(strided, columns.T)
        else:
            torch.mm(strided, columns.T, out=out)


def picture(conv: Conv1d, window: Tensor, out: Tensor) -> None:
    """Write a convolution as that of a picture of height one with channels last.

    Example:
        >>> out = torch.empty(3, 2)
        >>> with torch.no_grad():
        ...     picture(Conv1d(4, 2, 3), torch.zeros(5, 4), out)
        >>> out.abs().sum().item()
        0.0
    """
    weight = laid_out(conv.weight.detach())[:, :, None]
    result = F.conv2d(window.T[None, :, None], weight, None, (1, conv.stride), 0, (1, conv.dilation), conv.groups)
    out.copy_(result[0, :, 0].T)


def add_diagonals(products: Tensor, out: Tensor) -> None:
    """Write the sums over taps of `products[step + tap, tap]`, `[m + taps - 1, taps * D]` to `[m, D]`.

    Example:
        >>> out = torch.empty(2, 1)
        >>> add_diagonals(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), out)
        >>> out.T
        tensor([[5., 9.]])
    """
    passes = compiled("normed") if out.device.type == "cpu" else None
    if passes is not None:
        passes.add_diagonals(products.numpy(), out.numpy())
        return
    columns = out.shape[1]
    out.copy_(products[: len(out), :columns])
    for tap in range(1, products.shape[1] // columns):
        out += products[tap : tap + len(out), tap * columns : (tap + 1) * columns]
