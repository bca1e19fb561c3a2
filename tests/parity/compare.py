"""Are two sets of codes the same, and where they differ, is it a tie? Margin-exact comparison, by the distances.

Two correct implementations may order their sums differently and then pick different codewords where two are almost
equally near. Such a tie flip is excused, together with the deeper levels of its frame, whose residuals it changed;
every other difference is a defect. "Almost" means: the squared distance of the codeword chosen exceeds that of the
nearest one by less than 1e-4 of it, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

TIE = 1e-4


class Distances(NamedTuple):
    """Squared distances in float64 from one residual to: the codeword ours chose, theirs chose, the nearest of all."""

    ours: float
    theirs: float
    nearest: float


Gap = Callable[[int, int, int, int], Distances]
"""`(level, frame, code of ours, code of theirs) -> Distances`, given that all earlier levels of the frame agree."""


@dataclass(frozen=True)
class CodeComparison:
    """What came out of comparing codes; add two to sum up over cases.

    Attributes:
        total: codes compared.
        equal: of these, identical.
        tie_flips: first differences of a frame that are ties.
        non_tie_flips: first differences of a frame that are not: defects.
        excused: deeper codes that differ after a tie flip of their frame.
        frames: codes of the first level, the base of the tie rate.
        used: the codes that occurred in theirs, per level.
    """

    total: int = 0
    equal: int = 0
    tie_flips: int = 0
    non_tie_flips: int = 0
    excused: int = 0
    frames: int = 0
    used: tuple[frozenset[int], ...] = ()

    @property
    def distinct(self) -> list[int]:
        """Number of distinct codes per level."""
        return [len(codes) for codes in self.used]

    def __add__(self, other: CodeComparison) -> CodeComparison:
        levels = max(len(self.used), len(other.used))
        mine, yours = (side.used + (frozenset(),) * (levels - len(side.used)) for side in (self, other))
        return CodeComparison(
            self.total + other.total,
            self.equal + other.equal,
            self.tie_flips + other.tie_flips,
            self.non_tie_flips + other.non_tie_flips,
            self.excused + other.excused,
            self.frames + other.frames,
            tuple(a | b for a, b in zip(mine, yours, strict=True)),
        )

    def require(self) -> None:
        """Fail if any difference is not a tie, or if ties are more than 0.1 % of the first level's codes."""
        assert self.non_tie_flips == 0, f"{self.non_tie_flips} of {self.total} codes differ without a tie: {self}"
        allowed = math.ceil(self.frames * 1e-3)
        assert self.tie_flips <= allowed, f"{self.tie_flips} tie flips in {self.frames} frames, allowed {allowed}"

    def require_diverse(self, minimum: int | Sequence[int] = 200) -> None:
        """Fail if a level showed fewer than `minimum` distinct codes, for then its equality says nothing."""
        wanted = [minimum] * len(self.used) if isinstance(minimum, int) else list(minimum)
        assert self.used, "no codes were compared"
        poor = {k: n for k, (n, least) in enumerate(zip(self.distinct, wanted, strict=True)) if n < least}
        assert not poor, f"vacuous: too few distinct codes (level: count) {poor}, wanted {minimum}"

    def __repr__(self) -> str:
        distinct = f"{min(self.distinct)} to {max(self.distinct)} distinct" if self.used else "none"
        return (
            f"CodeComparison({self.equal} of {self.total} equal, {self.tie_flips} tie flips, {self.non_tie_flips} "
            f"non-tie flips, {self.excused} excused, {distinct})"
        )


def compare_codes(
    ours: Tensor,
    theirs: Tensor,
    gap: Gap | None = None,
    *,
    strides: Sequence[int] | None = None,
    chains: Sequence[Sequence[int]] | None = None,
) -> CodeComparison:
    """Compare codes `[K, T]`, judging each first difference of a frame by its distances.

    Args:
        ours: codes `[K, T]`.
        theirs: codes `[K, T]` of the reference.
        gap: tells the distances at a difference (see `ResidualLookup.gap`); without it every difference is a defect.
        strides: frames that one code of each level spans; such codes are repeated in `[K, T]` and counted once.
        chains: which levels form a residual chain, in order; one chain of all by default. A semantic codebook beside
            acoustic ones is a chain of its own: `[[0], [1, 2, 3]]`.

    Raises:
        AssertionError: the shapes differ, or a slow code is not repeated over its span.

    Example:
        >>> compare_codes(torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1, 2], [3, 5]]))
        CodeComparison(3 of 4 equal, 0 tie flips, 1 non-tie flips, 0 excused, 2 to 2 distinct)
    """
    ours, theirs = ours.cpu(), theirs.cpu()
    assert ours.shape == theirs.shape, f"codes differ in shape: ours {list(ours.shape)}, theirs {list(theirs.shape)}"
    levels, frames = theirs.shape
    strides = list(strides or [1] * levels)
    for level, stride in enumerate(strides):
        for name, codes in (("ours", ours), ("theirs", theirs)):
            held = codes[level, ::stride].repeat_interleave(stride)[:frames]
            assert torch.equal(codes[level], held), f"{name}: codes of level {level} are not held for {stride} frames"
    ties = defects = excused = 0
    for chain in chains or [range(levels)]:
        broken = torch.zeros(frames, dtype=torch.bool)
        for level in chain:
            stride = strides[level]
            for frame in range(0, frames, stride):
                if ours[level, frame] == theirs[level, frame]:
                    continue
                if broken[frame]:
                    excused += 1
                    continue
                broken[frame : frame + stride] = True
                tie = gap is not None and _is_tie(gap(level, frame, int(ours[level, frame]), int(theirs[level, frame])))
                ties, defects = ties + tie, defects + (not tie)
    counted = [(ours[k, ::s], theirs[k, ::s]) for k, s in enumerate(strides)]
    return CodeComparison(
        sum(len(b) for _, b in counted),
        sum(int((a == b).sum()) for a, b in counted),
        ties,
        defects,
        excused,
        len(counted[0][1]) if counted else 0,
        tuple(frozenset(b.tolist()) for _, b in counted),
    )


def _is_tie(distances: Distances) -> bool:
    worst = max(distances.ours, distances.theirs)
    return worst - distances.nearest <= TIE * max(distances.nearest, torch.finfo(torch.float64).tiny)


@dataclass(frozen=True)
class Level:
    """One level of a residual quantizer, as the reference holds it; tensors of any float type.

    Attributes:
        codebook: `[V, d]`.
        project_in: weight `[d, D]` and bias `[d]` applied to the residual before the search, or None.
        project_out: weight `[D, d]` and bias `[D]` applied to the codeword before it is subtracted, or None.
        normalise: whether directions are compared (both sides divided by their length), as DAC, SNAC and BigCodec do.
        stride: frames that are averaged before the search; the codeword is repeated over them, as SNAC does.
    """

    codebook: Tensor
    project_in: tuple[Tensor, Tensor] | None = None
    project_out: tuple[Tensor, Tensor] | None = None
    normalise: bool = False
    stride: int = 1

    def query(self, residual: Tensor) -> Tensor:
        """Return the vectors `[T / stride, d]` that are searched for, of a float64 residual `[D, T]`."""
        pooled = F.avg_pool1d(residual[None], self.stride, self.stride)[0].T if self.stride > 1 else residual.T
        if self.project_in is not None:
            weight, bias = (tensor.double() for tensor in self.project_in)
            pooled = pooled @ weight.T + bias
        return F.normalize(pooled) if self.normalise else pooled

    def distances(self, query: Tensor) -> Tensor:
        """Return squared distances `[N, V]` of queries `[N, d]`, in float64, by differences (no cancellation)."""
        table = self.codebook.double()
        table = F.normalize(table) if self.normalise else table
        return (query[:, None] - table[None]).square().sum(-1)

    def contribution(self, codes: Tensor) -> Tensor:
        """Return what codes `[T / stride]` take away from the residual, `[D, T]` in float64."""
        words = self.codebook.double()[codes]
        if self.project_out is not None:
            weight, bias = (tensor.double() for tensor in self.project_out)
            words = words @ weight.T + bias
        return words.T.repeat_interleave(self.stride, dim=1)


@dataclass(frozen=True)
class ResidualLookup:
    """A residual chain of levels over latents: gives the distances at any level and frame, in float64.

    Attributes:
        latents: what the first level quantizes, `[D, T]`: the reference's own.
        levels: the levels of the chain.
        first: number of the first of them among all codebooks (1 for the acoustic chain of Mimi).

    Example:
        >>> lookup = ResidualLookup(torch.tensor([[0.4]]), [Level(torch.tensor([[0.0], [1.0]]))])
        >>> tuple(round(value, 3) for value in lookup.gap(torch.tensor([[0]]))(0, 0, 1, 0))
        (0.36, 0.16, 0.16)
    """

    latents: Tensor
    levels: Sequence[Level]
    first: int = 0

    def gap(self, path: Tensor) -> Gap:
        """Return the function that `compare_codes` asks; `path [K, T]` are the reference's codes of all codebooks."""

        def distances(level: int, frame: int, ours: int, theirs: int) -> Distances:
            here = self.levels[level - self.first]
            residual = self.latents.detach().cpu().double()
            for number, earlier in enumerate(self.levels[: level - self.first], start=self.first):
                residual = residual - earlier.contribution(path[number, :: earlier.stride].cpu())
            index = frame // here.stride
            row = here.distances(here.query(residual)[index : index + 1])[0]
            return Distances(float(row[ours]), float(row[theirs]), float(row.min()))

        return distances


def join_gaps(chains: Sequence[ResidualLookup], path: Tensor) -> Gap:
    """Return one function for several chains, choosing by the level's number.

    Example:
        >>> level = Level(torch.tensor([[0.0], [1.0]]))
        >>> first = ResidualLookup(torch.tensor([[0.4]]), [level])
        >>> second = ResidualLookup(torch.zeros(1, 1), [level], first=1)
        >>> join_gaps([first, second], torch.tensor([[0], [0]]))(1, 0, 1, 0).ours
        1.0
    """
    owner = {lookup.first + k: lookup.gap(path) for lookup in chains for k in range(len(lookup.levels))}
    return lambda level, frame, ours, theirs: owner[level](level, frame, ours, theirs)
