"""Convolutions over time, with the paddings that published codecs use, on whole signals and block by block.

On blocks they compute in the layout and by the product that is fastest on a CPU for their shape: a picture of height
one with channels last for small kernels, a sum of plain matrix products for wide ones and for those with a stride. A
transposed convolution of stride s is an ordinary one with s times the channels, whose result is read as s times the
steps.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn import kernels

Padding = Literal["zeros", "reflect", "replicate"]

# From so many weights per tap on, plain matrix products beat the convolution routines (measured on AVX-512).
_WIDE = 512 * 512


class Conv1d(nn.Module):
    """Convolution over time with explicit padding at both ends.

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: taps.
        stride: steps of input per step of output.
        dilation: distance of the taps.
        groups: 1, or `in_channels` for a depthwise convolution.
        bias: whether there is one.
        padding: steps added before and after the signal; see [`causal`][tokaudio.nn.conv.causal] and
            [`centred`][tokaudio.nn.conv.centred].
        mode: what they hold.
        fit: add as many steps at the end as the last stride needs to be complete, as the EnCodec family does.

    Shape:
        input `[B, C, T]`, output `[B, D, T']`.

    Example:
        >>> Conv1d(2, 3, 7, padding=(3, 3))(torch.zeros(1, 2, 10)).shape
        torch.Size([1, 3, 10])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        padding: tuple[int, int] = (0, 0),
        mode: Padding = "zeros",
        fit: bool = False,
    ) -> None:
        super().__init__()
        if groups not in (1, in_channels):
            raise ValueError(f"groups must be 1 or {in_channels} (depthwise), got {groups}")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding, self.mode, self.fit = padding, mode, fit
        # Stored as [D, taps, C], the layout of both fast products, and seen as PyTorch's [D, C, taps].
        stored = torch.empty(out_channels, kernel_size, in_channels // groups)
        nn.init.uniform_(stored, -((stored[0].numel()) ** -0.5), stored[0].numel() ** -0.5)
        self.weight = nn.Parameter(stored.transpose(1, 2))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    @property
    def span(self) -> int:
        """Steps from the first tap to the last, both counted."""
        return (self.kernel_size - 1) * self.dilation + 1

    def end_padding(self, length: int) -> int:
        """Return the steps added after a signal of `length` steps."""
        if not self.fit:
            return self.padding[1]
        padded = length + sum(self.padding) - self.span
        return self.padding[1] + -padded % self.stride if padded > 0 else self.padding[1] - padded

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `[B, C, T]` to `[B, D, T']`."""
        x = pad(x.transpose(1, 2), self.padding[0], self.end_padding(x.shape[2]), self.mode).transpose(1, 2)
        return F.conv1d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def stage(self) -> ConvStage:
        """Return a fresh stage."""
        return ConvStage(self)

    def valid(self, steps: Tensor) -> Tensor:
        """Convolve `[n, C]` without padding to `[m, D]`."""
        m = (len(steps) - self.span) // self.stride + 1
        if m <= 0:
            return steps.new_empty(0, self.out_channels)
        if self.groups > 1:
            return kernels.depthwise(
                steps, self.weight[:, 0], self.bias, stride=self.stride, dilation=self.dilation, count=m
            )
        if self.in_channels == 1:
            taps = steps.flatten().unfold(0, self.span, self.stride)[:, :: self.dilation]
            return _affine(self.bias, taps.contiguous(), self.weight[:, 0].T)
        if self.out_channels == 1:
            return self._to_one(steps, m)
        wide = self.kernel_size == 1 or self.in_channels * self.out_channels >= _WIDE
        fastest = self._by_products if wide else self._by_picture
        return (self._by_rows if self.stride > 1 and self.dilation == 1 else fastest)(steps, m)

    def _by_rows(self, steps: Tensor, m: int) -> Tensor:
        """As many steps as the stride, side by side, are one row of a product: taps of one stride after the other."""
        steps, row = steps.contiguous(), self.stride * self.in_channels
        weight = laid_out(self.weight).transpose(1, 2).flatten(1)
        out: Tensor | None = None
        for number, columns in enumerate(weight.split(row, dim=1)):
            taps = columns.shape[1]
            rows = steps.as_strided((m, taps), (row, 1), steps.storage_offset() + number * row)
            out = _affine(self.bias, rows, columns.T) if out is None else out.addmm_(rows, columns.T)
        assert out is not None
        return out

    def _by_picture(self, steps: Tensor, m: int) -> Tensor:
        picture = steps[: (m - 1) * self.stride + self.span].T[None, :, None]
        weight = laid_out(self.weight)[:, :, None]
        out = F.conv2d(picture, weight, self.bias, (1, self.stride), 0, (1, self.dilation))
        return out[0, :, 0].T

    def _by_products(self, steps: Tensor, m: int) -> Tensor:
        weight = laid_out(self.weight)
        reach = (m - 1) * self.stride + 1
        out = _affine(self.bias, steps[: reach : self.stride], weight[:, :, 0].T)
        for tap in range(1, self.kernel_size):
            at = tap * self.dilation
            out.addmm_(steps[at : at + reach : self.stride], weight[:, :, tap].T)
        return out

    def _to_one(self, steps: Tensor, m: int) -> Tensor:
        """One channel out: all taps in one product `[n, taps]`, added along its diagonals."""
        products = steps @ self.weight[0]
        reach = (m - 1) * self.stride + 1
        out = products[: reach : self.stride, 0].clone()
        for tap in range(1, self.kernel_size):
            at = tap * self.dilation
            out += products[at : at + reach : self.stride, tap]
        return (out if self.bias is None else out.add_(self.bias))[:, None]


def causal(kernel_size: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Return the padding of a causal convolution: all of it before the signal.

    Example:
        >>> causal(7), causal(4, stride=2)
        ((6, 0), (2, 0))
    """
    return (kernel_size - 1) * dilation + 1 - stride, 0


def centred(kernel_size: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Return the padding of a centred convolution in the EnCodec family: the odd step goes before the signal.

    Example:
        >>> centred(7), centred(4, stride=2), centred(10, stride=5)
        ((3, 3), (1, 1), (3, 2))
    """
    total = (kernel_size - 1) * dilation + 1 - stride
    return total - total // 2, total // 2


class ConvStage:
    """A convolution in the course of one signal."""

    def __init__(self, conv: Conv1d) -> None:
        self._conv = conv
        self._held: Tensor | None = None
        self._started = False
        self._length = 0
        # Steps at the front of what is held that are done with, and kept only to be reflected at the end.
        self._spent = 0

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to `[m, D]`."""
        conv = self._conv
        self._length += len(block)
        held = self._joined(block)
        left, right = conv.padding[0], conv.end_padding(self._length) if last else 0
        if not self._started:
            # A reflection needs the steps that it mirrors, on both sides where the signal is short.
            if not last and len(held) <= (sum(conv.padding) + conv.stride if conv.mode == "reflect" else 0):
                self._held = held
                return block.new_empty(0, conv.out_channels)
            self._started = True
            held = pad(held, left, right, conv.mode) if len(held) else held
        elif right:
            held = pad(held, 0, right, conv.mode)
        if right < 0:
            held = held[:right]
        ready = held[self._spent :]
        out = conv.valid(ready)
        if last:
            self._held = None
            return out
        mirrored = conv.padding[1] + conv.stride if conv.mode == "reflect" else int(conv.mode == "replicate")
        done = self._spent + len(out) * conv.stride
        keep = max(0, min(done, len(held) - mirrored))
        self._held, self._spent = held[keep:].clone(), done - keep
        return out

    def _joined(self, block: Tensor) -> Tensor:
        """Return what is held and the next block `[n, C]`."""
        return block if self._held is None or not len(self._held) else torch.cat([self._held, block])


def pad(steps: Tensor, left: int, right: int, mode: Padding) -> Tensor:
    """Return `[..., T, C]` with steps added at both ends.

    A signal too short to be reflected is first made longer with zeros, which are taken off again, as EnCodec does.

    Example:
        >>> pad(torch.tensor([[1.0], [2.0], [3.0]]), 2, 1, "reflect").T
        tensor([[3., 2., 1., 2., 3., 2.]])
    """
    if left == 0 and right <= 0:
        return steps
    length = steps.shape[-2]
    before, after = (*steps.shape[:-2], left, steps.shape[-1]), (*steps.shape[:-2], max(right, 0), steps.shape[-1])
    if mode == "zeros":
        parts = [steps.new_zeros(before), steps, steps.new_zeros(after)]
    elif mode == "replicate":
        parts = [steps[..., :1, :].expand(before), steps, steps[..., -1:, :].expand(after)]
    else:
        short = max(0, max(left, right) - length + 1)
        longer = torch.cat([steps, steps.new_zeros(*steps.shape[:-2], short, steps.shape[-1])], -2) if short else steps
        end = length + short
        start = longer[..., 1 : left + 1, :].flip(-2)
        mirrored = longer[..., end - 1 - right : end - 1, :].flip(-2) if right > 0 else longer[..., :0, :]
        return torch.cat([start, longer, mirrored], -2)[..., : left + length + max(right, 0), :]
    return torch.cat(parts, -2)


class ConvTranspose1d(nn.Module):
    """Transposed convolution over time, cut at both ends.

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: taps, at least the stride.
        stride: steps of output per step of input.
        trim: steps cut off before and after; the full result has `(T - 1) * stride + kernel_size`.
        bias: whether there is one.

    Shape:
        input `[B, C, T]`, output `[B, D, (T - 1) * stride + kernel_size - sum(trim)]`.

    Example:
        >>> ConvTranspose1d(3, 2, 4, stride=2, trim=(1, 1))(torch.zeros(1, 3, 5)).shape
        torch.Size([1, 2, 10])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int,
        trim: tuple[int, int] = (0, 0),
        bias: bool = True,
    ) -> None:
        super().__init__()
        if kernel_size < stride:
            raise ValueError(f"kernel_size must be {stride} at least at stride {stride}, got {kernel_size}")
        if min(trim) < 0 or trim[1] > kernel_size - stride:
            raise ValueError(f"trim must be from 0, and at most {kernel_size - stride} at the end, got {trim}")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.trim = stride, trim
        # Stored as [C, taps, D], so that s taps are s * D columns of a matrix, and seen as PyTorch's [C, D, taps].
        stored = torch.empty(in_channels, kernel_size, out_channels)
        nn.init.uniform_(stored, -((in_channels * 2) ** -0.5), (in_channels * 2) ** -0.5)
        self.weight = nn.Parameter(stored.transpose(1, 2))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, D, T']`."""
        full = F.conv_transpose1d(x, self.weight, self.bias, self.stride)
        return full[..., self.trim[0] : full.shape[-1] - self.trim[1]]

    def stage(self) -> ConvTransposeStage:
        """Return a fresh stage."""
        return ConvTransposeStage(self)

    def spread(self, steps: Tensor) -> Tensor:
        """Map `[past + n, C]` to the `n * stride` steps `[., D]` of the last n, which the first ones reach into."""
        weight, s, d = laid_out(self.weight).transpose(1, 2).flatten(1), self.stride, self.out_channels
        bias = None if self.bias is None else self.bias.repeat(s)
        before = past(self)
        now, *earlier = weight.split(s * d, dim=1)
        out = _affine(bias, steps[before:], now)
        for delay, taps in enumerate(earlier, 1):
            rows = steps[before - delay : len(steps) - delay]
            if taps.shape[1] == s * d:
                out.addmm_(rows, taps)
            else:
                out[:, : taps.shape[1]].addmm_(rows, taps)
        return out.view(-1, d)


def past(conv: ConvTranspose1d) -> int:
    """Return how many steps before a step reach into its steps of output, one at least.

    Example:
        >>> past(ConvTranspose1d(1, 1, 10, stride=5)), past(ConvTranspose1d(1, 1, 11, stride=5))
        (1, 2)
    """
    return max(1, -(-conv.kernel_size // conv.stride) - 1)


class ConvTransposeStage:
    """A transposed convolution in the course of one signal."""

    def __init__(self, conv: ConvTranspose1d) -> None:
        self._conv = conv
        self._before: Tensor | None = None
        self._skip = conv.trim[0]
        self._total = 0

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to `[m, D]`."""
        conv, before = self._conv, past(self._conv)
        self._total += len(block)
        parts = [block.new_zeros(before, conv.in_channels) if self._before is None else self._before, block]
        if last and self._total:
            parts.append(block.new_zeros(before, conv.in_channels))
        steps = torch.cat(parts)
        if len(steps) <= before:
            return block.new_empty(0, conv.out_channels)
        out = conv.spread(steps)
        if last:
            out = out[: len(out) - ((before + 1) * conv.stride - conv.kernel_size + conv.trim[1])]
        else:
            self._before = steps[-before:].clone()
        cut = min(self._skip, len(out))
        self._skip -= cut
        return out[cut:]


def laid_out(weight: Tensor) -> Tensor:
    """Return a weight `[A, B, taps]` whose memory is `[A, taps, B]`, which is what both fast products need.

    Example:
        >>> laid_out(torch.zeros(4, 3, 7)).stride()
        (21, 1, 3)
    """
    if weight.stride(1) == 1 and weight.stride(2) == weight.shape[1]:
        return weight
    weight.data = weight.data.transpose(1, 2).contiguous().transpose(1, 2)
    return weight


def _affine(bias: Tensor | None, rows: Tensor, matrix: Tensor) -> Tensor:
    return rows @ matrix if bias is None else torch.addmm(bias, rows, matrix)
