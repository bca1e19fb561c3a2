"""LSTM layers with a skip connection, as SEANet has them at its bottleneck (arXiv:2210.13438, section 3.2).

On blocks, the products of a whole block with the input weights are one matrix product; what is left is serial and
bound by reading the recurrent weights, which a compiled loop does at full width.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tokaudio.nn.compiled import compiled
from tokaudio.nn.kept import Kept
from tokaudio.nn.stages import Stage, Whole
from tokaudio.nn.windows import Windowed, Windows

# Steps of one product with the input weights where the whole signal is at hand.
_BLOCK = 256
# What one signal carries along per layer: hidden state [H] and cell state [H].
State = tuple[Tensor, Tensor]


class SkipLSTM(nn.Module):
    """`lstm(x) + x` over time, `[B, C, T]`; in both directions `lstm(x) + (x, x)`, with twice the channels.

    The weights are those of [`torch.nn.LSTM`][torch.nn.LSTM], under `lstm.`.

    Args:
        channels: C; also the width of each direction.
        layers: how many are stacked.
        bidirectional: runs over the whole signal in both directions, so its stage waits for the end.

    Attributes:
        windows: how its stage cuts long signals, where it runs in both directions; None to wait for the end always.

    Example:
        >>> SkipLSTM(8)(torch.zeros(1, 8, 5)).shape, SkipLSTM(8, bidirectional=True)(torch.zeros(1, 8, 5)).shape
        (torch.Size([1, 8, 5]), torch.Size([1, 16, 5]))
    """

    def __init__(self, channels: int, *, layers: int = 2, bidirectional: bool = False) -> None:
        super().__init__()
        self.channels, self.layers, self.bidirectional = channels, layers, bidirectional
        self.lstm = nn.LSTM(channels, channels, layers, bidirectional=bidirectional)
        self.windows: Windows | None = None
        self._packed: dict[str, Kept[_Layer]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`, or to `[B, 2 C, T]` in both directions."""
        steps = x.permute(2, 0, 1)
        out: Tensor = self.lstm(steps)[0]
        return (out + (steps.repeat(1, 1, 2) if self.bidirectional else steps)).permute(1, 2, 0)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        if self.bidirectional:
            return Whole(self._both_ways) if self.windows is None else Windowed(self._both_ways, self.windows)
        return LSTMStage(self)

    def _both_ways(self, steps: Tensor) -> Tensor:
        if not len(steps):
            return steps.new_empty(0, 2 * self.channels)
        past = steps
        for number in range(self.layers):
            out = past.new_empty(len(past), 2 * self.channels)
            # In blocks: a block's input products are four times as wide as its results.
            ahead, back = self.zeros(), self.zeros()
            pieces = list(zip(past.split(_BLOCK), out.split(_BLOCK), strict=True))
            for inputs, results in pieces:
                results[:, : self.channels] = self.run(number, inputs, ahead)
            for inputs, results in reversed(pieces):
                results[:, self.channels :] = self.run(number, inputs.flip(0), back, suffix="_reverse").flip(0)
            past = out
        past[:, : self.channels] += steps
        past[:, self.channels :] += steps
        return past

    def zeros(self) -> State:
        """Return the state before the first step: hidden and cell `[C]`."""
        weight = next(self.lstm.parameters())
        return weight.new_zeros(self.channels), weight.new_zeros(self.channels)

    def run(self, number: int, steps: Tensor, state: State, *, suffix: str = "") -> Tensor:
        """Return the results `[n, C]` of one layer over `[n, D]`; its state is updated in place.

        Args:
            number: of the layer, from 0.
            steps: its input.
            state: hidden and cell `[C]`.
            suffix: `"_reverse"` for the second direction.
        """
        if not len(steps):
            return steps.new_empty(0, self.channels)
        loops = compiled("recurrent") if self._compilable(steps) else None
        if loops is None:
            return self._plain(f"l{number}{suffix}", steps, state)
        layer = self._layer(f"l{number}{suffix}", loops.UNITS)
        products = torch.addmm(layer.bias, steps, layer.inputs)
        out = steps.new_empty(len(steps), self.channels)
        loops.lstm(products.numpy(), layer.recurrent.numpy(), state[0].numpy(), state[1].numpy(), out.numpy())
        return out

    def together(self, signals: Sequence[Tensor]) -> list[Tensor]:
        """Return `lstm(x) + x` of several whole signals `[n, C]`, each as it would be alone, reading weights once.

        Example:
            >>> lstm = SkipLSTM(32).requires_grad_(False)
            >>> [out.shape for out in lstm.together([torch.zeros(2, 32), torch.zeros(5, 32)])]
            [torch.Size([2, 32]), torch.Size([5, 32])]
        """
        loops = compiled("lanes") if signals and self._compilable(signals[0]) else None
        if loops is None:
            return [self.stage()(signal, True) for signal in signals]
        order = sorted(range(len(signals)), key=lambda number: -len(signals[number]))
        sizes = [len(signals[number]) for number in order]
        starts = torch.tensor([0, *itertools.accumulate(sizes)]).numpy()
        outs = [signals[number] for number in order]
        for name in (f"l{number}" for number in range(self.layers)):
            layer = self._layer(name, loops.UNITS)
            # One product for each signal, of a shape that does not depend on the others.
            products = torch.cat([torch.addmm(layer.bias, steps, layer.inputs) for steps in outs])
            out, state = (
                products.new_empty(len(products), self.channels),
                products.new_zeros(2, len(outs), self.channels),
            )
            loops.lstm(
                products.numpy(), starts, layer.recurrent.numpy(), state[0].numpy(), state[1].numpy(), out.numpy()
            )
            outs = list(out.split(sizes))
        results = {number: steps + signals[number] for number, steps in zip(order, outs, strict=True)}
        return [results[number] for number in range(len(signals))]

    def _compilable(self, steps: Tensor) -> bool:
        plain = steps.device.type == "cpu" and steps.dtype == torch.float32 and not torch.is_grad_enabled()
        return plain and self.channels % 32 == 0

    def _plain(self, name: str, steps: Tensor, state: State) -> Tensor:
        weights = [getattr(self.lstm, f"{kind}_{name}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        hx = [part[None, None].clone() for part in state]
        out, hidden, cell = torch.lstm(steps[:, None], hx, weights, True, 1, 0.0, False, False, False)
        state[0].copy_(hidden[0, 0])
        state[1].copy_(cell[0, 0])
        return out[:, 0]

    def _layer(self, name: str, units: int) -> _Layer:
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights: list[Tensor] = [getattr(self.lstm, f"{kind}_{name}") for kind in kinds]
        return self._packed.setdefault(name, Kept()).of(weights, lambda: _Layer(weights, units))


class LSTMStage:
    """Stacked layers with a skip connection in the course of one signal."""

    def __init__(self, lstm: SkipLSTM) -> None:
        self._lstm = lstm
        self._states = [lstm.zeros() for _ in range(lstm.layers)]

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to `[n, C]`."""
        out = block
        for number, state in enumerate(self._states):
            out = self._lstm.run(number, out, state)
        return out.add_(block) if len(block) else out


class _Layer:
    """One layer's weights in the order of the compiled loop: blocks of units, their four gates side by side."""

    def __init__(self, weights: list[Tensor], units: int) -> None:
        inputs, recurrent, bias_ih, bias_hh = (weight.detach() for weight in weights)
        size = recurrent.shape[1]
        order = torch.arange(4 * size).view(4, size // units, units).transpose(0, 1).flatten()
        # Kept transposed in memory only where the loop reads it; the product takes either layout.
        self.inputs = inputs[order].T
        self.recurrent = recurrent[order].view(size // units, 4 * units, size).transpose(1, 2).contiguous()
        self.bias = (bias_ih + bias_hh)[order]
