"""The encoder of X-Codec (Ye et al. 2024, arXiv:2408.17175, section 3): an acoustic and a semantic branch, joined.

The acoustic branch is DAC's encoder. The semantic one hears the same sound, at the rate that it was trained at,
through a network that was trained without labels (HuBERT, WavLM), and passes the mean of all its hidden states through
a few convolutions. One linear map makes the vectors that are quantized of both.
"""

from __future__ import annotations

from collections.abc import Sequence as Numbers
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.activations import ELU
from tokaudio.nn.conv import Conv1d
from tokaudio.nn.sinc_resample import SincResample
from tokaudio.nn.stages import Aligned, Pipeline, Pointwise, Residual, Sequence, Stage, Whole, stage_of
from tokaudio.nn.windows import Windowed, Windows


@runtime_checkable
class Listener(Protocol):
    """A network that hears a whole signal, such as [`SpeechModel`][tokaudio.nn.ssl.SpeechModel]."""

    def mean_hidden_state(self, waveform: Tensor) -> Tensor:
        """Return the mean of all hidden states `[B, T, W]` of samples `[B, S]`."""
        ...


def semantic_convolutions(
    width: int, *, kernel_size: int = 3, blocks: int = 2, dilations: Numbers[int] = (1, 1), unit_kernel_size: int = 3
) -> Sequence:
    """Return the convolutions of the semantic branch, `[B, W, T]` to the same.

    Args:
        width: W.
        kernel_size: taps of the first one.
        blocks: each has a residual unit per dilation and a convolution of 3 taps.
        dilations: of the units of every block.
        unit_kernel_size: taps of a unit.

    Example:
        >>> semantic_convolutions(4)(torch.zeros(1, 4, 7)).shape
        torch.Size([1, 4, 7])
    """
    edge = kernel_size // 2
    layers: list[nn.Module] = [Conv1d(width, width, kernel_size, padding=(edge, edge), bias=False)]
    for _ in range(blocks):
        for dilation in dilations:
            reach = (unit_kernel_size - 1) // 2 * dilation
            wide = Conv1d(width, width, unit_kernel_size, dilation=dilation, padding=(reach, reach), bias=False)
            layers.append(Residual(Sequence(ELU(), wide, ELU(), Conv1d(width, width, 1, bias=False))))
        layers.append(Conv1d(width, width, 3, padding=(1, 1)))
    return Sequence(*layers)


class SemanticBranch(nn.Module):
    """Sound to semantic vectors at the frame rate.

    Args:
        listener: the network that hears; a [`Listener`][tokaudio.nn.xcodec.Listener].
        convolutions: what follows, `[B, W, T]` to `[B, W, T]`.
        width: W.
        hop_length: samples per frame.
        rates: of the sound, and of what the listener hears, in Hz.
        listener_hop: samples per hidden vector, at the listener's rate.

    Attributes:
        windows: how signals are cut before the listener hears them, in frames; None for not at all.

    Shape:
        input `[B, 1, S]`, output `[B, W, T]`.

    Raises:
        TypeError: the listener has no mean of hidden states.
        ValueError: a frame is not a whole number of hidden vectors.

    Example:
        >>> class Loudness(nn.Module):
        ...     def mean_hidden_state(self, waveform):
        ...         return waveform[:, 2:-2].unflatten(1, (-1, 4)).abs().mean(2, keepdim=True)
        >>> sizes = {"width": 1, "hop_length": 12, "rates": (24_000, 16_000), "listener_hop": 4}
        >>> branch = SemanticBranch(Loudness(), nn.Identity(), **sizes)
        >>> branch(torch.zeros(1, 1, 60)).shape
        torch.Size([1, 1, 5])
    """

    def __init__(
        self,
        listener: nn.Module,
        convolutions: nn.Module,
        *,
        width: int,
        hop_length: int,
        rates: tuple[int, int],
        listener_hop: int,
    ) -> None:
        super().__init__()
        if not isinstance(listener, Listener):
            raise TypeError(f"a {type(listener).__name__} gives no mean of hidden states")
        self.every, rest = divmod(hop_length * rates[1], rates[0] * listener_hop)
        if rest or not self.every:
            hop = f"{hop_length} samples at {rates[0]} Hz"
            raise ValueError(f"a frame of {hop} is no whole number of {listener_hop} at {rates[1]} Hz")
        self.listener, self.convolutions, self.resample = listener, convolutions, SincResample(*rates)
        self.width, self.hop_length, self.edge = width, hop_length, listener_hop // 2
        self.windows: Windows | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, 1, S]` to `[B, W, T]`."""
        out: Tensor = self.convolutions(self.heard(x[:, 0]).transpose(1, 2))
        return out

    def heard(self, samples: Tensor) -> Tensor:
        """Map samples `[B, S]` to the listener's vectors `[B, T, W]`, one per frame."""
        assert isinstance(self.listener, Listener)
        padded = F.pad(self.resample(samples), (self.edge, self.edge))
        return self.listener.mean_hidden_state(padded)[:, :: self.every]

    def stage(self) -> Stage:
        """Return a fresh stage from samples `[n, 1]` to vectors `[T, W]`; a signal must be whole frames."""
        frames = Pointwise(lambda block: block.reshape(-1, self.hop_length))
        return Pipeline([Aligned(self.hop_length), frames, _Heard(self), stage_of(self.convolutions)])


class _Heard:
    """The listener in the course of one signal, on frames of samples `[n, hop]`."""

    def __init__(self, branch: SemanticBranch) -> None:
        self._width = branch.width

        def hear(frames: Tensor) -> Tensor:
            return branch.heard(frames.reshape(1, -1))[0]

        self._stage: Stage = Whole(hear) if branch.windows is None else Windowed(hear, branch.windows)

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Keep frames `[n, hop]`; return the vectors `[m, W]` that are ready."""
        out = self._stage(block, last)
        return out if len(out) else block.new_empty(0, self._width)


class Beside:
    """Two stages that take the same blocks, and whose results stand side by side.

    Example:
        >>> Beside(Pointwise(torch.neg), Pointwise(torch.square))(torch.tensor([[3.0]]), last=True)
        tensor([[-3.,  9.]])
    """

    def __init__(self, first: Stage, second: Stage) -> None:
        self._stages = first, second
        self._waiting: tuple[list[Tensor], list[Tensor]] = [], []

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map `[n, C]` to the steps `[m, D + E]` for which both are ready."""
        for stage, waiting in zip(self._stages, self._waiting, strict=True):
            waiting.append(stage(block, last))
        ready = min(sum(map(len, waiting)) for waiting in self._waiting)
        sides = []
        for waiting in self._waiting:
            if not ready:
                sides.append(waiting[-1][:0])
                continue
            steps = torch.cat(waiting)
            sides.append(steps[:ready])
            waiting[:] = [steps[ready:].clone()]
        return torch.cat(sides, dim=1)


class TwoBranchEncoder(nn.Module):
    """Sound to the vectors that are quantized.

    Args:
        acoustic: maps `[B, 1, S]` to `[B, A, T]`.
        semantic: the other branch.
        acoustic_dim: A.
        dim: D, width of the result.

    Shape:
        input `[B, 1, S]`, output `[B, D, T]`.

    Example:
        >>> class Samples(nn.Module):
        ...     def mean_hidden_state(self, waveform):
        ...         return waveform[:, :, None]
        >>> sizes = {"width": 1, "hop_length": 1, "rates": (1, 1), "listener_hop": 1}
        >>> branch = SemanticBranch(Samples(), nn.Identity(), **sizes)
        >>> TwoBranchEncoder(nn.Identity(), branch, 1, 6)(torch.zeros(1, 1, 5)).shape
        torch.Size([1, 6, 5])
    """

    def __init__(self, acoustic: nn.Module, semantic: SemanticBranch, acoustic_dim: int, dim: int) -> None:
        super().__init__()
        self.acoustic, self.semantic = acoustic, semantic
        self.join = Conv1d(acoustic_dim + semantic.width, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, 1, S]` to `[B, D, T]`.

        The branches count the frames of a signal that is not whole frames differently. Where they disagree, the
        acoustic one hears half a frame of silence at both ends, as the published networks do.
        """
        semantic, acoustic = self.semantic(x), self.acoustic(x)
        if acoustic.shape[2] != semantic.shape[2]:
            edge = self.semantic.hop_length // 2
            acoustic = self.acoustic(F.pad(x, (edge, edge)))
        out: Tensor = self.join(torch.cat([acoustic, semantic], dim=1))
        return out

    def stage(self) -> Stage:
        """Return a fresh stage; a signal must be whole frames."""
        return Pipeline([Beside(stage_of(self.acoustic), self.semantic.stage()), stage_of(self.join)])
