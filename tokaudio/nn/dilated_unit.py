"""The residual unit of DAC: Snake, a dilated convolution of 7 taps, Snake and a mixture of channels.

On blocks the convolution takes 16 products for every 4 steps where the definition takes 28. Taps 0 to 2 and 4 to 6 are
two filters of 3 taps, each computed for 4 steps at a time from 6 products (Winograd 1980; Lavin and Gray 2015,
arXiv:1509.09308, section 4, F(4, 3) with the points 0, 1, -1, 2, -2 and infinity). They lie 4 steps apart, so that one
transform of the signal serves both; tap 3 is a product of its own. Rounding is about 1.2 times that of plain sums.
A dilation d only means that a step is d steps wide.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tokaudio.nn.activations import Snake
from tokaudio.nn.compiled import compiled
from tokaudio.nn.conv import Conv1d
from tokaudio.nn.kept import Kept
from tokaudio.nn.stages import Residual, Sequence, Stage
from tokaudio.nn.winograd import FILTER, TILE

KERNEL_SIZE = 7


class Tables(NamedTuple):
    """The parameters as the products need them.

    Attributes:
        near: factors for taps 0 to 2, `[6, C, C]`, input channels first.
        far: factors for taps 4 to 6, `[6, C, C]`.
        middle: tap 3, `[C, C]`.
        bias: of the convolution `[C]`.
        first, second: alpha and the reciprocal of both Snakes, `[2, C]` each.
        mix: of channels `[C, C]`.
        mix_bias: `[C]`.
    """

    near: Tensor
    far: Tensor
    middle: Tensor
    bias: Tensor
    first: Tensor
    second: Tensor
    mix: Tensor
    mix_bias: Tensor


class DilatedUnit(Residual):
    """`x + mix(snake(conv(snake(x))))` with zeros at both ends; its stage is for inference only.

    Args:
        channels: C.
        dilation: of the first convolution.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> DilatedUnit(3, dilation=9)(torch.zeros(1, 3, 5)).shape
        torch.Size([1, 3, 5])
    """

    def __init__(self, channels: int, *, dilation: int) -> None:
        self.dilation = dilation
        reach = (KERNEL_SIZE - 1) // 2 * dilation
        wide = Conv1d(channels, channels, KERNEL_SIZE, dilation=dilation, padding=(reach, reach))
        super().__init__(Sequence(Snake(channels), wide, Snake(channels), Conv1d(channels, channels, 1)))
        self._tables = Kept[Tables]()

    def stage(self) -> Stage:
        """Return a fresh stage."""
        weight = next(self.parameters())
        fast = weight.device.type == "cpu" and weight.dtype == torch.float32 and compiled("dilated") is not None
        return UnitStage(self) if fast else super().stage()

    def tables(self) -> Tables:
        """Return the parameters as the products need them; made anew only after a parameter has changed."""
        return self._tables.of(list(self.parameters()), lambda: tables_of(self))


@torch.no_grad()
def tables_of(unit: DilatedUnit) -> Tables:
    """Compute what `DilatedUnit.tables` returns.

    Example:
        >>> tables_of(DilatedUnit(4, dilation=1)).near.shape
        torch.Size([6, 4, 4])
    """
    first, wide, second, mix = _parts(unit)
    before, after = (torch.stack([s.alpha, (s.alpha + 1e-9).reciprocal()]) for s in (first, second))
    return tables_from(before, wide, after, mix)


@torch.no_grad()
def tables_from(before: Tensor, wide: Conv1d, after: Tensor, mix: Conv1d) -> Tables:
    """Return the tables of a unit of these Snakes, `[2, C]` each, and convolutions.

    Example:
        >>> snake = torch.ones(2, 4)
        >>> tables_from(snake, Conv1d(4, 4, 7), snake, Conv1d(4, 4, 1)).far.shape
        torch.Size([6, 4, 4])
    """
    taps = wide.weight.permute(2, 1, 0).double()
    factors = torch.tensor(FILTER, dtype=torch.float64)

    def transformed(start: int) -> Tensor:
        return torch.tensordot(factors, taps[start : start + 3], 1).float().contiguous()

    middle, single = taps[3].float().contiguous(), mix.weight[:, :, 0].T
    assert wide.bias is not None and mix.bias is not None
    bias, mix_bias = wide.bias.detach().contiguous(), mix.bias.detach()
    return Tables(transformed(0), transformed(4), middle, bias, before, after, single.detach(), mix_bias)


def _parts(unit: DilatedUnit) -> tuple[Snake, Conv1d, Snake, Conv1d]:
    assert isinstance(unit.body, nn.Sequential)
    first, wide, second, mix = unit.body
    assert isinstance(first, Snake) and isinstance(second, Snake)
    assert isinstance(wide, Conv1d) and isinstance(mix, Conv1d)
    return first, wide, second, mix


class UnitStage:
    """A unit in the course of one signal.

    Snake maps zero to zero, so the zeros that the convolution sees beyond the signal's ends may as well stand before
    the first Snake.
    """

    def __init__(self, unit: DilatedUnit) -> None:
        self._tables, self._dilation = unit.tables(), unit.dilation
        # The convolution begins half its span before the signal.
        self._held = self._tables.bias.new_zeros(3 * unit.dilation, len(self._tables.bias))

    @torch.no_grad()
    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to `[m, C]`, m a multiple of 4 d except at the end."""
        held, block, d = self._held, block.contiguous(), self._dilation
        ready = len(held) + len(block) + (3 * d if last else 0) - 6 * d
        m = ready if last else ready // (TILE * d) * (TILE * d)
        if m <= 0:
            self._held = torch.cat([held, block])
            return block.new_empty(0, block.shape[1])
        inner = convolved(self._tables, d, held, block, -(-m // (TILE * d)))
        past, rest = held[3 * d : 3 * d + m], max(0, 3 * d + m - len(held))
        out = block.new_empty(m, block.shape[1])
        torch.add(past, self._tables.mix_bias, out=out[: m - rest])
        torch.add(block[:rest], self._tables.mix_bias, out=out[m - rest :])
        taken = max(0, m - len(held))
        self._held = torch.cat([held[m:], block[taken:]])
        return out.addmm_(inner[:m], self._tables.mix)


def convolved(tables: Tables, dilation: int, held: Tensor, block: Tensor, tiles: int) -> Tensor:
    """Return `snake(conv(snake(x)))`, `[4 d tiles, C]`, of pieces `[h, C]` and `[n, C]` in a row, zeros after them."""
    loops, d, channels = compiled("dilated"), dilation, block.shape[1]
    m = TILE * d * tiles
    active = block.new_empty(m + 6 * d, channels)
    given = min(len(block), len(active) - len(held))
    at = len(held) + given
    for piece, rows in ((held, active[: len(held)]), (block[:given], active[len(held) : at])):
        loops.snake(piece.numpy(), *(row.numpy() for row in tables.first), rows.numpy())
    active[at:] = 0
    products, inner = products_of(tables, d, active)
    loops.gather_snake(products.numpy(), tables.bias.numpy(), *(row.numpy() for row in tables.second), inner.numpy())
    return inner.view(-1, channels)


def products_of(tables: Tables, dilation: int, active: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the convolution of steps `[4 d n + 6 d, C]` is gathered from.

    Returns:
        The products of the two filters `[6, n, d, C]`, and those of tap 3 `[n, 4, d, C]`.

    Example:
        >>> tables = tables_of(DilatedUnit(4, dilation=3))
        >>> [made.shape for made in products_of(tables, 3, torch.zeros(42, 4))]
        [torch.Size([6, 2, 3, 4]), torch.Size([2, 4, 3, 4])]
    """
    d, channels = dilation, active.shape[1]
    tiles = len(active) // (TILE * d) - 1
    spread = active.new_empty(6, tiles + 1, d * channels)
    compiled("dilated").spread(active.view(-1, 1, d * channels).numpy(), spread.numpy())
    products = active.new_empty(6, tiles * d, channels)
    for point, near, far, out in zip(spread.view(6, -1, channels), tables.near, tables.far, products, strict=True):
        torch.mm(point[: tiles * d], near, out=out)
        out.addmm_(point[d:], far)
    inner = active[3 * d : -3 * d] @ tables.middle
    return products.view(6, tiles, d, channels), inner.view(tiles, TILE, d, channels)
