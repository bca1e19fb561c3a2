"""The inverse of a flat layout for ids that arrive one by one, as from a language model that is writing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import Integers, as_array, like
from tokaudio.layouts.base import LayoutDecoder
from tokaudio.layouts.orders import SEPARATOR, Order
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec


class FlatDecoder(LayoutDecoder):
    """Frames come out as soon as every codebook's code for them is there.

    Every id is checked when it arrives: it must be the next one of its stage, or the first one of the next stage.
    Where stages have the right lengths relative to each other is known, and checked, when a chunk or the item ends.

    Attributes:
        frames: frames that have come out so far.
    """

    def __init__(self, spec: TokenizerSpec, order: Order, vocabulary: Vocabulary, separator: int | None) -> None:
        self.frames = 0
        self._spec, self._order, self._vocabulary, self._separator = spec, order, vocabulary, separator
        self._stages = [Order(_of(order.strides, s), (tuple(range(len(s))),)).plan(order.period) for s in order.stages]
        self._full = None if order.chunk is None else order.chunk_plan(order.chunk).books.tolist()
        self._queues: list[list[int]] = [[] for _ in order.strides]
        self._counts = [0] * len(order.strides)  # codes of each codebook that came, in all
        self._chunk: list[int] = []  # codebooks of the ids of the chunk that has begun
        self._stage = self._place = 0
        self._position = 0

    def push(self, ids: Integers) -> Integers:
        """Take the next ids [n] and return the frames that they complete; see `LayoutDecoder`."""
        array = as_array("ids", ids, 1)
        books, phases, codes = self._vocabulary.lookup(array)
        rows = zip(array.tolist(), books.tolist(), phases.tolist(), codes.tolist(), strict=True)
        for number, book, phase, code in rows:
            self._take(number, book, phase, code)
            self._position += 1
        return like(self._ready(), ids)

    def _take(self, number: int, book: int, phase: int, code: int) -> None:
        if self._full is not None and len(self._chunk) == len(self._full):
            self._end_chunk()
        separator = number == self._separator
        if not separator and book < 0:
            raise self._refusal(number, "no code belongs there; cut special ids and text off first")
        if separator or (self._place and not self._order.separated and book != self._expected()):
            self._next_stage(number)
        if separator:
            self._chunk.append(SEPARATOR)
            return
        if book != self._expected():
            raise self._refusal(number, f"one of codebook {self._expected()} belongs there")
        places = self._order.period // self._order.strides[book]
        if phase >= 0 and phase != self._counts[book] % places:
            raise self._refusal(number, f"place {self._counts[book] % places} of codebook {book} belongs there")
        if code >= self._spec.codebooks[book].size:
            raise self._refusal(number, f"codebook {book} has {self._spec.codebooks[book].size} codes; undo BPE first")
        self._chunk.append(book)
        self._queues[book].append(code)
        self._counts[book] += 1
        self._place += 1

    def _expected(self) -> int:
        plan = self._stages[self._stage].books
        return self._order.stages[self._stage][int(plan[self._place % len(plan)])]

    def _next_stage(self, number: int) -> None:
        if not self._place or self._stage + 1 == len(self._order.stages):
            raise self._refusal(number, f"one of codebook {self._expected()} belongs there")
        self._stage, self._place = self._stage + 1, 0

    def _end_chunk(self) -> None:
        expected = self._full
        if expected is None or len(self._chunk) != len(expected):
            expected = self._order.chunk_plan(self._order.frames(len(self._chunk))).books.tolist()
        if self._chunk != expected:
            raise TokensError(
                f"the stages that end at position {self._position} are of different lengths; "
                "write every codebook for the same frames"
            )
        self._chunk, self._stage, self._place = [], 0, 0

    def _ready(self) -> NDArray[np.int64]:
        strides = self._order.strides
        done = min(count * stride for count, stride in zip(self._counts, strides, strict=True))
        frames = np.arange(self.frames, done)
        codes = np.zeros((len(strides), len(frames)), dtype=np.int64)
        for k, stride in enumerate(strides):
            if len(frames):
                gone = self._counts[k] - len(self._queues[k])
                codes[k] = np.array(self._queues[k], dtype=np.int64)[frames // stride - gone]
                # The code of a slow codebook that has begun stays for its later frames.
                self._queues[k] = self._queues[k][done // stride - gone :]
        self.frames = done
        return codes

    def close(self) -> None:
        """Say that no more ids come; see `LayoutDecoder`."""
        if self._chunk:
            self._end_chunk()

    def _refusal(self, number: int, remedy: str) -> TokensError:
        found = f"position {self._position} holds id {number}, {self._vocabulary.name_of(number)}"
        return TokensError(f"{found}; {remedy}")


def _of(strides: tuple[int, ...], stage: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(strides[k] for k in stage)
