"""A bounded random sample of stretches of recordings, some of them held out: what measures of order read.

    sample = PieceSample(spec)
    for codes in recordings:
        sample.add(codes)
    pieces = sample.finish()
    pieces.learned(0), pieces.held_out(0)  # codes of codebook 0, stretch by stretch

How one code follows another needs frames as they came, so that stretches are drawn here, not single frames (see
sampling.py). Every fourth recording is held out: what is learned from a recording is never tested on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tokaudio.analysis.codes.code_streams import at_own_rate, checked
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.spec import TokenizerSpec

LIMIT = 300_000
"""Frames of a sample: 1 h and 40 min at 50 per second."""
_STRETCH = 1_000
_HELD_OUT = 4


@dataclass(frozen=True, slots=True)
class _Stretch:
    key: float
    recording: int
    start: int
    codes: NDArray[Any]


class Pieces:
    """Stretches of recordings.

    Args:
        spec: of the tokenizer.
        learned: codes `[K, T]` of stretches to learn from.
        held_out: codes `[K, T]` of stretches of other recordings.
        seen: frames that they were drawn from.
    """

    def __init__(
        self, spec: TokenizerSpec, learned: list[NDArray[Any]], held_out: list[NDArray[Any]], *, seen: int
    ) -> None:
        self.spec, self.seen = spec, seen
        self._sides = learned, held_out

    @property
    def frames(self) -> tuple[int, int]:
        """How many there are to learn from, and held out."""
        learned, held_out = (sum(one.shape[1] for one in side) for side in self._sides)
        return learned, held_out

    def learned(self, codebook: int) -> list[Integers]:
        """Return the codes `[n]` of one codebook, at its own rate, of each stretch to learn from."""
        return self._rows(0, codebook)

    def held_out(self, codebook: int) -> list[Integers]:
        """Return the codes `[n]` of one codebook, at its own rate, of each stretch that is held out."""
        return self._rows(1, codebook)

    def _rows(self, side: int, codebook: int) -> list[Integers]:
        rows = (at_own_rate(codes, self.spec, codebook).astype(np.int64) for codes in self._sides[side])
        return [row for row in rows if row.size]


class PieceSample:
    """Draws stretches of about 1,000 frames from recordings that come one after the other.

    Args:
        spec: of the tokenizer.
        limit: frames that are kept at most; all of them, while there are no more.
        seed: of the draw.

    Raises:
        AnalysisError: if `limit` is below 4,000.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> sample = PieceSample(TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),)))
        >>> for _ in range(8):
        ...     sample.add([[1, 2, 3, 4]])
        >>> sample.finish().frames
        (24, 8)
    """

    def __init__(self, spec: TokenizerSpec, *, limit: int = LIMIT, seed: int = 0) -> None:
        if limit < _HELD_OUT * _STRETCH:
            raise AnalysisError(f"limit is {limit}; give at least {_HELD_OUT * _STRETCH} frames")
        self.spec, self._limit = spec, limit
        self._length = -(-_STRETCH // spec.stride_period) * spec.stride_period
        self._random = np.random.default_rng(seed)
        self._kept: list[_Stretch] = []
        self._frames = self.seen = self.recordings = 0

    def add(self, codes: ArrayLike | Tensor) -> None:
        """Take the codes `[K, T]` of one recording, -1 where a frame does not have a codebook.

        Raises:
            AnalysisError: if they cannot be codes of this tokenizer.
        """
        rows = checked(codes, self.spec)
        narrow = np.int32 if max(self.spec.codebook_sizes) <= 2**31 else np.int64
        for start in range(0, rows.shape[1], self._length):
            part = rows[:, start : start + self._length].astype(narrow)
            self._kept.append(_Stretch(float(self._random.random()), self.recordings, start, part))
            self._frames += part.shape[1]
        self.seen += rows.shape[1]
        self.recordings += bool(rows.shape[1])
        if self._frames >= 2 * self._limit:
            self._shrink()

    def finish(self) -> Pieces:
        """Return the sample; more may be added afterwards.

        Of a single recording, its last quarter is held out.

        Raises:
            AnalysisError: if there is no frame.
        """
        if not self.seen:
            raise AnalysisError("there is no frame; give audio or tokens")
        self._shrink()
        sides: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
        for recording, codes in self._joined():
            if self.recordings > 1:
                sides[recording % _HELD_OUT == 1].append(codes)
            else:
                period = self.spec.stride_period
                cut = codes.shape[1] * (_HELD_OUT - 1) // _HELD_OUT // period * period
                sides[0].append(codes[:, :cut])
                sides[1].append(codes[:, cut:])
        return Pieces(self.spec, *sides, seen=self.seen)

    def _shrink(self) -> None:
        if self._frames <= self._limit:
            return
        total, kept = 0, []
        for stretch in sorted(self._kept, key=lambda one: one.key):
            total += stretch.codes.shape[1]
            if total > self._limit:
                break
            kept.append(stretch)
        self._kept = kept
        self._frames = sum(stretch.codes.shape[1] for stretch in kept)

    def _joined(self) -> list[tuple[int, NDArray[Any]]]:
        """Return the number of the recording and the codes of each stretch, neighbours as one."""
        joined: list[tuple[int, list[NDArray[Any]]]] = []
        end = (-1, 0)
        for one in sorted(self._kept, key=lambda one: (one.recording, one.start)):
            if (one.recording, one.start) == end:
                joined[-1][1].append(one.codes)
            else:
                joined.append((one.recording, [one.codes]))
            end = one.recording, one.start + one.codes.shape[1]
        return [(recording, np.concatenate(parts, axis=1)) for recording, parts in joined]
