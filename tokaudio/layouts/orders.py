"""Orders: in which sequence the codes of all codebooks and frames are written as one row of ids.

One description covers what language models of audio use. Codebooks are grouped in stages; the stages of a chunk of
frames come one after the other; within a stage codes are written by the time at which they begin, and those of one
time in the order of the codebooks. With a single stage this is frame by frame, and for SNAC's strides 4, 2 and 1 the
seven codes per coarse frame in the order that Orpheus writes. With a stage per codebook it is coarse first; with the
semantic codebooks in a stage of their own it is the order of AudioLM (arXiv:2209.03143).
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokaudio._spec_checks import require_int
from tokaudio.errors import TokensError
from tokaudio.spec import TokenizerSpec

SEPARATOR = -1


@dataclass(frozen=True)
class Plan:
    """What stands at each place of a row of ids.

    Attributes:
        books: codebook, or `SEPARATOR`, int64 [L].
        times: frame at which the code begins, int64 [L].
    """

    books: NDArray[np.int64]
    times: NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """Stages of codebooks, repeated for every chunk of frames.

    Args:
        strides: of all codebooks, in frames.
        stages: codebooks of each stage; every codebook is in one.
        chunk: frames after which the stages begin anew; None for the whole item.
        separated: whether a separator stands between the stages of a chunk.

    Raises:
        TokensError: stages that leave out or repeat a codebook, or a chunk that splits a slow code.

    Example:
        >>> order = Order((4, 2, 1), ((0, 1, 2),))
        >>> order.plan(4).books.tolist()
        [0, 1, 2, 2, 1, 2, 2]
        >>> Order((1, 1), ((0,), (1,)), separated=True).plan(2).books.tolist()
        [0, 0, -1, 1, 1]
    """

    strides: tuple[int, ...]
    stages: tuple[tuple[int, ...], ...]
    chunk: int | None = None
    separated: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(tuple(stage) for stage in self.stages))
        books = sorted(itertools.chain(*self.stages))
        if books != list(range(len(self.strides))) or not all(self.stages):
            raise TokensError(f"stages {self.stages} for {len(self.strides)} codebooks; name each codebook once")
        if self.chunk is not None:
            require_int("chunk", self.chunk)
            if self.chunk % self.period:
                raise TokensError(
                    f"a chunk of {self.chunk} frames splits a slow code; give a multiple of {self.period}"
                )
        elif len(self.stages) == 1:
            # Frame by frame is the same in chunks of one period, which are cheap to repeat.
            object.__setattr__(self, "chunk", self.period)

    @property
    def period(self) -> int:
        """Frames after which all codebooks begin together."""
        return int(np.lcm.reduce(self.strides))

    @property
    def step(self) -> int:
        """Items have a multiple of so many frames: the least stride, usually 1."""
        return min(self.strides)

    def length(self, frames: int) -> int:
        """Return the number of ids, separators included, of an item of so many frames.

        Example:
            >>> Order((4, 2, 1), ((0, 1, 2),)).length(8)
            14
        """
        codes = sum(-(-frames // stride) for stride in self.strides)
        chunks = (1 if frames else 0) if self.chunk is None else -(-frames // self.chunk)
        return codes + (chunks * (len(self.stages) - 1) if self.separated else 0)

    def frames(self, length: int) -> int:
        """Return the frames of a row of so many ids: the inverse of `length`.

        Raises:
            TokensError: a number of ids that no item has.

        Example:
            >>> Order((4, 2, 1), ((0, 1, 2),)).frames(14)
            8
        """
        steps = bisect.bisect_left(range(length + 1), length, key=lambda count: self.length(count * self.step))
        if steps > length or self.length(steps * self.step) != length:
            raise TokensError(f"{length} ids are no whole number of frames; {self._whole()}")
        return steps * self.step

    def _whole(self) -> str:
        return f"{self.period} frames have {self.length(self.period)} ids; cut after the last whole frame"

    def plan(self, frames: int) -> Plan:
        """Return what stands where in an item of so many frames.

        Raises:
            TokensError: frames that leave the last code of every codebook unfinished.
        """
        if frames % self.step:
            raise TokensError(f"{frames} frames, and no codebook has a stride below {self.step}; give a multiple of it")
        if self.chunk is None:
            return self.chunk_plan(frames)
        whole, rest = divmod(frames, self.chunk)
        one, tail = self.chunk_plan(self.chunk), self.chunk_plan(rest)
        times = one.times[None, :] + self.chunk * np.arange(whole)[:, None]
        books = np.concatenate([np.tile(one.books, whole), tail.books])
        return Plan(books, np.concatenate([times.ravel(), whole * self.chunk + tail.times]))

    def chunk_plan(self, frames: int) -> Plan:
        """Return what stands where in one chunk of so many frames: every stage once."""
        if not frames:
            return Plan(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        books: list[NDArray[np.int64]] = []
        times: list[NDArray[np.int64]] = []
        for number, stage in enumerate(self.stages):
            if number and self.separated:
                books.append(np.array([SEPARATOR]))
                times.append(np.zeros(1, dtype=np.int64))
            starts = [np.arange(0, frames, self.strides[k]) for k in stage]
            rank = np.repeat(np.arange(len(stage)), [len(row) for row in starts])
            begin = np.concatenate(starts)
            sequence = np.lexsort((rank, begin))
            books.append(np.array(stage)[rank[sequence]])
            times.append(begin[sequence])
        return Plan(np.concatenate(books), np.concatenate(times))


def flatten(spec: TokenizerSpec) -> Order:
    """Return the order frame by frame: all codebooks of the first frame, then of the second (Orpheus's for SNAC).

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> flatten(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)).plan(2).books.tolist()
        [0, 1, 0, 1]
    """
    return Order(_strides(spec), (tuple(range(spec.num_codebooks)),))


def coarse_first(spec: TokenizerSpec, *, chunk: int | None = None, separated: bool = False) -> Order:
    """Return the order codebook by codebook, over the whole item or over chunks of so many frames.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
        >>> coarse_first(spec, chunk=2).plan(3).books.tolist()
        [0, 0, 1, 1, 0, 1]
    """
    return Order(_strides(spec), tuple((k,) for k in range(spec.num_codebooks)), chunk, separated)


def semantic_then_acoustic(
    spec: TokenizerSpec, *, semantic: Sequence[int] | None = None, chunk: int | None = None, separated: bool = True
) -> Order:
    """Return the order of AudioLM: semantic codebooks, a separator, the others, each frame by frame.

    Args:
        spec: of the tokenizer.
        semantic: the semantic codebooks; those whose role says so where None.
        chunk: frames after which it begins anew; None for the whole item.
        separated: whether a separator stands between the two.

    Raises:
        TokensError: if no codebook, or all of them, are semantic.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> books = (CodebookSpec(8, role="semantic"), CodebookSpec(8), CodebookSpec(8))
        >>> semantic_then_acoustic(TokenizerSpec("toy", "hybrid", 16_000, 320, books)).plan(2).books.tolist()
        [0, 0, -1, 1, 2, 1, 2]
    """
    if semantic is None:
        semantic = [k for k, book in enumerate(spec.codebooks) if book.role == "semantic"]
    others = [k for k in range(spec.num_codebooks) if k not in semantic]
    if not semantic or not others:
        raise TokensError(f"{spec.name} has {len(semantic)} semantic codebooks of {spec.num_codebooks}; name them")
    return Order(_strides(spec), (tuple(semantic), tuple(others)), chunk, separated)


def _strides(spec: TokenizerSpec) -> tuple[int, ...]:
    return tuple(book.stride for book in spec.codebooks)
