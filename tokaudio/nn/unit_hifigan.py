"""HiFi-GAN on discrete units (Polyak et al. 2021, arXiv:2104.00355), one or several of them per frame.

Several units per frame, one of each layer of a speech model, are pooled by attention (Mousavi et al. 2024,
arXiv:2406.10735, section 2.3): layers may then be left out. The generator behind is that of arXiv:2010.05646.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d, ConvTranspose1d, Padding
from tokaudio.nn.hifigan import ActivatedConv, LeakyReLU, Mean, ResidualUnit, in_order
from tokaudio.nn.nanocodec import steps_of
from tokaudio.nn.stages import Pipeline, Pointwise, Sliced, Stage, stage_of
from tokaudio.nn.stages import Sequence as Modules

_SLOPE = 0.1
_ENDS = 7


@dataclass(frozen=True)
class UnitHiFiGANSizes:
    """Sizes and variants; the defaults are those of the published vocoders of HuBERT's units.

    Attributes:
        units: rows of the table of units.
        unit_dim: width of a unit's vector.
        attention_dim: width of the attention that pools several units per frame; 0 where there is one.
        speakers: rows of a table of speakers, `unit_dim` wide each; 0 for none.
        speaker_dim: width of a given speaker's vector; 0 for none.
        normalised: whether a given speaker's vector is brought to length 1.
        styles: rows of a table of styles, `unit_dim` wide each; 0 for none.
        channels: after the first convolution; halved at every change of rate.
        factors: by which the rate goes up, one after the other.
        kernels: taps of the transposed convolutions that do it.
        branch_kernels: taps of the branches between them.
        branch_dilations: of each branch, one for each of its units.
        paired: whether each of these units has a second convolution, without dilation.
        padding: what is beyond a signal's ends.
        final_bias: whether the last convolution has one.
        duration_dim: width of the network that predicts durations of units; 0 for none.

    Raises:
        ValueError: sizes do not fit together.

    Example:
        >>> sizes = UnitHiFiGANSizes(units=100)
        >>> sizes.hop_length, sizes.condition_dim
        (320, 0)
    """

    units: int
    unit_dim: int = 128
    attention_dim: int = 0
    speakers: int = 0
    speaker_dim: int = 0
    normalised: bool = False
    styles: int = 0
    channels: int = 512
    factors: tuple[int, ...] = (5, 4, 4, 2, 2)
    kernels: tuple[int, ...] = (11, 8, 8, 4, 4)
    branch_kernels: tuple[int, ...] = (3, 7, 11)
    branch_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5),) * 3
    paired: bool = True
    padding: Padding = "zeros"
    final_bias: bool = True
    duration_dim: int = 0

    def __post_init__(self) -> None:
        for name in ("factors", "kernels", "branch_kernels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "branch_dilations", tuple(tuple(row) for row in self.branch_dilations))
        numbers = [self.units, self.unit_dim, self.channels, *self.factors, *self.kernels, *self.branch_kernels]
        numbers += [dilation for row in self.branch_dilations for dilation in row]
        others = [self.attention_dim, self.speakers, self.speaker_dim, self.styles, self.duration_dim]
        if (
            min(numbers) < 1
            or min(others) < 0
            or not (self.factors and self.branch_kernels and all(self.branch_dilations))
        ):
            raise ValueError("sizes must be 1 or more, those that stand for no part 0 or more, and no list empty")
        if len(self.factors) != len(self.kernels) or len(self.branch_kernels) != len(self.branch_dilations):
            raise ValueError("factors and kernels must be as many as each other, and so must branches and dilations")
        if any(size < factor or (size - factor) % 2 for factor, size in zip(self.factors, self.kernels, strict=True)):
            raise ValueError(f"kernels {self.kernels} must exceed factors {self.factors} by even numbers, or 0")
        if any(size % 2 == 0 for size in self.branch_kernels):
            raise ValueError(f"branch_kernels must be odd, got {self.branch_kernels}")
        if self.channels % (1 << len(self.factors)):
            raise ValueError(f"{len(self.factors)} changes of rate cannot halve {self.channels} channels")
        if self.padding not in ("zeros", "reflect"):
            raise ValueError(f"padding must be zeros or reflect, got {self.padding!r}")
        if self.speakers and self.speaker_dim:
            raise ValueError("speakers come from a table or are given as vectors, not both")

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return math.prod(self.factors)

    @property
    def condition_dim(self) -> int:
        """Width of what is the same for all frames: speaker and style."""
        return self.speaker_dim + self.unit_dim * ((self.speakers > 0) + (self.styles > 0))


class UnitHiFiGAN(nn.Module):
    """Units to samples in [-1, 1].

    Args:
        sizes: what it is made of.

    Shape:
        units `[B, T, K]`, with a condition `[B, E]`; output `[B, 1, T * hop_length]`.

    Example:
        >>> sizes = UnitHiFiGANSizes(units=7, unit_dim=8, channels=8, factors=(2, 2), kernels=(4, 4))
        >>> UnitHiFiGAN(sizes)(torch.zeros(1, 5, 1, dtype=torch.int64)).shape
        torch.Size([1, 1, 20])
    """

    def __init__(self, sizes: UnitHiFiGANSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.units = nn.Embedding(sizes.units, sizes.unit_dim)
        if sizes.attention_dim:
            self.attention = nn.Sequential(
                nn.Linear(sizes.unit_dim, sizes.attention_dim),
                nn.ReLU(),
                nn.Linear(sizes.attention_dim, 1, bias=False),
            )
        if sizes.speakers:
            self.speakers = nn.Embedding(sizes.speakers, sizes.unit_dim)
        if sizes.styles:
            self.styles = nn.Embedding(sizes.styles, sizes.unit_dim)
        if sizes.duration_dim:
            self.durations = DurationPredictor(sizes.unit_dim, sizes.duration_dim)
        self.generator = Generator(sizes)

    def forward(self, units: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map `[B, T, K]` to `[B, 1, S]`."""
        vectors = self.embed(units)
        if condition is not None:
            vectors = torch.cat([vectors, condition[:, None].expand(-1, vectors.shape[1], -1)], dim=2)
        sound: Tensor = self.generator(vectors.transpose(1, 2))
        return sound

    def embed(self, units: Tensor) -> Tensor:
        """Return the vectors `[..., D]` of units `[..., K]`, pooled over the K of each frame."""
        vectors: Tensor = self.units(units)
        if not self.sizes.attention_dim:
            return vectors[..., 0, :]
        return (vectors * F.softmax(self.attention(vectors), dim=-2)).sum(-2)

    def condition(self, *, speaker: Tensor | int | None = None, style: Tensor | int | None = None) -> Tensor | None:
        """Return what is the same for all frames `[E]`; None if there is nothing of the kind.

        Args:
            speaker: a number of the table, or a vector `[speaker_dim]`.
            style: a number of the table.

        Raises:
            ValueError: one is missing, of the wrong shape, or not in its table.
        """
        parts = []
        if self.sizes.speakers:
            parts.append(_row(self.speakers, speaker, "speaker"))
        if self.sizes.speaker_dim:
            if not isinstance(speaker, Tensor) or speaker.shape != (self.sizes.speaker_dim,):
                raise ValueError(f"speaker must be a vector [{self.sizes.speaker_dim}]")
            vector = speaker.to(self.units.weight)
            parts.append(F.normalize(vector, dim=0) if self.sizes.normalised else vector)
        if self.sizes.styles:
            parts.append(_row(self.styles, style, "style"))
        return torch.cat(parts) if parts else None

    def stage(self, condition: Tensor | None = None) -> Stage:
        """Return a fresh stage from units `[n, K]` to samples `[m, 1]`, with a condition `[E]`."""

        def vectors(units: Tensor) -> Tensor:
            found = self.embed(units)
            return found if condition is None else torch.cat([found, condition.expand(len(found), -1)], dim=1)

        return Pipeline([Pointwise(vectors), self.generator.stage()])


def _row(table: nn.Embedding, number: Tensor | int | None, what: str) -> Tensor:
    if number is None or not 0 <= int(number) < table.num_embeddings:
        raise ValueError(f"{what} must be a number from 0 to {table.num_embeddings - 1}")
    row: Tensor = table.weight[int(number)]
    return row


class Generator(nn.Module):
    """HiFi-GAN: vectors to samples.

    Shape:
        input `[B, D, T]`, D being the width of units and conditions; output `[B, 1, T * hop_length]`.

    Example:
        >>> sizes = UnitHiFiGANSizes(units=1, unit_dim=8, channels=8, factors=(5,), kernels=(11,))
        >>> Generator(sizes)(torch.zeros(1, 8, 3)).shape
        torch.Size([1, 1, 15])
    """

    def __init__(self, sizes: UnitHiFiGANSizes) -> None:
        super().__init__()
        self.sizes = sizes

        def conv(channels: int, out_channels: int, taps: int, dilation: int = 1, *, bias: bool = True) -> Conv1d:
            reach = (taps - 1) * dilation // 2
            return Conv1d(
                channels,
                out_channels,
                taps,
                dilation=dilation,
                padding=(reach, reach),
                mode=sizes.padding,
                bias=bias,
            )

        def unit(channels: int, taps: int, dilation: int) -> ResidualUnit:
            dilations = (dilation, 1) if sizes.paired else (dilation,)
            return ResidualUnit(
                Modules(*(ActivatedConv(LeakyReLU(_SLOPE), conv(channels, channels, taps, d)) for d in dilations))
            )

        width = sizes.channels
        self.entry = conv(sizes.unit_dim + sizes.condition_dim, width, _ENDS)
        self.ups, self.branches = nn.ModuleList(), nn.ModuleList()
        for factor, taps in zip(sizes.factors, sizes.kernels, strict=True):
            trim = ((taps - factor) // 2,) * 2
            up = ConvTranspose1d(width, width // 2, taps, stride=factor, trim=(trim[0], trim[1]))
            width //= 2
            self.ups.append(Modules(LeakyReLU(_SLOPE), up))
            rows = zip(sizes.branch_kernels, sizes.branch_dilations, strict=True)
            self.branches.append(Mean([Modules(*(unit(width, size, d) for d in row)) for size, row in rows]))
        self.exit = ActivatedConv(LeakyReLU(), conv(width, 1, _ENDS, bias=sizes.final_bias))
        self.output = nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, 1, S]`."""
        x = self.entry(x)
        for up, branches in zip(self.ups, self.branches, strict=True):
            x = branches(up(x))
        sound: Tensor = self.output(self.exit(x))
        return sound

    def stage(self) -> Stage:
        """Return a fresh stage."""
        stages: list[Stage] = [stage_of(self.entry)]
        width = self.sizes.channels
        for up, branches, factor in zip(self.ups, self.branches, self.sizes.factors, strict=True):
            width //= 2
            stages.append(Sliced(in_order([up, branches]), max(1, steps_of(width) // factor)))
        return Pipeline([*stages, Sliced(in_order([self.exit, self.output]), steps_of(width))])


class DurationPredictor(nn.Module):
    """How many frames each unit of a sequence without repetitions lasts (arXiv:2107.05604, section 3.2).

    Shape:
        input `[T, D]`, output `[T]`, whole numbers from 1.

    Example:
        >>> DurationPredictor(8, 4)(torch.zeros(5, 8)).shape
        torch.Size([5])
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Conv1d(width, hidden, 3, padding=(1, 1)) for width in (dim, hidden))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2))
        self.projection = nn.Linear(hidden, 1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map `[T, D]` to `[T]`."""
        x = vectors
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(F.relu(conv(x.T[None]))[0].T)
        logarithms = self.projection(x)[:, 0]
        return (logarithms.exp() - 1).round().long().clamp(min=1)
