"""Convolutions with group norm over channels and all of time, as EnCodec at 48 kHz has them (arXiv:2210.13438, 3.2).

A norm is known only when the whole signal has been convolved, so layers run one after the other over all of it. But a
norm with one group is one factor and one summand per channel: they are applied where the next convolution reads, in
one pass with the activation, and nothing normalised is ever kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.activations import ELU
from tokaudio.nn.bare import convolve, spread
from tokaudio.nn.compiled import compiled
from tokaudio.nn.conv import Conv1d, ConvTranspose1d, pad
from tokaudio.nn.lstm import SkipLSTM
from tokaudio.nn.stages import Residual, Sequence, Stage, Whole, stage_of

# Numbers in the widest tensor of a slice: a megabyte, so that what one step writes the next finds in the cache.
_SLICE = 2**18


class Normed(nn.Module):
    """A convolution, then group norm with one group: over channels and all of time, so its stage waits for the end.

    Args:
        conv: the convolution, of D channels.
        channels: D.
        trim: steps cut off before and after, which the norm's statistics count.

    Example:
        >>> Normed(Conv1d(2, 3, 1), 3, trim=(1, 0))(torch.ones(1, 2, 5)).shape
        torch.Size([1, 3, 4])
    """

    def __init__(self, conv: Conv1d | ConvTranspose1d, channels: int, *, trim: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.conv, self.norm, self.trim = conv, nn.GroupNorm(1, channels), trim

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, D, T']`."""
        out: Tensor = self.norm(self.conv(x))
        return out[..., self.trim[0] : out.shape[-1] - self.trim[1]]

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return normed_stage([self])

    def over(self, signal: Signal, *, elu: bool = False) -> Signal:
        """Return the result over a whole signal, through ELU first if asked."""
        length = len(signal.rows) + 1 if isinstance(self.conv, ConvTranspose1d) else _steps(self.conv, len(signal.rows))
        widest = max(self.conv.in_channels, self.conv.out_channels) * self.conv.stride
        slices = max(1, -(-length * widest // _SLICE))
        moments = torch.zeros(2, dtype=torch.float64)
        bias = self.norm.bias.new_zeros(self.conv.out_channels) if self.conv.bias is None else self.conv.bias.detach()
        growth = self.conv.stride if isinstance(self.conv, ConvTranspose1d) else 1
        rows = signal.rows.new_empty(length * growth, self.conv.out_channels)
        matrix = None if elu else self._matrix(signal)
        if matrix is not None:
            bias = torch.addmv(bias, self.conv.weight.detach()[:, :, 0], signal.shift)
        for number in range(slices):
            start, stop = length * number // slices, length * (number + 1) // slices
            out = rows[start * growth : stop * growth]
            if matrix is not None:
                torch.mm(signal.rows[start:stop], matrix, out=out)
            else:
                self._convolve(signal, start, stop, out, elu=elu)
            add_moments(out, bias, moments)
        scale, shift = self._affine(moments, rows.numel())
        shift += bias * scale
        return Signal(rows[self.trim[0] : len(rows) - self.trim[1]], scale, shift)

    def _matrix(self, signal: Signal) -> Tensor | None:
        """Return the weight `[C, D]` of a convolution of one tap with a signal's factor in it; None for others.

        `(x * scale + shift) W` is `x (scale W) + shift W`, so nothing has to be normalised before such a product.
        """
        conv = self.conv
        if not isinstance(conv, Conv1d) or signal.other is not None:
            return None
        plain = (conv.kernel_size, conv.stride, conv.groups, *conv.padding) == (1, 1, 1, 0, 0)
        return (conv.weight.detach()[:, :, 0] * signal.scale).T if plain else None

    def _convolve(self, signal: Signal, start: int, stop: int, out: Tensor, *, elu: bool) -> None:
        """Write the steps from `start` to `stop`, without the bias; a transposed convolution has `stride` for each."""
        conv = self.conv
        if isinstance(conv, ConvTranspose1d):
            spread(conv, _window(signal, start - 1, stop, elu=elu), out)
            return
        first = start * conv.stride - conv.padding[0]
        after = (stop - 1) * conv.stride - conv.padding[0] + conv.span
        convolve(conv, _window(signal, first, after, elu=elu, conv=conv), out)

    def _affine(self, moments: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return factor and summand `[D]` of the norm."""
        mean, square = (moments / count).tolist()
        scale = self.norm.weight.detach() * (max(square - mean * mean, 0.0) + self.norm.eps) ** -0.5
        return scale, self.norm.bias.detach() - scale * mean


@dataclass
class Signal:
    """A whole signal `rows * scale + shift`, and maybe another one that is added to it.

    Attributes:
        rows: `[n, C]`.
        scale: `[C]`.
        shift: `[C]`.
        other: of the same shape, without another one of its own.
    """

    rows: Tensor
    scale: Tensor
    shift: Tensor
    other: Signal | None = None

    @classmethod
    def plain(cls, rows: Tensor) -> Signal:
        """Return a signal that is its rows, without their gradients: stages are for inference."""
        return cls(rows.detach(), rows.new_ones(rows.shape[1]), rows.new_zeros(rows.shape[1]))

    def write(self, start: int, out: Tensor, *, elu: bool) -> None:
        """Write the steps from `start` on to `out` `[m, C]`, through ELU if asked."""
        rows = self.rows[start : start + len(out)]
        other = None if self.other is None else self.other.rows[start : start + len(out)]
        passes = compiled("normed") if out.device.type == "cpu" else None
        if passes is None:
            value = torch.addcmul(self.shift, rows, self.scale)
            if self.other is not None and other is not None:
                value += torch.addcmul(self.other.shift, other, self.other.scale)
            out.copy_(F.elu(value) if elu else value)
        elif self.other is None or other is None:
            (passes.affine_elu if elu else passes.affine)(
                rows.numpy(), self.scale.numpy(), self.shift.numpy(), out.numpy()
            )
        else:
            (passes.affine_sum_elu if elu else passes.affine_sum)(
                rows.numpy(),
                self.scale.numpy(),
                other.numpy(),
                self.other.scale.numpy(),
                (self.shift + self.other.shift).numpy(),
                out.numpy(),
            )

    def value(self, *, elu: bool = False) -> Tensor:
        """Return the steps `[n, C]`, through ELU if asked."""
        out = self.rows.new_empty(self.rows.shape)
        self.write(0, out, elu=elu)
        return out


def normed_stage(layers: Iterable[nn.Module]) -> Stage:
    """Return one stage of layers, some of which are normalised; it waits for the end.

    Example:
        >>> layers = [Normed(Conv1d(2, 3, 3, padding=(1, 1)), 3), ELU(), Normed(Conv1d(3, 2, 1), 2)]
        >>> with torch.no_grad():
        ...     normed_stage(layers)(torch.zeros(5, 2), True).shape
        torch.Size([5, 2])
    """
    kept = list(layers)
    return Whole(lambda steps: each_alone(kept, [steps])[0])


def over_all(layers: Iterable[nn.Module], signal: Signal) -> Signal:
    """Return the result of layers one after the other over a whole signal.

    Example:
        >>> over_all([nn.Tanh()], Signal.plain(torch.zeros(5, 2))).value().shape
        torch.Size([5, 2])
    """
    elu = False
    for layer in layers:
        if isinstance(layer, ELU):
            elu = True
            continue
        if isinstance(layer, Normed):
            signal = layer.over(signal, elu=elu)
        elif isinstance(layer, Residual) and not elu:
            signal = _residual(layer, signal)
        else:
            signal = Signal.plain(stage_of(layer)(signal.value(elu=elu), True))
        elu = False
    return Signal.plain(signal.value(elu=True)) if elu else signal


def each_alone(layers: Iterable[nn.Module], blocks: Iterable[Tensor]) -> list[Tensor]:
    """Return the result of layers for several whole signals `[n, C]`: each as alone, LSTM layers all at once.

    Example:
        >>> [out.shape for out in each_alone([nn.Tanh()], [torch.zeros(5, 2), torch.zeros(3, 2)])]
        [torch.Size([5, 2]), torch.Size([3, 2])]
    """
    signals = [Signal.plain(block) for block in blocks]
    for recurrent, some in itertools.groupby(layers, lambda layer: isinstance(layer, SkipLSTM)):
        run = list(some)
        if not recurrent:
            signals = [over_all(run, signal) for signal in signals]
            continue
        values = [signal.value() for signal in signals]
        for lstm in run:
            assert isinstance(lstm, SkipLSTM)
            values = lstm.together(values)
        signals = [Signal.plain(value) for value in values]
    return [signal.value() for signal in signals]


def _residual(unit: Residual, signal: Signal) -> Signal:
    if signal.other is not None:
        signal = Signal.plain(signal.value())
    past = signal if unit.shortcut is None else over_all([unit.shortcut], signal)
    body = over_all(unit.body if isinstance(unit.body, Sequence) else [unit.body], signal)
    if body.other is not None or past.other is not None:
        return Signal.plain(body.value() + past.value())
    return Signal(body.rows, body.scale, body.shift, past)


def add_moments(rows: Tensor, bias: Tensor, out: Tensor) -> None:
    """Add the sum and the sum of squares of `rows + bias`, in float64, to the two numbers of `out`.

    Example:
        >>> out = torch.zeros(2, dtype=torch.float64)
        >>> add_moments(torch.tensor([[1.0, 2.0], [3.0, 3.0]]), torch.tensor([0.0, 1.0]), out)
        >>> out
        tensor([11., 35.], dtype=torch.float64)
    """
    passes = compiled("normed") if rows.device.type == "cpu" else None
    if passes is not None:
        passes.add_moments(rows.numpy(), bias.numpy(), out.numpy())
        return
    double = (rows + bias).double()
    out += torch.stack([double.sum(), double.square().sum()]).cpu()


def _steps(conv: Conv1d, length: int) -> int:
    """Return how many steps a convolution gives for a signal of so many."""
    return (length + conv.padding[0] + conv.end_padding(length) - conv.span) // conv.stride + 1


def _window(signal: Signal, start: int, stop: int, *, elu: bool, conv: Conv1d | None = None) -> Tensor:
    """Return the steps from `start` to `stop` of a signal that is padded at both ends: with zeros, or for `conv`."""
    length = len(signal.rows)
    out = signal.rows.new_empty(stop - start, signal.rows.shape[1])
    first, after = max(start, 0), min(stop, length)
    mode = "zeros" if conv is None else conv.mode
    left, right = max(0, -start), max(0, stop - length)
    if mode != "zeros" and max(left, right) >= after - first:
        # Too short to hold what it mirrors: by way of the whole, which is short too.
        assert conv is not None
        padded = pad(signal.value(elu=elu), conv.padding[0], conv.end_padding(length), conv.mode)
        return padded[start + conv.padding[0] : stop + conv.padding[0]].contiguous()
    signal.write(first, out[left : left + after - first], elu=elu)
    if mode == "zeros":
        out[:left], out[len(out) - right :] = 0.0, 0.0
    elif mode == "replicate":
        out[:left], out[len(out) - right :] = out[left], out[len(out) - right - 1]
    else:
        if left:
            out[:left] = out[left + 1 : 2 * left + 1].flip(0)
        if right:
            end = len(out) - right
            out[end:] = out[end - 1 - right : end - 1].flip(0)
    return out
