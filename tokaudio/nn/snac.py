"""The networks of SNAC (arXiv:2410.14411, section 3): DAC's with depthwise units, noise and local attention."""

from __future__ import annotations

import math
from collections.abc import Sequence as Items

import torch
from torch import Tensor, nn

from tokaudio.nn.activations import Snake
from tokaudio.nn.conv import Conv1d, ConvTranspose1d
from tokaudio.nn.depthwise_unit import KERNEL_SIZE, ResidualUnit
from tokaudio.nn.local_attention import LocalAttention
from tokaudio.nn.noise import NoiseBlock
from tokaudio.nn.stages import Pipeline, Pointwise, Sequence, Sliced, Stage, stage_of

_EDGE = (KERNEL_SIZE - 1) // 2
# Values of one tensor in a slice: several fit into a shared cache, and a slice is worth what it costs to begin one.
_SLICE = 300_000
# A level with more weights than this in its strided convolution would fetch them too often on short slices.
_LIGHT = 512 * 1024


class Level(nn.Module):
    """One change of rate and the three units at its faster side.

    Attributes:
        units: dilations 1, 3 and 9.
        snake: before the strided convolution.
    """

    def __init__(self, fast_channels: int, slow_channels: int, *, depthwise: bool) -> None:
        super().__init__()
        self.units = Sequence(*(ResidualUnit(fast_channels, dilation=d, depthwise=depthwise) for d in (1, 3, 9)))
        self.fast_channels, self.slow_channels = fast_channels, slow_channels

    def units_stage(self) -> Stage:
        """Return a fresh stage of the units, in slices that stay in the processor's cache."""
        return Sliced(stage_of(self.units), max(64, _SLICE // self.fast_channels))


class Down(Level):
    """A level of the encoder.

    Shape:
        input `[B, C, T]`, output `[B, 2 * C, T / stride]`, T a multiple of the stride.

    Example:
        >>> Down(4, 2)(torch.zeros(1, 4, 12)).shape
        torch.Size([1, 8, 6])
    """

    def __init__(self, channels: int, stride: int, *, depthwise: bool = True) -> None:
        super().__init__(channels, 2 * channels, depthwise=depthwise)
        edge = math.ceil(stride / 2)
        self.snake = Snake(channels)
        self.conv = Conv1d(channels, 2 * channels, 2 * stride, stride=stride, padding=(edge, edge))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, 2 * C, T / stride]`."""
        out: Tensor = self.conv(self.snake(self.units(x)))
        return out

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pipeline([self.units_stage(), self.snake.stage(), self.conv.stage()])


class Up(Level):
    """A level of the decoder.

    Args:
        channels: C, even.
        stride: of the transposed convolution.
        noise: whether there is a noise block.
        depthwise: whether the units are depthwise.
        number: of the level, counted from the slowest.

    Shape:
        input `[B, C, T]`, output `[B, C / 2, T * stride]`.

    Example:
        >>> Up(4, 3)(torch.zeros(1, 4, 5)).shape
        torch.Size([1, 2, 15])
    """

    def __init__(
        self, channels: int, stride: int, *, noise: bool = True, depthwise: bool = True, number: int = 0
    ) -> None:
        super().__init__(channels // 2, channels, depthwise=depthwise)
        before = math.ceil(stride / 2)
        self.snake = Snake(channels)
        self.conv = ConvTranspose1d(
            channels, channels // 2, 2 * stride, stride=stride, trim=(before, before - stride % 2)
        )
        self.noise = NoiseBlock(channels // 2, level=number) if noise else None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C / 2, T * stride]`."""
        x = self.conv(self.snake(x))
        out: Tensor = self.units(x if self.noise is None else self.noise(x))
        return out

    def stage(self) -> Stage:
        """Return a fresh stage."""
        stages: list[Stage] = [self.snake.stage(), self.conv.stage()]
        if self.noise is not None:
            stages.append(self.noise.stage())
        return Pipeline([*stages, self.units_stage()])


class SnacEncoder(nn.Module):
    """Samples to latents.

    Args:
        channels: of the first layer; every level doubles them.
        rates: strides.
        window: frames of the attention's windows; None for no attention.
        depthwise: whether units and the last layer are depthwise.

    Attributes:
        latent_dim: D.

    Shape:
        input `[B, 1, S]`, output `[B, D, T]`, S a multiple of the product of the rates.

    Example:
        >>> SnacEncoder(4, (2, 3))(torch.zeros(1, 1, 60)).shape
        torch.Size([1, 16, 10])
    """

    def __init__(self, channels: int, rates: Items[int], *, window: int | None = None, depthwise: bool = True) -> None:
        super().__init__()
        self.entry = Conv1d(1, channels, KERNEL_SIZE, padding=(_EDGE, _EDGE))
        widths = [channels * 2**number for number in range(len(rates) + 1)]
        self.levels = nn.ModuleList(
            Down(width, rate, depthwise=depthwise) for width, rate in zip(widths, rates, strict=False)
        )
        self.latent_dim = last = widths[-1]
        self.attention = None if window is None else LocalAttention(last, window=window)
        self.exit = Conv1d(last, last, KERNEL_SIZE, groups=last if depthwise else 1, padding=(_EDGE, _EDGE))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, 1, S]` to `[B, D, T]`."""
        x = self.entry(x)
        for level in self.levels:
            x = level(x)
        out: Tensor = self.exit(x if self.attention is None else self.attention(x))
        return out

    def stage(self) -> Stage:
        """Return a fresh stage: the first levels together on short slices, the others one by one."""
        light, heavy = _split(self.levels)
        first = Pipeline([self.entry.stage(), *map(stage_of, light)])
        attention = [] if self.attention is None else [self.attention.stage()]
        steps = max(64, _SLICE // self.entry.out_channels)
        return Pipeline([Sliced(first, steps), *map(stage_of, heavy), *attention, self.exit.stage()])


class SnacDecoder(nn.Module):
    """Vectors to samples.

    Args:
        latent_dim: D.
        channels: of the first level's input; every level halves them.
        rates: strides.
        window: frames of the attention's windows; None for no attention.
        noise: whether levels have noise blocks.
        depthwise: whether units and the first layer are depthwise.

    Shape:
        input `[B, D, T]`, output `[B, 1, S]`, in [-1, 1].

    Example:
        >>> SnacDecoder(16, 8, (3, 2))(torch.zeros(1, 16, 10)).shape
        torch.Size([1, 1, 60])
    """

    def __init__(
        self,
        latent_dim: int,
        channels: int,
        rates: Items[int],
        *,
        window: int | None = None,
        noise: bool = True,
        depthwise: bool = True,
    ) -> None:
        super().__init__()
        edge = (_EDGE, _EDGE)
        if depthwise:
            self.entry = Sequence(
                Conv1d(latent_dim, latent_dim, KERNEL_SIZE, groups=latent_dim, padding=edge),
                Conv1d(latent_dim, channels, 1),
            )
        else:
            self.entry = Sequence(Conv1d(latent_dim, channels, KERNEL_SIZE, padding=edge))
        self.attention = None if window is None else LocalAttention(channels, window=window)
        self.levels = nn.ModuleList(
            Up(channels // 2**number, rate, noise=noise, depthwise=depthwise, number=number)
            for number, rate in enumerate(rates)
        )
        last = channels // 2 ** len(rates)
        self.rates = tuple(rates)
        self.snake = Snake(last)
        self.exit = Conv1d(last, 1, KERNEL_SIZE, padding=edge)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, 1, S]`."""
        x = self.entry(x)
        x = x if self.attention is None else self.attention(x)
        for level in self.levels:
            x = level(x)
        return torch.tanh(self.exit(self.snake(x)))

    def stage(self) -> Stage:
        """Return a fresh stage: the last levels together on short slices, the others one by one."""
        light, heavy = _split(self.levels)
        attention = [] if self.attention is None else [self.attention.stage()]
        out: list[Stage] = [self.snake.stage(), self.exit.stage(), Pointwise(torch.tanh)]
        last = Pipeline([*map(stage_of, light), *out])
        factor = math.prod(self.rates[len(heavy) :])
        steps = max(64, _SLICE // self.snake.alpha.numel() // factor)
        return Pipeline([self.entry.stage(), *attention, *map(stage_of, heavy), Sliced(last, steps)])

    @property
    def noise_blocks(self) -> list[NoiseBlock]:
        """The noise blocks from the slowest level to the fastest."""
        return [block for block in self.modules() if isinstance(block, NoiseBlock)]


def _split(levels: nn.ModuleList) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return the levels with few weights, and the others, both in their order."""
    light = [level for level in levels if _weights(level) <= _LIGHT]
    return light, [level for level in levels if _weights(level) > _LIGHT]


def _weights(level: nn.Module) -> int:
    return level.conv.weight.numel() if isinstance(level, (Down, Up)) else 0
