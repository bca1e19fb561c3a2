"""A decoder that works at the frame rate and leaves the sample rate to the inverse Fourier transform (Vocos).

Backbone and head follow Siuzdak 2023 (arXiv:2306.00814, section 3); the attention in front of the ConvNeXt blocks is
WavTokenizer's (arXiv:2408.16532, section 3.3). It sees the whole signal, and so do the group norms beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d
from tokaudio.nn.spectral import overlap_add
from tokaudio.nn.stages import Added, Pipeline, Pointwise, Sequence, Sliced, Stage, Whole, stage_of
from tokaudio.nn.whole_signal import GROUPS, GlobalAttention, ResnetUnit, TimeNorm, turned
from tokaudio.nn.windows import Windowed, Windows

# Frames that run through the blocks together: wide products, and tensors that stay in the cache.
_SLICE = 768


@dataclass(frozen=True, kw_only=True)
class Vocos:
    """Sizes of a decoder.

    Attributes:
        latents: D of the vectors it gets.
        dim: width of the backbone.
        intermediate_dim: width inside a block.
        layers: ConvNeXt blocks.
        conditions: rows of the adaptive norms' tables, of which row 0 is used; 0 for plain layer norms.
        n_fft: of the inverse transform, a multiple of `hop_length`.
        hop_length: samples per frame.

    Example:
        >>> Vocos(latents=8, dim=32, intermediate_dim=64, layers=1, n_fft=32, hop_length=8).make()(
        ...     torch.zeros(1, 8, 5)
        ... ).shape
        torch.Size([1, 1, 40])
    """

    latents: int
    dim: int
    intermediate_dim: int
    layers: int
    conditions: int = 0
    n_fft: int
    hop_length: int

    def __post_init__(self) -> None:
        if self.n_fft % self.hop_length or (self.n_fft - self.hop_length) % 2 or self.dim % GROUPS:
            sizes = f"n_fft {self.n_fft}, hop_length {self.hop_length}, dim {self.dim}"
            raise ValueError(f"{sizes}: n_fft must be a multiple of hop_length and dim one of {GROUPS}")

    def make(self) -> VocosDecoder:
        """Return an untrained decoder."""
        return VocosDecoder(self)


class VocosDecoder(nn.Module):
    """From latents `[B, D, T]` to samples `[B, 1, T * hop_length]`; made by [`Vocos`][tokaudio.nn.vocos.Vocos].

    Attributes:
        windows: how its stage cuts long signals for the layers that see the whole; None to wait for the end always.
    """

    def __init__(self, net: Vocos) -> None:
        super().__init__()
        self.net = net
        self.windows: Windows | None = None
        self.embed = Conv1d(net.latents, net.dim, 7, padding=(3, 3))
        self.pos_net = Sequence(
            ResnetUnit(net.dim),
            ResnetUnit(net.dim),
            GlobalAttention(net.dim),
            ResnetUnit(net.dim),
            ResnetUnit(net.dim),
            TimeNorm(net.dim),
        )
        self.norm = frame_norm(net.dim, net.conditions)
        self.convnext = Sequence(
            *(ConvNeXt(net.dim, net.intermediate_dim, net.layers, net.conditions) for _ in range(net.layers))
        )
        self.final_layer_norm = FrameNorm(net.dim)
        self.head = FourierHead(net.dim, net.n_fft, net.hop_length)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, 1, S]`."""
        x = self.norm(self.pos_net(self.embed(x)))
        samples: Tensor = self.head(self.final_layer_norm(self.convnext(x)))
        return samples

    def stage(self) -> Stage:
        """Return a fresh stage."""
        whole = Whole(self._whole) if self.windows is None else Windowed(self._whole, self.windows)
        rest = [stage_of(part) for part in (self.norm, self.convnext, self.final_layer_norm, self.head)]
        return Pipeline([self.embed.stage(), whole, Sliced(Pipeline(rest), _SLICE)])

    def _whole(self, steps: Tensor) -> Tensor:
        if not len(steps):
            return steps
        for layer in self.pos_net:
            steps = stage_of(layer)(steps, True)
        return steps


class FrameNorm(nn.Module):
    """Layer norm of every frame.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> FrameNorm(4)(torch.ones(1, 4, 2)).abs().max().item()
        0.0
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def affine(self) -> tuple[Tensor, Tensor]:
        """Return scale and shift `[C]`."""
        return self.weight, self.bias

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        return self.rows(x.transpose(1, 2)).transpose(1, 2)

    def rows(self, rows: Tensor) -> Tensor:
        """Map `[..., C]` to `[..., C]`."""
        return F.layer_norm(rows, rows.shape[-1:], *self.affine(), 1e-6)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pointwise(self.rows)


class ConditionedNorm(FrameNorm):
    """Layer norm whose scale and shift are rows of tables; the first row is used, as WavTokenizer prescribes.

    Example:
        >>> ConditionedNorm(4, 2)(torch.ones(1, 4, 2)).abs().max().item()
        0.0
    """

    def __init__(self, channels: int, conditions: int) -> None:
        nn.Module.__init__(self)
        self.scale = nn.Embedding(conditions, channels, _weight=torch.ones(conditions, channels))
        self.shift = nn.Embedding(conditions, channels, _weight=torch.zeros(conditions, channels))

    def affine(self) -> tuple[Tensor, Tensor]:
        """Return scale and shift `[C]`."""
        return self.scale.weight[0], self.shift.weight[0]


def frame_norm(channels: int, conditions: int) -> FrameNorm:
    """Return a conditioned norm, or with 0 conditions a plain one.

    Example:
        >>> type(frame_norm(4, 0)).__name__
        'FrameNorm'
    """
    return ConditionedNorm(channels, conditions) if conditions else FrameNorm(channels)


class ConvNeXt(nn.Module):
    """Depthwise convolution, norm, and a perceptron per frame, scaled per channel and added to the input.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> ConvNeXt(8, 16, layers=2)(torch.zeros(1, 8, 5)).shape
        torch.Size([1, 8, 5])
    """

    def __init__(self, channels: int, intermediate: int, layers: int, conditions: int = 0) -> None:
        super().__init__()
        self.dwconv = Conv1d(channels, channels, 7, groups=channels, padding=(3, 3))
        self.norm = frame_norm(channels, conditions)
        self.pwconv1 = nn.Linear(channels, intermediate)
        self.pwconv2 = nn.Linear(intermediate, channels)
        self.gamma = nn.Parameter(torch.full((channels,), 1 / layers))
        # As the stage reads them: weights that are laid out only at first use leave holes in memory.
        for linear in (self.pwconv1, self.pwconv2):
            turned(linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        return x + self.mix(self.dwconv(x).transpose(1, 2)).transpose(1, 2)

    def mix(self, rows: Tensor) -> Tensor:
        """Map each frame of `[..., C]`, after the convolution, to what is added to the input."""
        hidden = F.gelu(self.pwconv1(self.norm.rows(rows)))
        return self.gamma * self.pwconv2(hidden)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Added(Pipeline([self.dwconv.stage(), Pointwise(self._mix_rows)]))

    def _mix_rows(self, rows: Tensor) -> Tensor:
        """Do what `mix` does, for `[n, C]`."""
        hidden = torch.addmm(self.pwconv1.bias, self.norm.rows(rows), turned(self.pwconv1.weight))
        out = torch.addmm(self.pwconv2.bias, torch.ops.aten.gelu_(hidden), turned(self.pwconv2.weight))
        return out.mul_(self.gamma)


# --- from frames to samples ----------------------------------------------------------------------------------------


class FourierHead(nn.Module):
    """Magnitude and phase of every frame, and the inverse transform with the ends cut to `T * hop_length` samples.

    Shape:
        input `[B, C, T]`, output `[B, 1, T * hop_length]`.

    Example:
        >>> FourierHead(8, 16, 4)(torch.zeros(1, 8, 5)).shape
        torch.Size([1, 1, 20])
    """

    window: Tensor

    def __init__(self, channels: int, n_fft: int, hop_length: int) -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        # Pieces are filled up with zeros to whole hops.
        self.rest = -n_fft % hop_length
        self.cut = (n_fft - hop_length) // 2
        self.end = n_fft - hop_length - self.cut + self.rest
        self.out = nn.Linear(channels, n_fft + 2)
        self.register_buffer("window", F.pad(torch.hann_window(n_fft), (0, self.rest)), persistent=False)

    def frames(self, rows: Tensor) -> Tensor:
        """Return windowed pieces of sound `[..., n_fft + rest]` of frames `[..., C]`."""
        magnitude, phase = self.out(rows).chunk(2, -1)
        # The limit is the published one: no frame may drown the others.
        spectrum = torch.polar(magnitude.exp().clamp(max=1e2), phase)
        pieces = torch.fft.irfft(spectrum, self.n_fft)
        return (F.pad(pieces, (0, self.rest)) if self.rest else pieces) * self.window

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, 1, S]`."""
        frames = self.frames(x.transpose(1, 2))
        weight = self.window.square().expand(1, frames.shape[1], -1)
        samples = overlap_add(frames, self.hop_length) / overlap_add(weight, self.hop_length).clamp(min=1e-11)
        return samples[:, None, self.cut : samples.shape[1] - self.end]

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return FourierStage(self)


class FourierStage:
    """The head in the course of one signal: rows of `hop_length` samples, of which the last ones are not complete."""

    def __init__(self, head: FourierHead) -> None:
        self._head = head
        self._overlaps = len(head.window) // head.hop_length
        self._open = head.window.new_zeros(self._overlaps - 1, head.hop_length)
        self._squares = head.window.square().view(self._overlaps, head.hop_length)
        self._envelope = self._squares.sum(0)
        self._rows = 0
        self._skip = head.cut

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map frames `[n, C]` to samples `[m, 1]`."""
        count, past = len(block), self._overlaps - 1
        rows = self._open.new_zeros(count + past, self._head.hop_length)
        rows[:past] = self._open
        if count:
            pieces = self._head.frames(block).unflatten(1, (self._overlaps, -1))
            for number in range(self._overlaps):
                rows[number : number + count] += pieces[:, number]
        first, total = self._rows, self._rows + count
        self._rows, self._open = total, rows[count:].clone()
        done = rows if last and total else rows[:count]
        weights = self._envelope.expand(len(done), -1)
        edges = [row for row in range(len(done)) if first + row < past or first + row >= total]
        if edges:
            weights = weights.clone()
            for row in edges:
                weights[row] = self._weight(first + row, total)
        samples = (done / weights.clamp(min=1e-11)).flatten()
        if last:
            samples = samples[: max(0, len(samples) - self._head.end)]
        cut = min(self._skip, len(samples))
        self._skip -= cut
        return samples[cut:, None]

    def _weight(self, row: int, total: int) -> Tensor:
        """Return the sum of the squared windows of those of `total` frames that reach a row."""
        reaching = [number for number in range(self._overlaps) if 0 <= row - number < total]
        return self._squares[reaching].sum(0)
