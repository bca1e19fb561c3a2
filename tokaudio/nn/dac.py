"""The encoder and the decoder of DAC (Kumar et al. 2023, arXiv:2306.06546, section 3.1 and appendix A).

Residual units of dilated convolutions between Snakes, with strided convolutions between them. X-Codec and Higgs carry
the same two networks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from tokaudio.nn.activations import Snake
from tokaudio.nn.conv import Conv1d, ConvTranspose1d
from tokaudio.nn.dilated_unit import DilatedUnit
from tokaudio.nn.stages import Pipeline, Sliced, Stage, stage_of
from tokaudio.nn.stages import Sequence as Modules

DILATIONS = (1, 3, 9)
# Numbers in the widest tensor between two layers: 4 MB, near what a core's L2 cache holds (best of 2^17 to 2^24).
_SLICE = 2**20


def downsampling(channels: int, stride: int) -> Conv1d:
    """Return the convolution that doubles the channels and keeps one step of `stride`."""
    edge = (stride + 1) // 2
    return Conv1d(channels, 2 * channels, 2 * stride, stride=stride, padding=(edge, edge))


def upsampling(channels: int, stride: int, *, complete: bool = False) -> ConvTranspose1d:
    """Return the transposed convolution that halves the channels.

    An odd stride gives one step less in all, unless the steps are to be `complete`.
    """
    edge = (stride + 1) // 2
    trim = (edge, stride // 2) if complete else (edge, edge)
    return ConvTranspose1d(channels, channels // 2, 2 * stride, stride=stride, trim=trim)


class _Blocks(nn.Module, ABC):
    """Parts one after the other, each in slices that suit its widest tensor."""

    @abstractmethod
    def parts(self) -> Iterator[tuple[list[nn.Module], int]]:
        """Yield modules that run together, and how many numbers per step of input they hold at most."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, D, T']`."""
        for modules, _ in self.parts():
            for module in modules:
                x = module(x)
        return x

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pipeline(
            Sliced(Pipeline(stage_of(module) for module in modules), max(1, _SLICE // numbers))
            for modules, numbers in self.parts()
        )


class DacEncoder(_Blocks):
    """Samples to latents.

    Args:
        width: channels after the first convolution; every block doubles them.
        strides: of the blocks, in samples per step.
        latent_dim: D.

    Shape:
        input `[B, 1, S]`, S a multiple of the product of the strides; output `[B, D, T]`.

    Example:
        >>> import torch
        >>> DacEncoder(4, (2, 4), 16)(torch.zeros(1, 1, 40)).shape
        torch.Size([1, 16, 5])
    """

    def __init__(self, width: int, strides: Sequence[int], latent_dim: int) -> None:
        super().__init__()
        self.entry = Conv1d(1, width, 7, padding=(3, 3))
        self.blocks = nn.ModuleList()
        for stride in strides:
            units = [DilatedUnit(width, dilation=dilation) for dilation in DILATIONS]
            self.blocks.append(Modules(*units, Snake(width), downsampling(width, stride)))
            width *= 2
        self.snake = Snake(width)
        self.exit = Conv1d(width, latent_dim, 3, padding=(1, 1))

    def parts(self) -> Iterator[tuple[list[nn.Module], int]]:
        """Yield modules that run together, and how many numbers per step of input they hold at most."""
        first: list[nn.Module] = [self.entry]
        width = self.entry.out_channels
        for block in self.blocks:
            yield [*first, block], width
            first, width = [], 2 * width
        yield [self.snake, self.exit], width


class DacDecoder(_Blocks):
    """Vectors to samples.

    Args:
        latent_dim: D.
        width: channels after the first convolution; every block halves them.
        strides: of the blocks, in steps per step.
        complete: give as many samples as the strides say, also where they are odd, as X-Codec does.
        bounded: end with tanh, so that samples lie in [-1, 1].

    Shape:
        input `[B, D, T]`, output `[B, 1, S]`; unless `complete`, S is short by the product of the strides after it for
        every odd stride.

    Example:
        >>> import torch
        >>> DacDecoder(16, 32, (5, 4))(torch.zeros(1, 16, 3)).shape
        torch.Size([1, 1, 56])
    """

    def __init__(
        self, latent_dim: int, width: int, strides: Sequence[int], *, complete: bool = False, bounded: bool = True
    ) -> None:
        super().__init__()
        self.strides, self.bounded = tuple(strides), bounded
        self.entry = Conv1d(latent_dim, width, 7, padding=(3, 3))
        self.blocks = nn.ModuleList()
        for stride in strides:
            up = upsampling(width, stride, complete=complete)
            width //= 2
            self.blocks.append(Modules(Snake(2 * width), up, *(DilatedUnit(width, dilation=d) for d in DILATIONS)))
        self.snake = Snake(width)
        self.exit = Conv1d(width, 1, 7, padding=(3, 3))

    def parts(self) -> Iterator[tuple[list[nn.Module], int]]:
        """Yield modules that run together, and how many numbers per step of input they hold at most."""
        width = self.entry.out_channels
        yield [self.entry], width
        for index, (block, stride) in enumerate(zip(self.blocks, self.strides, strict=True)):
            width //= 2
            yield [block, *(self._end() if index + 1 == len(self.strides) else ())], stride * width

    def _end(self) -> list[nn.Module]:
        return [self.snake, self.exit, *([nn.Tanh()] if self.bounded else [])]
