"""ELU in front of a convolution in one pass: results are written where the convolution reads them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokaudio.nn import kernels
from tokaudio.nn.activations import ELU
from tokaudio.nn.conv import Conv1d, ConvStage, laid_out
from tokaudio.nn.stages import Residual, Sequence, Stage, stage_of


class ActivatedConvStage(ConvStage):
    """ELU and a convolution in the course of one signal: as one stage after the other, with one copy less.

    Example:
        >>> with torch.no_grad():
        ...     ActivatedConvStage(Conv1d(2, 3, 5, padding=(2, 2)))(torch.zeros(7, 2), last=True).shape
        torch.Size([7, 3])
    """

    def _joined(self, block: Tensor) -> Tensor:
        held = 0 if self._held is None else len(self._held)
        joined = block.new_empty(held + len(block), block.shape[1])
        if held and self._held is not None:
            joined[:held] = self._held
        kernels.elu_into(block, joined[held:])
        return joined


class UnitStage:
    """A residual unit of two convolutions: both ways are added up where the second one is computed.

    Args:
        first: the unit's first convolution, which ELU precedes.
        second: its second one, of one tap, which ELU precedes.
        shortcut: the convolution of one tap beside them; None where the input itself is added.

    Example:
        >>> layers = Conv1d(4, 2, 3, padding=(1, 1)), Conv1d(2, 4, 1), Conv1d(4, 4, 1)
        >>> with torch.no_grad():
        ...     UnitStage(*layers)(torch.zeros(7, 4), last=True).shape
        torch.Size([7, 4])
    """

    def __init__(self, first: Conv1d, second: Conv1d, shortcut: Conv1d | None) -> None:
        assert second.bias is not None
        self._first = ActivatedConvStage(first)
        # Stages are for inference; whether gradients are on while one is made must not change what it does.
        self._bias, self._second = second.bias.detach(), _matrix(second)
        self._shortcut = None if shortcut is None else _matrix(shortcut)
        if shortcut is not None and shortcut.bias is not None:
            self._bias = self._bias + shortcut.bias.detach()
        self._waiting: Tensor | None = None

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map `[n, C]` to the steps `[m, C]` for which both ways are ready."""
        hidden = kernels.elu_into(inner := self._first(block, last), inner)
        past = block if self._waiting is None else torch.cat([self._waiting, block])
        self._waiting = past[len(hidden) :].clone() if len(past) > len(hidden) else None
        past = past[: len(hidden)]
        out = past + self._bias if self._shortcut is None else torch.addmm(self._bias, past, self._shortcut)
        return out.addmm_(hidden, self._second)


def _matrix(conv: Conv1d) -> Tensor:
    return laid_out(conv.weight).detach()[:, :, 0].T


def unit_stage(unit: Residual) -> Stage:
    """Return a stage of a residual unit, the fastest there is for its layers.

    Example:
        >>> unit_stage(Residual(nn.Identity()))(torch.ones(1, 2), last=True)
        tensor([[2., 2.]])
    """
    body, shortcut = unit.body, unit.shortcut
    if isinstance(body, Sequence) and [type(layer) for layer in body] == _UNIT:
        _, first, _, second = body
        assert isinstance(first, Conv1d) and isinstance(second, Conv1d)
        plain = second.kernel_size == 1 and second.bias is not None
        if plain and shortcut is None:
            return UnitStage(first, second, None)
        if plain and isinstance(shortcut, Conv1d) and shortcut.kernel_size == 1 and shortcut.bias is not None:
            return UnitStage(first, second, shortcut)
    return stage_of(unit)


_UNIT: list[type[nn.Module]] = [ELU, Conv1d, ELU, Conv1d]
