"""Focal modulation (Yang et al. 2022, arXiv:2203.11926) over time, as in FocalCodec (arXiv:2502.04465, section 3.1).

Instead of attention: depthwise convolutions gather ever wider context, gates choose among them and the mean over all
of time, and what comes out multiplies the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.activations import Snake
from tokaudio.nn.kernels import depthwise, snake
from tokaudio.nn.ssl.layer import by_rows


@dataclass(frozen=True)
class FocalSizes:
    """What all blocks of a stack have in common.

    Attributes:
        window: taps of the first depthwise convolution.
        levels: how many there are.
        factor: taps that each has more than the one before.
        norm_after: whether norms stand after the parts of a block, and inside its modulation, or before the parts.
        scaled: whether each channel of a part has a scale.
        averaged: whether contexts are divided by their number.
    """

    window: int = 14
    levels: int = 2
    factor: int = 4
    norm_after: bool = False
    scaled: bool = False
    averaged: bool = False


class FocalModulation(nn.Module):
    """One modulation.

    Shape:
        input and output `[B, T, C]`.

    Example:
        >>> FocalModulation(8, FocalSizes(window=3, factor=2))(torch.zeros(1, 5, 8)).shape
        torch.Size([1, 5, 8])
    """

    def __init__(self, width: int, sizes: FocalSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.inputs = nn.Linear(width, 2 * width + sizes.levels + 1)
        taps = [sizes.window + sizes.factor * level for level in range(sizes.levels)]
        self.contexts = nn.ModuleList(nn.Conv1d(width, width, count, groups=width) for count in taps)
        self.mix, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width) if sizes.norm_after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, T, C]` to `[B, T, C]`."""
        width, levels = x.shape[-1], self.sizes.levels
        query, context, gates = self.inputs(x).split([width, width, levels + 1], -1)
        total = x.new_zeros(())
        for level, conv in enumerate(self.contexts):
            assert isinstance(conv, nn.Conv1d)
            context = F.gelu(_same(conv, context))
            total = torch.addcmul(total, context, gates[..., level : level + 1])
        total = torch.addcmul(total, F.gelu(context.mean(1, keepdim=True)), gates[..., levels:])
        if self.sizes.averaged:
            total = total / (levels + 1)
        out: Tensor = self.out(self.norm(query * self.mix(total)))
        return out


def _same(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """Return a depthwise convolution of `[B, T, C]`, zero beyond both ends; the odd step is at the end."""
    taps = conv.kernel_size[0]
    padded, weight = F.pad(x, (0, 0, (taps - 1) // 2, taps - 1 - (taps - 1) // 2)), conv.weight[:, 0]
    items = [depthwise(item, weight, conv.bias, stride=1, dilation=1, count=x.shape[1]) for item in padded]
    return torch.stack(items)


class FocalBlock(nn.Module):
    """A modulation and a feed-forward part, each added to its input.

    Shape:
        input and output `[B, T, C]`.

    Example:
        >>> FocalBlock(8, FocalSizes(window=3, scaled=True))(torch.zeros(1, 5, 8)).shape
        torch.Size([1, 5, 8])
    """

    def __init__(self, width: int, sizes: FocalSizes) -> None:
        super().__init__()
        self.norm_after = sizes.norm_after
        self.modulation = FocalModulation(width, sizes)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale1 = nn.Parameter(torch.full((width,), 1e-4)) if sizes.scaled else None
        self.scale2 = nn.Parameter(torch.full((width,), 1e-4)) if sizes.scaled else None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, T, C]` to `[B, T, C]`."""
        mixed = self.norm1(self.modulation(x)) if self.norm_after else self.modulation(self.norm1(x))
        x = x + (mixed if self.scale1 is None else mixed * self.scale1)
        fed = self.norm2(by_rows(self._fed, x)) if self.norm_after else by_rows(self._fed, self.norm2(x))
        return x + (fed if self.scale2 is None else fed * self.scale2)

    def _fed(self, x: Tensor) -> Tensor:
        inner = self.up(x)
        inner = F.gelu(inner) if torch.is_grad_enabled() else torch.ops.aten.gelu_(inner)
        out: Tensor = self.down(inner)
        return out


class FocalDown(nn.Module):
    """A convolution whose taps are its stride, Snake, and a block.

    Shape:
        input `[B, T, C]`, output `[B, ceil(T / stride), D]`.

    Example:
        >>> FocalDown(8, 6, 2, FocalSizes(window=3))(torch.zeros(1, 5, 8)).shape
        torch.Size([1, 3, 6])
    """

    def __init__(self, in_width: int, width: int, stride: int, sizes: FocalSizes) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_width, width, stride, stride)
        self.activation, self.block = Snake(width), FocalBlock(width, sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, T, C]` to `[B, T', D]`."""
        stride = self.conv.stride[0]
        steps = F.pad(x, (0, 0, 0, -x.shape[1] % stride)).unflatten(1, (-1, stride)).flatten(2)
        weight = self.conv.weight.transpose(1, 2).flatten(1)
        mixed: Tensor = self.block(_snake(self.activation, F.linear(steps, weight, self.conv.bias)))
        return mixed


class FocalUp(nn.Module):
    """A block, Snake, and a transposed convolution whose taps are its stride.

    Shape:
        input `[B, T, C]`, output `[B, T * stride, D]`.

    Example:
        >>> FocalUp(8, 6, 2, FocalSizes(window=3))(torch.zeros(1, 5, 8)).shape
        torch.Size([1, 10, 6])
    """

    def __init__(self, width: int, out_width: int, stride: int, sizes: FocalSizes) -> None:
        super().__init__()
        self.block, self.activation = FocalBlock(width, sizes), Snake(width)
        self.conv = nn.ConvTranspose1d(width, out_width, stride, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, T, C]` to `[B, T', D]`."""
        steps, stride = _snake(self.activation, self.block(x)), self.conv.stride[0]
        weight = self.conv.weight.permute(2, 1, 0).flatten(0, 1)
        bias = None if self.conv.bias is None else self.conv.bias.repeat(stride)
        return F.linear(steps, weight, bias).unflatten(2, (stride, -1)).flatten(1, 2)


def _snake(layer: Snake, x: Tensor) -> Tensor:
    scale = (layer.alpha + 1e-9).reciprocal()
    return snake(x.flatten(0, 1), layer.alpha, scale).unflatten(0, x.shape[:2])


class FocalCompressor(nn.Module):
    """From wide frames to few narrow ones.

    Args:
        in_width: C of the frames.
        widths: of each stage.
        strides: of each stage.
        out_width: D of what comes out.
        sizes: of the blocks.

    Shape:
        input `[B, T, C]`, output `[B, T', D]`.

    Example:
        >>> FocalCompressor(8, (6, 4), (2, 1), 3, FocalSizes(window=3))(torch.zeros(1, 5, 8)).shape
        torch.Size([1, 3, 3])
    """

    def __init__(
        self, in_width: int, widths: Sequence[int], strides: Sequence[int], out_width: int, sizes: FocalSizes
    ) -> None:
        super().__init__()
        before = (in_width, *widths)
        self.layers = nn.Sequential(
            *(FocalDown(a, b, stride, sizes) for a, b, stride in zip(before, widths, strides, strict=False))
        )
        self.out = nn.Linear(before[-1], out_width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, T, C]` to `[B, T', D]`."""
        out: Tensor = self.out(self.layers(x))
        return out


class FocalDecompressor(nn.Module):
    """From few narrow frames to wide ones; the arguments as for `FocalCompressor`, `widths` those before each stage.

    Shape:
        input `[B, T, C]`, output `[B, T', D]`.

    Example:
        >>> FocalDecompressor(3, (4, 6), (1, 2), 8, FocalSizes(window=3))(torch.zeros(1, 3, 3)).shape
        torch.Size([1, 6, 8])
    """

    def __init__(
        self, in_width: int, widths: Sequence[int], strides: Sequence[int], out_width: int, sizes: FocalSizes
    ) -> None:
        super().__init__()
        after = (*widths, out_width)
        self.inputs = nn.Linear(in_width, after[0])
        self.layers = nn.Sequential(
            *(FocalUp(a, b, stride, sizes) for a, b, stride in zip(after, after[1:], strides, strict=False))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, T, C]` to `[B, T', D]`."""
        out: Tensor = self.layers(self.inputs(x))
        return out
