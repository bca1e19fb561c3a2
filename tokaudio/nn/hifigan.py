"""Layers of codecs built like HiFi-GAN (Kong et al. 2020, arXiv:2010.05646, section 2.3), as NanoCodec is.

Between changes of rate stand residual branches of several kernel sizes side by side, whose results are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn import kernels
from tokaudio.nn.activations import ELU
from tokaudio.nn.conv import Conv1d, ConvStage, ConvTranspose1d, ConvTransposeStage
from tokaudio.nn.stages import Pipeline, Pointwise, Residual, Stage, stage_of
from tokaudio.nn.stages import Sequence as Modules

Activation = Literal["elu", "lrelu", "snake", "half_snake"]
Into = Callable[[Tensor, Tensor], Tensor]

_SLOPE = 0.01
_LOOP = 512
_PAIR = 2


@cache
def _compiled() -> Any:
    """Return the compiled functions, or None where numba is missing or broken."""
    try:
        from tokaudio.nn import _numba_hifigan
    except Exception:  # numba fails in many ways on platforms that it does not know
        return None
    return _numba_hifigan


class HalfSnake(nn.Module):
    """`x + sin(alpha x)^2 / (alpha + 1e-9)` for the first channels, and a leaky ReLU of slope 0.01 for the others.

    Args:
        channels: C.
        bent: number of channels with an alpha; half of them, rounded down, in NVIDIA's codecs.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> HalfSnake(3, 1)(torch.full((1, 3, 1), -1.0)).flatten().detach()
        tensor([-0.2919, -0.0100, -0.0100])
    """

    def __init__(self, channels: int, bent: int) -> None:
        super().__init__()
        self.channels, self.bent = channels, bent
        self.alpha = nn.Parameter(torch.ones(bent))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        bent, alpha = x[:, : self.bent], self.alpha[:, None]
        bent = bent + (alpha + 1e-9).reciprocal() * torch.sin(alpha * bent).square()
        return torch.cat([bent, F.leaky_relu(x[:, self.bent :], _SLOPE)], dim=1)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        into = self.into()
        return Pointwise(lambda steps: into(steps, steps.new_empty(steps.shape)))

    def into(self) -> Into:
        """Return a function that writes the result for `[n, C]` to memory of that shape, and returns it."""
        rest = self.alpha.new_zeros(self.channels - self.bent)
        alpha = torch.cat([self.alpha.detach(), rest])
        scale = torch.cat([(self.alpha.detach() + 1e-9).reciprocal(), rest])
        slope = torch.cat([torch.ones_like(self.alpha.detach()), rest + _SLOPE])
        # Several steps side by side where channels are few: loops are then long enough for whole vectors.
        side = max(1, _LOOP // self.channels)
        wide = [factor.repeat(side) for factor in (alpha, scale, slope)]

        def write(steps: Tensor, out: Tensor) -> Tensor:
            steps = steps.detach()
            compiled = _compiled() if steps.device.type == "cpu" and steps.dtype == torch.float32 else None
            if compiled is None:
                return out.copy_(self(steps.T[None])[0].T.detach())
            steps = steps.contiguous()
            full = len(steps) // side * side
            for part, target, factors in (
                (steps[:full].view(-1, side * self.channels), out[:full].view(-1, side * self.channels), wide),
                (steps[full:], out[full:], (alpha, scale, slope)),
            ):
                compiled.half_snake(part.numpy(), *(factor.numpy() for factor in factors), target.numpy())
            return out

        return write


class LeakyReLU(nn.Module):
    """x where it is positive, else a share of it.

    Args:
        slope: the share: a hundredth, as in NVIDIA's codecs.

    Example:
        >>> LeakyReLU()(torch.tensor([1.0, -1.0]))
        tensor([ 1.0000, -0.0100])
    """

    def __init__(self, slope: float = _SLOPE) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same."""
        return F.leaky_relu(x, self.slope)

    def into(self) -> Into:
        """Return a function that writes the result for `[n, C]` to memory of that shape, and returns it."""

        def write(steps: Tensor, out: Tensor) -> Tensor:
            written: Tensor = torch.ops.aten.leaky_relu.out(steps.detach(), self.slope, out=out)
            return written

        return write


def activation(name: Activation, channels: int) -> nn.Module:
    """Return an activation by the name that NVIDIA's configurations have for it.

    Raises:
        ValueError: if there is no such activation.

    Example:
        >>> activation("half_snake", 27).bent
        13
    """
    if name == "elu":
        return ELU()
    if name == "lrelu":
        return LeakyReLU()
    if name in ("snake", "half_snake"):
        return HalfSnake(channels, channels if name == "snake" else channels // 2)
    raise ValueError(f"activation must be one of elu, lrelu, snake, half_snake, got {name!r}")


class ActivatedConv(nn.Module):
    """An activation and a convolution, whose stage writes the one's results where the other reads them.

    Every activation here maps zero to zero and acts on each step alone, so that what the convolution adds at a
    signal's ends may be added before it or after it.

    Example:
        >>> ActivatedConv(LeakyReLU(), Conv1d(2, 3, 5, padding=(2, 2)))(torch.zeros(1, 2, 7)).shape
        torch.Size([1, 3, 7])
    """

    def __init__(self, act: nn.Module, conv: Conv1d) -> None:
        super().__init__()
        self.act, self.conv = act, conv

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, D, T']`."""
        out: Tensor = self.conv(self.act(x))
        return out

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return _ActivatedConvStage(self.conv, kernels.elu_into if isinstance(self.act, ELU) else self.act.into())  # type: ignore[operator]


class _ActivatedConvStage(ConvStage):
    """An activation and a convolution in the course of one signal."""

    def __init__(self, conv: Conv1d, into: Into) -> None:
        super().__init__(conv)
        self._into = into

    @torch.no_grad()
    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to `[m, D]`."""
        return super().__call__(block, last)

    def _joined(self, block: Tensor) -> Tensor:
        held = 0 if self._held is None else len(self._held)
        joined = block.new_empty(held + len(block), block.shape[1])
        if held and self._held is not None:
            joined[:held] = self._held
        self._into(block, joined[held:])
        return joined


class Clamp(nn.Module):
    """Cuts what is beyond -1 and 1.

    Example:
        >>> Clamp()(torch.tensor([-3.0, 0.5]))
        tensor([-1.0000,  0.5000])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same."""
        return x.clamp(-1.0, 1.0)


class PairUpsampling(nn.Module):
    """Transposed convolution in which every channel comes from a pair of channels; twice as many taps as its stride.

    Args:
        channels: C, even.
        stride: s.
        trim: steps cut off before and after; s in all.

    Shape:
        input `[B, C, T]`, output `[B, C / 2, T * s]`.

    Example:
        >>> PairUpsampling(6, 4, trim=(0, 4))(torch.zeros(1, 6, 5)).shape
        torch.Size([1, 3, 20])
    """

    def __init__(self, channels: int, stride: int, *, trim: tuple[int, int]) -> None:
        super().__init__()
        if channels % _PAIR:
            raise ValueError(f"channels must be even, got {channels}")
        self.in_channels, self.out_channels = channels, channels // _PAIR
        self.stride, self.kernel_size, self.trim = stride, 2 * stride, trim
        self.weight = nn.Parameter(torch.empty(channels, 1, 2 * stride).uniform_(-0.5, 0.5))
        self.bias = nn.Parameter(torch.zeros(self.out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C / 2, T * s]`."""
        full = F.conv_transpose1d(x, self.weight, self.bias, self.stride, groups=self.out_channels)
        return full[..., self.trim[0] : full.shape[-1] - self.trim[1]]

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return ConvTransposeStage(cast(ConvTranspose1d, self))

    @torch.no_grad()
    def spread(self, steps: Tensor) -> Tensor:
        """Map `[n + 1, C]` to the `n * stride` steps `[., C / 2]` between the first step and after the last."""
        pairs = steps.unflatten(1, (-1, _PAIR)).movedim(2, 0).contiguous()
        # [C / 2, pair, now or before, s] to [now or before, pair, s, C / 2].
        taps = self.weight.view(-1, _PAIR, 2, self.stride).permute(2, 1, 3, 0).contiguous()
        out = steps.new_empty(len(steps) - 1, self.stride, self.out_channels)
        compiled = _compiled() if steps.device.type == "cpu" and steps.dtype == torch.float32 else None
        if compiled is not None:
            compiled.spread_pairs(pairs.numpy(), taps.numpy(), self.bias.detach().numpy(), out.numpy())
        else:
            out[:] = self.bias
            for delay, pair in ((0, 0), (0, 1), (1, 0), (1, 1)):
                out.addcmul_(pairs[pair, 1 - delay : len(steps) - delay, None], taps[delay, pair])
        return out.flatten(0, 1)


class Mean(nn.Module):
    """The mean of several modules' results for the same input.

    Example:
        >>> Mean([nn.ReLU(), nn.Identity()])(torch.tensor([-2.0, 2.0]))
        tensor([-1.,  2.])
    """

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, D, T']`."""
        first, *others = self.branches
        total: Tensor = first(x)
        for branch in others:
            total = total + branch(x)
        return total / len(self.branches)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return _MeanStage([stage_of(branch) for branch in self.branches])


class Late:
    """Steps that wait for what comes later of them: the next ones are added to results without being joined first."""

    def __init__(self) -> None:
        self.waiting: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.waiting is None else len(self.waiting)

    def add_to(self, out: Tensor, block: Tensor) -> None:
        """Add the first `len(out)` of the steps that wait and `block` to `out`; the others wait on."""
        n, held = len(out), len(self)
        early = min(n, held)
        if early and self.waiting is not None:
            out[:early] += self.waiting[:early]
        if n > early:
            out[early:] += block[: n - early]
        if n >= held:
            self.waiting = block[n - held :].clone() if n - held < len(block) else None
        elif self.waiting is not None:
            self.waiting = torch.cat([self.waiting[n:], block])


class ResidualUnit(Residual):
    """A [`Residual`][tokaudio.nn.stages.Residual] whose body owns its results, so that its input may be added to them.

    Example:
        >>> unit = ResidualUnit(ActivatedConv(LeakyReLU(), Conv1d(2, 2, 3, padding=(1, 1))))
        >>> unit(torch.zeros(1, 2, 5)).shape
        torch.Size([1, 2, 5])
    """

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return _UnitStage(stage_of(self.body))


class _UnitStage:
    """A residual unit in the course of one signal."""

    def __init__(self, body: Stage) -> None:
        self._body, self._past = body, Late()

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to the steps `[m, C]` for which the body is ready."""
        out = self._body(block, last)
        self._past.add_to(out, block)
        return out


class _MeanStage:
    """Branches in the course of one signal: what is ready in one of them waits for the others."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = [(stage, Late()) for stage in stages]

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to the steps `[m, D]` for which all branches are ready."""
        results = [stage(block, last) for stage, _ in self._stages]
        ready = min(len(late) + len(result) for result, (_, late) in zip(results, self._stages, strict=True))
        total = results[0].new_zeros(ready, results[0].shape[1])
        for result, (_, late) in zip(results, self._stages, strict=True):
            late.add_to(total, result)
        return total.div_(len(results))


def residual_layer(
    channels: int,
    name: Activation,
    kernel_sizes: Sequence[int],
    dilations: Sequence[int],
    conv: Callable[[int, int, int, int], Conv1d],
) -> Mean:
    """Return the branches between two changes of rate: one per kernel size, each a chain of one unit per dilation.

    Args:
        channels: C.
        name: of the activations.
        kernel_sizes: of the branches.
        dilations: of the first convolution of each unit; that of the second is 1.
        conv: makes a convolution from its channels in and out, its kernel size and its dilation.

    Example:
        >>> def conv(c, d, k, dilation):
        ...     return Conv1d(c, d, k, dilation=dilation, padding=((k - 1) * dilation, 0))
        >>> residual_layer(4, "lrelu", (3, 7), (1, 5), conv)(torch.zeros(1, 4, 9)).shape
        torch.Size([1, 4, 9])
    """

    def unit(size: int, dilation: int) -> ResidualUnit:
        first, second = conv(channels, channels, size, dilation), conv(channels, channels, size, 1)
        return ResidualUnit(
            Modules(ActivatedConv(activation(name, channels), first), ActivatedConv(activation(name, channels), second))
        )

    return Mean([Modules(*(unit(size, dilation) for dilation in dilations)) for size in kernel_sizes])


def in_order(modules: Sequence[nn.Module]) -> Stage:
    """Return one stage of several modules, one after the other.

    Example:
        >>> in_order([nn.ReLU(), nn.Tanh()])(torch.zeros(2, 3), last=True).shape
        torch.Size([2, 3])
    """
    return Pipeline(stage_of(module) for module in modules)
