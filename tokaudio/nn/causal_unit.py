"""SnakeBeta, and the causal residual unit of decoders like DAC's: SnakeBeta, dilated convolution, SnakeBeta, mixture.

On blocks the convolution of 7 taps takes the fewer products that [`DilatedUnit`][tokaudio.nn.dilated_unit.DilatedUnit]
describes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokaudio.nn import kernels
from tokaudio.nn.compiled import compiled
from tokaudio.nn.conv import Conv1d, causal
from tokaudio.nn.dilated_unit import KERNEL_SIZE, Tables, convolved, tables_from
from tokaudio.nn.hifigan import ActivatedConv, Into
from tokaudio.nn.kept import Kept
from tokaudio.nn.stages import Pointwise, Residual, Sequence, Stage
from tokaudio.nn.winograd import TILE

_EPS = 1e-9


class SnakeBeta(nn.Module):
    """`x + sin(exp(a) x)^2 / (exp(b) + 1e-9)`, a and b per channel (arXiv:2006.08195, in BigVGAN's form, 2206.04658).

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> SnakeBeta(3)(torch.zeros(1, 3, 5)).abs().sum().item()
        0.0
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        alpha, scale = self.factors()
        return x + scale[:, None] * torch.sin(x * alpha[:, None]).square()

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return what goes into the sine, and what its square is multiplied by, `[C]` each."""
        return self.alpha.exp(), (self.beta.exp() + _EPS).reciprocal()

    def stage(self) -> Stage:
        """Return a fresh stage."""
        alpha, scale = (factor.contiguous() for factor in self.factors())
        return Pointwise(lambda steps: kernels.snake(steps, alpha, scale))

    def into(self) -> Into:
        """Return a function that writes the result for `[n, C]` to memory of that shape, and returns it."""
        alpha, scale = (factor.detach().contiguous() for factor in self.factors())
        return lambda steps, out: out.copy_(kernels.snake(steps.detach(), alpha, scale))


class CausalUnit(Residual):
    """`x + mix(snake(conv(snake(x))))` with zeros before the signal; its stage is for inference only.

    Args:
        channels: C.
        dilation: of the first convolution.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> CausalUnit(3, dilation=9)(torch.zeros(1, 3, 5)).shape
        torch.Size([1, 3, 5])
    """

    def __init__(self, channels: int, *, dilation: int) -> None:
        wide = Conv1d(channels, channels, KERNEL_SIZE, dilation=dilation, padding=causal(KERNEL_SIZE, 1, dilation))
        mix = Conv1d(channels, channels, 1)
        super().__init__(Sequence(ActivatedConv(SnakeBeta(channels), wide), ActivatedConv(SnakeBeta(channels), mix)))
        self.dilation = dilation
        self._tables = Kept[Tables]()

    def stage(self) -> Stage:
        """Return a fresh stage."""
        weight = next(self.parameters())
        fast = weight.device.type == "cpu" and weight.dtype == torch.float32 and compiled("dilated") is not None
        return _CausalStage(self.tables(), self.dilation) if fast else super().stage()

    def tables(self) -> Tables:
        """Return the parameters as the products need them; made anew only after a parameter has changed."""
        return self._tables.of(list(self.parameters()), self._make_tables)

    def _make_tables(self) -> Tables:
        first, wide, second, mix = self._parts()
        before, after = (torch.stack(snake.factors()).detach() for snake in (first, second))
        return tables_from(before, wide, after, mix)

    def _parts(self) -> tuple[SnakeBeta, Conv1d, SnakeBeta, Conv1d]:
        assert isinstance(self.body, nn.Sequential)
        first, second = self.body
        assert isinstance(first, ActivatedConv) and isinstance(second, ActivatedConv)
        assert isinstance(first.act, SnakeBeta) and isinstance(second.act, SnakeBeta)
        return first.act, first.conv, second.act, second.conv


class _CausalStage:
    """A unit in the course of one signal."""

    def __init__(self, tables: Tables, dilation: int) -> None:
        self._tables, self._dilation = tables, dilation
        # SnakeBeta maps zero to zero, so the zeros before the signal may as well stand before it.
        self._held = tables.bias.new_zeros((KERNEL_SIZE - 1) * dilation, len(tables.bias))

    @torch.no_grad()
    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to `[n, C]`; nothing has to wait."""
        n = len(block)
        if not n:
            return block
        held, block, reach = self._held, block.contiguous(), len(self._held)
        tile = TILE * self._dilation
        inner = convolved(self._tables, self._dilation, held, block, -(-n // tile))
        out = torch.add(block, self._tables.mix_bias).addmm_(inner[:n], self._tables.mix)
        self._held = block[n - reach :].clone() if n >= reach else torch.cat([held[n:], block])
        return out
