"""Focal modulation (Yang et al. 2022, arXiv:2203.11926) over time, as in FocalCodec (arXiv:2502.04465, section 3.1).

Instead of attention: depthwise convolutions gather ever wider context, gates choose among them and the mean over all
of time, and what comes out multiplies the query. Once that mean is known, pieces with a short halo give what the whole
gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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

    @property
    def reach(self) -> int:
        """Steps to either side that a step sees, the mean aside."""
        return sum(conv.kernel_size[0] // 2 for conv in self.contexts if isinstance(conv, nn.Conv1d))

    def forward(self, x: Tensor, mean: Tensor | None = None) -> Tensor:
        """Map `[B, T, C]` to `[B, T, C]`; `mean` `[B, 1, C]` is the one over all of time, where x is only a piece."""
        width, levels = x.shape[-1], self.sizes.levels
        query, context, gates = self.inputs(x).split([width, width, levels + 1], -1)
        total = x.new_zeros(())
        for level, wider in enumerate(self._wider(context)):
            total = torch.addcmul(total, wider, gates[..., level : level + 1])
            context = wider
        mean = context.mean(1, keepdim=True) if mean is None else mean
        total = torch.addcmul(total, F.gelu(mean), gates[..., levels:])
        if self.sizes.averaged:
            total = total / (levels + 1)
        out: Tensor = self.out(self.norm(query * self.mix(total)))
        return out

    def widest(self, x: Tensor) -> Tensor:
        """Return the context `[B, T, C]` of the last convolution, of which the mean over time is taken."""
        rows = slice(x.shape[-1], 2 * x.shape[-1])
        context = F.linear(x, self.inputs.weight[rows], self.inputs.bias[rows])
        for wider in self._wider(context):
            context = wider
        return context

    def _wider(self, context: Tensor) -> Iterator[Tensor]:
        for conv in self.contexts:
            assert isinstance(conv, nn.Conv1d)
            context = F.gelu(_same(conv, context))
            yield context


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

    def forward(self, x: Tensor, mean: Tensor | None = None) -> Tensor:
        """Map `[B, T, C]` to `[B, T, C]`; `mean` as for the modulation."""
        mixed = self.norm1(self.modulation(x, mean)) if self.norm_after else self.modulation(self.norm1(x), mean)
        x = x + (mixed if self.scale1 is None else mixed * self.scale1)
        fed = self.norm2(by_rows(self._fed, x)) if self.norm_after else by_rows(self._fed, self.norm2(x))
        return x + (fed if self.scale2 is None else fed * self.scale2)

    def widest(self, x: Tensor) -> Tensor:
        """Return the modulation's widest context `[B, T, C]`."""
        return self.modulation.widest(x if self.norm_after else self.norm1(x))

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

    def forward(self, x: Tensor, mean: Tensor | None = None) -> Tensor:
        """Map `[B, T, C]` to `[B, T', D]`; `mean` as for the block's modulation."""
        steps, stride = _snake(self.activation, self.block(x, mean)), self.conv.stride[0]
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

    @property
    def stride(self) -> int:
        """Steps of the input for each of the result."""
        return math.prod(layer.conv.stride[0] for layer in self.layers if isinstance(layer, FocalDown))

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

    def pieces(self, x: Tensor, steps: int) -> Iterator[Tensor]:
        """Yield what `forward` gives of `[B, T, C]`, of so many of its steps after the other `[B, n, D]`.

        Nothing but the input is held for the whole: each layer's mean over time is found by a pass of its own through
        the layers before it.

        Example:
            >>> back = FocalDecompressor(3, (4, 6), (1, 2), 8, FocalSizes(window=3))
            >>> [piece.shape[1] for piece in back.pieces(torch.zeros(1, 5, 3), 2)]
            [4, 4, 2]
        """
        means: list[Tensor] = []
        for layer in self._ups():
            totals, count = [], 0
            for piece, kept in self._passed(x, steps, means):
                widest = layer.block.widest(piece)[:, kept]
                totals.append(widest.sum(1, keepdim=True))
                count += widest.shape[1]
            means.append(torch.stack(totals).sum(0) / count)
        for piece, kept in self._passed(x, steps, means):
            yield piece[:, kept]

    @property
    def stride(self) -> int:
        """Steps of the result for each of the input."""
        return math.prod(layer.conv.stride[0] for layer in self._ups())

    def _ups(self) -> list[FocalUp]:
        return [layer for layer in self.layers if isinstance(layer, FocalUp)]

    def _passed(self, x: Tensor, steps: int, means: list[Tensor]) -> Iterator[tuple[Tensor, slice]]:
        """Yield pieces with their halos after the layers whose means are known, and which part of each is its own."""
        passed = list(zip(self._ups(), means, strict=False))
        # In steps of the input, which are the longest.
        halo = sum(layer.block.modulation.reach for layer in self._ups())
        finer = math.prod(layer.conv.stride[0] for layer, _ in passed)
        for start in range(0, x.shape[1], steps):
            end, first = min(start + steps, x.shape[1]), max(0, start - halo)
            piece = self.inputs(x[:, first : end + halo])
            for layer, mean in passed:
                piece = layer(piece, mean)
            yield piece, slice((start - first) * finer, (end - first) * finer)
