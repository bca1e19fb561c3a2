"""The residual unit of SNAC: Snake, a depthwise convolution, Snake and a mixture of channels (arXiv:2410.14411, 3.2).

All that happens within a channel is one compiled pass over memory, where PyTorch needs a dozen; the mixture of
channels is one matrix product that adds itself to what goes past.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.nn.activations import Snake
from tokaudio.nn.compiled import compiled
from tokaudio.nn.conv import Conv1d
from tokaudio.nn.stages import Residual, Sequence, Stage

KERNEL_SIZE = 7


class ResidualUnit(Residual):
    """`x + mix(snake(conv(snake(x))))` with a kernel of 7 and zeros at both ends.

    Args:
        channels: C.
        dilation: of the first convolution.
        depthwise: whether it works on every channel alone.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> ResidualUnit(3, dilation=9)(torch.zeros(1, 3, 5)).shape
        torch.Size([1, 3, 5])
    """

    def __init__(self, channels: int, *, dilation: int = 1, depthwise: bool = True) -> None:
        reach = (KERNEL_SIZE - 1) // 2 * dilation
        self.dilation, self.depthwise = dilation, depthwise
        super().__init__(
            Sequence(
                Snake(channels),
                Conv1d(
                    channels,
                    channels,
                    KERNEL_SIZE,
                    dilation=dilation,
                    groups=channels if depthwise else 1,
                    padding=(reach, reach),
                ),
                Snake(channels),
                Conv1d(channels, channels, 1),
            )
        )

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return UnitStage(self) if self.depthwise else super().stage()

    def parts(self) -> tuple[Snake, Conv1d, Snake, Conv1d]:
        """Return the four layers."""
        assert isinstance(self.body, Sequence)
        first, conv, second, mix = self.body
        assert isinstance(first, Snake) and isinstance(second, Snake)
        assert isinstance(conv, Conv1d) and isinstance(mix, Conv1d)
        return first, conv, second, mix


class UnitStage:
    """A depthwise unit in the course of one signal.

    Snake maps zero to zero, so the zeros that the convolution sees beyond the signal's ends may as well stand before
    the first Snake.
    """

    def __init__(self, unit: ResidualUnit) -> None:
        self._unit = unit
        self._span = (KERNEL_SIZE - 1) * unit.dilation
        self._table: Any = None
        self._held: Tensor | None = None

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to `[m, C]`."""
        held = block.new_zeros(self._span // 2, block.shape[1]) if self._held is None else self._held
        after = self._span // 2 if last else 0
        m = len(held) + len(block) + after - self._span
        if m <= 0:
            self._held = torch.cat([held, block])
            return block[:0]
        out = self._mixed(held, block.contiguous(), m)
        self._held = None if last else _end(held, block, self._span)
        return out

    def _mixed(self, held: Tensor, block: Tensor, m: int) -> Tensor:
        plain = block.device.type != "cpu" or block.dtype != torch.float32 or torch.is_grad_enabled()
        loops = None if plain else compiled("units")
        if loops is None:
            return _plain(self._unit, held, block, m)
        if self._table is None:
            self._table = table_of(self._unit).numpy()
        channels = block.shape[1]
        active, inner, past = (block.new_empty(rows, channels) for rows in (m + self._span, m, m))
        given = (held.numpy(), block.numpy(), self._table)
        loops.snake_depthwise_snake(*given, self._unit.dilation, active.numpy(), inner.numpy(), past.numpy())
        return past.addmm_(inner, self._unit.parts()[3].weight[:, :, 0].T)


def table_of(unit: ResidualUnit) -> Tensor:
    """Return all parameters within channels as one table `[13, C]`, in the order of the compiled kernel.

    Example:
        >>> table_of(ResidualUnit(4)).shape
        torch.Size([13, 4])
    """
    first, conv, second, mix = unit.parts()
    rows = [_bias(conv)]
    for snake in (first, second):
        rows += [snake.alpha, (snake.alpha + 1e-9).reciprocal()]
    return torch.cat([conv.weight[:, 0].T, torch.stack([*rows, _bias(mix)])]).detach().contiguous()


def _bias(conv: Conv1d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _plain(unit: ResidualUnit, held: Tensor, block: Tensor, m: int) -> Tensor:
    """Do the same with PyTorch's own operations."""
    first, conv, second, mix = unit.parts()
    steps = torch.cat([held, block]).T[None]
    span = (KERNEL_SIZE - 1) * unit.dilation
    steps = F.pad(steps, (0, m + span - steps.shape[2]))
    inner = F.conv1d(first(steps), conv.weight, conv.bias, 1, 0, unit.dilation, conv.groups)
    out: Tensor = steps[:, :, span // 2 : span // 2 + m] + mix(second(inner))
    return out[0].T.contiguous()


def _end(held: Tensor, block: Tensor, steps: int) -> Tensor:
    """Return the last steps of two pieces in a row, as a copy."""
    if len(block) >= steps:
        return block[len(block) - steps :].clone()
    return torch.cat([held[len(held) + len(block) - steps :], block])
