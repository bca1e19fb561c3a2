"""The convolutions over samples (arXiv:2006.11477, section 2), in slices that stay in the processor's cache.

A group norm over time needs the mean and the variance of the first convolution's result before its first value can be
given. They follow exactly from those of the samples under its taps: with taps w, and mean m and covariance C of the
windows, the result has mean `w m` and variance `w C w`. The norm then becomes part of the convolution's own weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d
from tokaudio.nn.ssl.sizes import SpeechSizes
from tokaudio.nn.whole_signal import turned

# Steps of the first convolution's result that are computed together.
_STEPS = 4096
# Windows of samples whose products are summed together.
_WINDOWS = 65536


class FrontEnd(nn.Module):
    """Samples to vectors at the frame rate.

    Shape:
        input `[B, S]`, output `[B, T, C]`.

    Example:
        >>> sizes = SpeechSizes(conv_widths=(4, 4), conv_kernels=(10, 3), conv_strides=(5, 2))
        >>> FrontEnd(sizes)(torch.zeros(1, 100)).shape
        torch.Size([1, 9, 4])
    """

    def __init__(self, sizes: SpeechSizes) -> None:
        super().__init__()
        widths = (1, *sizes.conv_widths)
        shapes = zip(widths, widths[1:], sizes.conv_kernels, sizes.conv_strides, strict=False)
        self.convs = nn.ModuleList(
            StridedConv(before, after, kernel, stride=stride, bias=sizes.conv_bias)
            for before, after, kernel, stride in shapes
        )
        self.over_time = sizes.conv_norm == "group"
        self.norms = nn.ModuleList(
            nn.GroupNorm(width, width) if self.over_time else nn.LayerNorm(width)
            for width in sizes.conv_widths[: 1 if self.over_time else None]
        )

    def forward(self, waveform: Tensor, *, fill: bool = False) -> Tensor:
        """Map `[B, S]` to `[B, T, C]`; items of a batch are all of S samples.

        With `fill`, what is too short for a convolution is filled up with zeros at its end, so that every signal has
        one frame at least.
        """
        x = waveform[:, None]
        for index, conv in enumerate(self.convs):
            if fill and isinstance(conv, StridedConv):
                x = F.pad(x, (0, max(0, conv.kernel_size - x.shape[2])))
            x = conv(x)
            if self.over_time:
                # Of a single step, torch refuses the variance: it is zero, and what is left is the bias.
                x = x if index else self.norms[0](x) if x.shape[2] > 1 else self.norms[0](x.expand(-1, -1, 2))[..., :1]
            else:
                x = self.norms[index](x.transpose(1, 2)).transpose(1, 2)
            x = F.gelu(x)
        return x.transpose(1, 2)

    def pieces(self, waveform: Tensor) -> Iterator[Tensor]:
        """Yield the result for one signal `[S]` as consecutive pieces `[n, C]`; for inference only.

        A piece is overwritten when the next one is asked for.
        """
        first, *others = (conv for conv in self.convs if isinstance(conv, StridedConv))
        windows = waveform.unfold(0, first.kernel_size, first.stride)
        weight, bias = self._statistical(windows, first) if self.over_time else (first.weight[:, 0], first.bias)
        if bias is not None:
            # One more tap, over ones: cheaper than a sum of its own.
            weight = torch.cat([weight, bias[:, None]], dim=1)
        weight, norms = weight.T.contiguous(), [None] * len(self.convs) if self.over_time else list(self.norms)
        courses = [_Course(conv) for conv in others]
        for part in windows.split(_STEPS):
            steps = F.pad(part, (0, len(weight) - part.shape[1]), value=1.0) @ weight
            for course, norm in zip(courses, norms, strict=False):
                torch.ops.aten.gelu.out(_normed(steps, norm), out=course.room(steps))
                steps = course.run()
            if len(steps):
                yield torch.ops.aten.gelu_(_normed(steps, norms[-1]))

    def _statistical(self, windows: Tensor, conv: Conv1d) -> tuple[Tensor, Tensor]:
        """Return the first convolution and its norm over time as one weight `[C, taps]` and bias `[C]`."""
        norm = self.norms[0]
        assert isinstance(norm, nn.GroupNorm)
        total = windows.new_zeros(windows.shape[1], dtype=torch.float64)
        products = total.new_zeros(len(total), len(total))
        for part in windows.split(_WINDOWS):
            wide = part.double()
            total += wide.sum(0)
            products += wide.T @ wide
        mean = total / len(windows)
        covariance = products / len(windows) - torch.outer(mean, mean)
        weight = conv.weight[:, 0].double()
        variance = ((weight @ covariance) * weight).sum(1).clamp(min=0.0)
        scale = norm.weight * (variance + norm.eps).rsqrt()
        # The convolution's own bias is taken away again with the mean.
        return (weight * scale[:, None]).float(), (norm.bias - weight @ mean * scale).float()


class StridedConv(Conv1d):
    """A convolution without padding.

    Example:
        >>> conv = StridedConv(2, 2, 3, stride=2)
        >>> steps, out = torch.arange(14.0).view(7, 2), torch.empty(3, 2)
        >>> with torch.no_grad():
        ...     conv.into(steps, out)
        >>> torch.allclose(out, conv(steps.T[None])[0].T, atol=1e-5)
        True
    """

    def into(self, steps: Tensor, out: Tensor) -> None:
        """Write the convolution of contiguous `[n, C]` to `[m, D]`: taps of one stride are one product."""
        weight = turned(self.weight).flatten(0, 1)
        for start in range(0, self.kernel_size, self.stride):
            taps = min(self.stride, self.kernel_size - start)
            rows = steps.as_strided(
                (len(out), taps * self.in_channels),
                (self.stride * self.in_channels, 1),
                steps.storage_offset() + start * self.in_channels,
            )
            part = weight[start * self.in_channels : (start + taps) * self.in_channels]
            if start:
                out.addmm_(rows, part)
            elif self.bias is None:
                torch.mm(rows, part, out=out)
            else:
                torch.addmm(self.bias, rows, part, out=out)


class _Course:
    """One convolution in the course of a signal, in memory that is used again for every piece."""

    def __init__(self, conv: StridedConv) -> None:
        self._conv = conv
        self._steps = self._out = torch.empty(0, 0)
        self._held = 0

    def room(self, like: Tensor) -> Tensor:
        """Return where the next steps are to be written: a place of the shape `[n, C]` of `like`."""
        have = self._held + len(like)
        if have > len(self._steps):
            longer = like.new_empty(have, like.shape[1])
            if self._held:
                longer[: self._held] = self._steps[: self._held]
            self._steps = longer
        start, self._held = self._held, have
        return self._steps[start:have]

    def run(self) -> Tensor:
        """Return what is ready `[m, D]`; the next run overwrites it."""
        conv = self._conv
        count = max(0, (self._held - conv.kernel_size) // conv.stride + 1)
        if count > len(self._out) or self._out.shape[1] != conv.out_channels:
            self._out = self._steps.new_empty(count, conv.out_channels)
        done = count * conv.stride
        if count:
            conv.into(self._steps, self._out[:count])
            self._steps[: self._held - done] = self._steps[done : self._held].clone()
        self._held -= done
        return self._out[:count]


def _normed(steps: Tensor, norm: nn.Module | None) -> Tensor:
    normed: Tensor = steps if norm is None else norm(steps)
    return normed
