"""The residual unit of SQ-Codec: a dilated convolution and a mixture of channels, each with a PReLU after it.

On blocks a convolution of 7 taps takes the fewer products that
[`DilatedUnit`][tokaudio.nn.dilated_unit.DilatedUnit] describes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.compiled import compiled
from tokaudio.nn.conv import Conv1d, causal
from tokaudio.nn.dilated_unit import KERNEL_SIZE, Tables, products_of, tables_from
from tokaudio.nn.kept import Kept
from tokaudio.nn.stages import Pointwise, Residual, Sequence, Stage
from tokaudio.nn.winograd import TILE


class PReLU(nn.Module):
    """x where it is positive, else `slope * x` with one learned slope (arXiv:1502.01852).

    Its stage works in place: what it is given must be the caller's own, such as a convolution's result.

    Example:
        >>> PReLU()(torch.tensor([1.0, -1.0])).tolist()
        [1.0, -0.25]
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.25]))

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same."""
        return F.prelu(x, self.weight)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        if torch.is_grad_enabled() and self.weight.requires_grad:
            return Pointwise(self)
        slope = float(self.weight)
        return Pointwise(lambda steps: F.leaky_relu(steps, slope, inplace=True))


class PReLUUnit(Residual):
    """`x + prelu(mix(prelu(conv(x))))`; its stage is for inference only.

    Args:
        channels: C.
        kernel_size: taps of the convolution, odd.
        dilation: their distance.
        back: whether it looks back only; else it sees zeros at both ends.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> PReLUUnit(3, 7, dilation=9, back=True)(torch.zeros(1, 3, 5)).shape
        torch.Size([1, 3, 5])
    """

    def __init__(self, channels: int, kernel_size: int, *, dilation: int, back: bool) -> None:
        self.kernel_size, self.dilation = kernel_size, dilation
        reach = (kernel_size - 1) // 2 * dilation
        padding = causal(kernel_size, 1, dilation) if back else (reach, reach)
        wide = Conv1d(channels, channels, kernel_size, dilation=dilation, padding=padding)
        super().__init__(Sequence(wide, PReLU(), Conv1d(channels, channels, 1), PReLU()))
        self._tables = Kept[Tables]()

    def stage(self) -> Stage:
        """Return a fresh stage."""
        weight = next(self.parameters())
        plain = weight.device.type == "cpu" and weight.dtype == torch.float32
        fast = plain and self.kernel_size == KERNEL_SIZE and compiled("dilated") is not None
        return _UnitStage(self) if fast else super().stage()

    def tables(self) -> Tables:
        """Return the parameters as the products need them; made anew only after a parameter has changed."""
        return self._tables.of(list(self.parameters()), self._make_tables)

    def _make_tables(self) -> Tables:
        wide, _, mix, _ = self.parts()
        none = wide.weight.new_empty(2, 0)
        return tables_from(none, wide, none, mix)

    def parts(self) -> tuple[Conv1d, PReLU, Conv1d, PReLU]:
        """Return the layers."""
        assert isinstance(self.body, nn.Sequential)
        wide, first, mix, second = self.body
        assert isinstance(wide, Conv1d) and isinstance(first, PReLU)
        assert isinstance(mix, Conv1d) and isinstance(second, PReLU)
        return wide, first, mix, second


class _UnitStage:
    """A unit in the course of one signal."""

    def __init__(self, unit: PReLUUnit) -> None:
        wide, first, _, second = unit.parts()
        self._tables, self._dilation = unit.tables(), unit.dilation
        self._slopes = float(first.weight), float(second.weight)
        self._before, self._after = wide.padding
        self._held = self._tables.bias.new_zeros(self._before, len(self._tables.bias))

    @torch.no_grad()
    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to `[m, C]`, m a multiple of 4 d except at the end."""
        held, block, d = self._held, block.contiguous(), self._dilation
        ready = len(held) + len(block) + (self._after if last else 0) - (KERNEL_SIZE - 1) * d
        m = ready if last else ready // (TILE * d) * (TILE * d)
        if m <= 0:
            self._held = torch.cat([held, block])
            return block.new_empty(0, block.shape[1])
        inner = self._convolved(block, -(-m // (TILE * d)))
        out = torch.addmm(self._tables.mix_bias, inner[:m], self._tables.mix)
        F.leaky_relu(out, self._slopes[1], inplace=True)
        past, rest = held[self._before : self._before + m], max(0, self._before + m - len(held))
        out[: m - rest] += past
        out[m - rest :] += block[:rest]
        taken = max(0, m - len(held))
        self._held = torch.cat([held[m:], block[taken:]])
        return out

    def _convolved(self, block: Tensor, tiles: int) -> Tensor:
        """Return `prelu(conv(x))`, `[4 d tiles, C]`, of what is held and the block, with zeros after them."""
        held, d, channels = self._held, self._dilation, block.shape[1]
        active = block.new_empty((TILE * tiles + KERNEL_SIZE - 1) * d, channels)
        given = min(len(block), len(active) - len(held))
        at = len(held) + given
        active[: len(held)], active[len(held) : at], active[at:] = held, block[:given], 0
        products, inner = products_of(self._tables, d, active)
        compiled("dilated").gather_prelu(products.numpy(), self._tables.bias.numpy(), self._slopes[0], inner.numpy())
        return inner.view(-1, channels)
