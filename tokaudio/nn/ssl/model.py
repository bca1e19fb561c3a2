"""The model: samples to the hidden states of any layers.

    model = SpeechModel(SpeechSizes())
    states = model.hidden_states(waveform, layers=(7, 12))  # [2, T, D]

Layer 0 is what enters the transformer; layer L is what its L-th layer gives, the numbering of published papers and of
transformers' `hidden_states`. With norms before the parts (large models) the last state has been through the final norm
and the others have not. Layers above the highest one that is asked for are not run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from tokaudio.nn.ssl.front_end import FrontEnd
from tokaudio.nn.ssl.layer import SpeechLayer
from tokaudio.nn.ssl.positions import Distances, PositionalConv
from tokaudio.nn.ssl.sizes import SpeechSizes


class SpeechModel(nn.Module):
    """HuBERT, wav2vec 2.0 or WavLM.

    Args:
        sizes: what it is made of.
        layers: how many layers of the transformer there are to be, from the first; all by default.

    Example:
        >>> sizes = SpeechSizes(width=32, layers=3, heads=2, inner=64, conv_widths=(16,) * 7)
        >>> model = SpeechModel(sizes).eval()
        >>> with torch.no_grad():
        ...     model.hidden_states(torch.zeros(16_000), layers=(0, 2)).shape
        torch.Size([2, 49, 32])
    """

    def __init__(self, sizes: SpeechSizes, *, layers: int | None = None) -> None:
        super().__init__()
        self.sizes = sizes
        kept = sizes.layers if layers is None else layers
        if not 0 <= kept <= sizes.layers:
            raise ValueError(f"layers must be from 0 to {sizes.layers}, got {kept}")
        self.front = FrontEnd(sizes)
        width = sizes.conv_widths[-1]
        self.front_norm = nn.LayerNorm(width, eps=sizes.epsilon) if sizes.projection_norm else nn.Identity()
        self.projection = nn.Linear(width, sizes.width)
        self.positions = PositionalConv(sizes.width, taps=sizes.position_taps, groups=sizes.position_groups)
        if not sizes.norm_first or kept == sizes.layers:
            # After the positions, or with norms first after the last layer.
            self.norm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)
        self.layers = nn.ModuleList(SpeechLayer(sizes) for _ in range(kept))
        if sizes.buckets:
            self.distances = Distances(sizes.heads, buckets=sizes.buckets, longest=sizes.max_distance)

    def forward(self, waveform: Tensor, layers: Sequence[int] | None = None) -> Tensor:
        """Return hidden states `[len(layers), B, T, D]` of signals `[B, S]` that all have S samples.

        For training and for batches on a GPU; `hidden_states` gives what does not depend on the batch.
        """
        wanted = self._checked(waveform, layers)
        front = self.front(normalised(waveform, self.sizes.normalise))
        return self._chosen(self._states(self.projection(self.front_norm(front)), max(wanted)), wanted)

    def hidden_states(self, waveform: Tensor, layers: Sequence[int] | None = None) -> Tensor:
        """Return the hidden states of some layers.

        Each signal is computed by itself: what it gives does not depend on what else is in a batch. Signals of
        different lengths are to be given one by one, never filled up: the models see what is filled in.

        Args:
            waveform: samples at the model's rate (16 kHz), `[S]`, or `[B, S]` of signals that all have S samples.
            layers: numbers from 0 to the number of layers, in any order, negative ones from the end; all by default.

        Returns:
            `[len(layers), T, D]`, or `[len(layers), B, T, D]`.

        Raises:
            ValueError: for a layer that is not there, or samples too few for one frame.
        """
        wanted = self._checked(waveform, layers)
        if waveform.ndim == 1:
            return self._chosen(self._states(self._entering(waveform), max(wanted)), wanted)[:, 0]
        return torch.stack([self.hidden_states(item, wanted) for item in waveform], dim=1)

    def mean_hidden_state(self, waveform: Tensor) -> Tensor:
        """Return the mean of all hidden states, from layer 0 to the last one, without holding them all.

        Args:
            waveform: as for `hidden_states`.

        Returns:
            `[T, D]`, or `[B, T, D]`.

        Raises:
            ValueError: for samples too few for one frame.
        """
        self._checked(waveform, None)
        if waveform.ndim > 1:
            return torch.stack([self.mean_hidden_state(item) for item in waveform])
        states = self._states(self._entering(waveform), len(self.layers))
        total = next(states)
        for state in states:
            total = total + state
        return total[0] / (len(self.layers) + 1)

    def frames(self, waveform: Tensor, *, fill: bool = False) -> Tensor:
        """Return what the convolutions give the transformer, of one signal: the first half of `hidden_states`.

        Args:
            waveform: samples `[S]`.
            fill: give signals that are too short one frame, of convolutions whose input is filled up with zeros.

        Returns:
            `[T, D]`.

        Raises:
            ValueError: for samples too few for one frame, unless they are filled up.
        """
        if fill and 0 < len(waveform) < self.sizes.shortest:
            front = self.front(normalised(waveform[None], self.sizes.normalise), fill=True)
            out: Tensor = self.projection(self.front_norm(front))[0]
            return out
        self._checked(waveform, None)
        return self._entering(waveform)[0]

    def last_state(self, frames: Tensor) -> Tensor:
        """Return the last hidden state `[T, D]` of what `frames` gave `[T, D]`: the second half of `hidden_states`."""
        *_, last = self._states(frames[None], len(self.layers))
        return last[0]

    def later_states(self, frames: Tensor, layers: Sequence[int]) -> Tensor:
        """Return hidden states `[len(layers), T, D]` of what `frames` gave `[T, D]`: the second half, for any layers.

        Raises:
            ValueError: for a layer that is not there.
        """
        wanted = self._numbers(layers)
        return self._chosen(self._states(frames[None], max(wanted)), wanted)[:, 0]

    def _entering(self, waveform: Tensor) -> Tensor:
        """Return what enters the transformer `[1, T, D]`, from one signal `[S]`."""
        waveform = normalised(waveform[None], self.sizes.normalise)
        if torch.is_grad_enabled() or waveform.device.type != "cpu":
            out: Tensor = self.projection(self.front_norm(self.front(waveform)))
            return out
        return torch.cat([self.projection(self.front_norm(piece)) for piece in self.front.pieces(waveform[0])])[None]

    def _states(self, x: Tensor, highest: int) -> Iterator[Tensor]:
        """Yield the hidden states 0 to `highest`, `[B, T, D]` each."""
        sizes = self.sizes
        x = self.positions(x)
        if not sizes.norm_first:
            x = self.norm(x)
        distances = self.distances(x.shape[1]) if sizes.buckets else None
        for layer in self.layers[:highest]:
            yield x
            x = layer(x, distances)
        yield self.norm(x) if sizes.norm_first and highest == sizes.layers else x

    def _chosen(self, states: Iterator[Tensor], wanted: Sequence[int]) -> Tensor:
        kept = {number: state for number, state in enumerate(states) if number in wanted}
        return torch.stack([kept[number] for number in wanted])

    def _checked(self, waveform: Tensor, layers: Sequence[int] | None) -> list[int]:
        """Return the numbers of the layers that are wanted, from 0 on."""
        if waveform.ndim not in (1, 2):
            raise ValueError(f"waveform must be [S] or [B, S], got {list(waveform.shape)}")
        if self.sizes.frames(waveform.shape[-1]) < 1:
            raise ValueError(f"{waveform.shape[-1]} samples are fewer than the {self.sizes.shortest} of one frame")
        return self._numbers(layers)

    def _numbers(self, layers: Sequence[int] | None) -> list[int]:
        count = len(self.layers)
        wanted = list(range(count + 1)) if layers is None else [n + count + 1 if n < 0 else n for n in layers]
        if not wanted or not all(0 <= number <= count for number in wanted):
            raise ValueError(f"layers must be from 0 to {count}, got {layers}")
        return wanted


def normalised(waveform: Tensor, epsilon: float | None) -> Tensor:
    """Return signals `[B, S]` with mean 0 and variance 1 each; as they are where epsilon is None.

    Example:
        >>> normalised(torch.tensor([[1.0, 3.0]]), 1e-7).round(decimals=3)
        tensor([[-1.,  1.]])
    """
    if epsilon is None:
        return waveform
    wide = waveform.double()
    centred = wide - wide.mean(1, keepdim=True)
    return (centred * (centred.square().mean(1, keepdim=True) + epsilon).rsqrt()).to(waveform.dtype)
