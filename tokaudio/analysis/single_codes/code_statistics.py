"""Figures of single codes of one codebook, added up in memory that grows with how many codes there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.analysis.single_codes.occurrences import Example, Occurrences
from tokaudio.analysis.single_codes.prototype_results import Prototype
from tokaudio.analysis.statistics.contingency import Integers
from tokaudio.analysis.statistics.counting import SparseCounts

MOST_CODES = 65_536
"""Of a codebook, that are described: the first ones that occur."""
_PHONE_BITS = 24
# Pitch is counted in steps of a quarter of a semitone from 32 to 1024 Hz.
_PITCH_LOW, _PITCH_STEPS, _PITCH_BINS = 5.0, 48, 240


class CodeStatistics:
    """What is known of the codes of one codebook; each has a row, given when it is first seen.

    Args:
        num_mels: bands of the mean spectrum.
        examples: places of each code that are kept, at random.
        seed: of their choice.

    Attributes:
        places: where codes occur.
        left: frames of codes that came after `MOST_CODES` different ones.

    Example:
        >>> book = CodeStatistics(2, 1, 0)
        >>> book.count(np.array([7, 7, -1]), np.array([-1, 9, 9]), np.array([0, 1, 1]))
        >>> book.hear(np.array([7, 7, -1]), np.array([[0, -20], [0, -40], [9, 9]], dtype=np.float32))
        >>> next(iter(book.prototypes(0, 5, 5, {}, ["a"]))).levels
        (0.0, -30.0)
    """

    def __init__(self, num_mels: int, examples: int, seed: int) -> None:
        self._rows: dict[int, int] = {}
        self._sums = np.zeros((0, 2, num_mels))
        self._heard = np.zeros(0, dtype=np.int64)
        self._frames = np.zeros(0, dtype=np.int64)
        self._pitch = np.zeros((0, _PITCH_BINS), dtype=np.int32)
        self._phones = SparseCounts()
        self._total = self.left = 0
        self.places = Occurrences(examples, seed=seed)

    def count(self, codes: Integers, bins: Integers, phones: Integers) -> None:
        """Count codes `[T]`, -1 for none, with the bins of their pitch and their phones, -1 for none."""
        there = codes >= 0
        rows = self._rows_of(codes[there])
        known = rows >= 0
        self.left += int((~known).sum())
        self._total += len(rows)
        np.add.at(self._frames, rows[known], 1)
        bins, phones = bins[there], phones[there]
        voiced = known & (bins >= 0)
        np.add.at(self._pitch, (rows[voiced], bins[voiced]), 1)
        spoken = known & (phones >= 0)
        self._phones.add((codes[there][spoken] << _PHONE_BITS) + phones[spoken])

    def hear(self, codes: Integers, levels: NDArray[np.float32]) -> None:
        """Add levels `[n, num_mels]` to their codes `[n]`, which were counted."""
        rows = self._rows_of(codes[codes >= 0])
        levels = levels[codes >= 0][rows >= 0].astype(np.float64)
        rows = rows[rows >= 0]
        if not len(rows):
            return
        order = np.argsort(rows, kind="stable")
        starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
        of = rows[order][starts]
        self._sums[of, 0] += np.add.reduceat(levels[order], starts)
        self._sums[of, 1] += np.add.reduceat(levels[order] ** 2, starts)
        self._heard[of] += np.diff(starts, append=len(order))

    def prototypes(
        self, index: int, top: int, most_phones: int, examples: dict[int, tuple[Example, ...]], names: Sequence[str]
    ) -> Iterable[Prototype]:
        """Yield the most frequent codes, the lowest of equals first."""
        frames = {code: int(self._frames[row]) for code, row in self._rows.items()}
        chosen = sorted(frames, key=lambda code: (-frames[code], code))[:top]
        phones = self._top_phones(set(chosen), most_phones)
        for code in chosen:
            row = self._rows[code]
            heard = max(1, int(self._heard[row]))
            mean, square = self._sums[row] / heard
            spoken = [(names[phone] if phone < len(names) else str(phone), share) for phone, share in phones[code]]
            yield Prototype(
                codebook=index,
                code=code,
                frames=frames[code],
                share=frames[code] / max(1, self._total),
                levels=tuple(mean.tolist()),
                spread=tuple(np.sqrt(np.maximum(square - mean**2, 0.0)).tolist()),
                pitch=_median(self._pitch[row]),
                voiced=int(self._pitch[row].sum()) / frames[code],
                phones=tuple(spoken),
                examples=examples.get(code, ()),
            )

    def _top_phones(self, codes: set[int], most: int) -> dict[int, list[tuple[int, float]]]:
        """Return the most frequent phones of codes, each with its share of the frames that have a phone."""
        keys, counts = self._phones.finish()
        of, phone = keys >> _PHONE_BITS, keys & ((1 << _PHONE_BITS) - 1)
        found: dict[int, list[tuple[int, float]]] = {}
        for code in codes:
            here = slice(*np.searchsorted(of, [code, code + 1]).tolist())
            best = np.argsort(-counts[here], kind="stable")[:most]
            total = int(counts[here].sum())
            found[code] = [(int(phone[here][one]), int(counts[here][one]) / total) for one in best]
        return found

    def _rows_of(self, codes: Integers) -> Integers:
        """Return the row of each code, -1 for those that came too late to have one."""
        known, inverse = np.unique(codes, return_inverse=True)
        for code in known.tolist():
            if code not in self._rows and len(self._rows) < MOST_CODES:
                self._rows[code] = len(self._rows)
        if len(self._rows) > len(self._frames):
            self._grow(max(len(self._rows), 2 * len(self._frames)))
        rows = np.array([self._rows.get(code, -1) for code in known.tolist()], dtype=np.int64)
        return rows[inverse]

    def _grow(self, size: int) -> None:
        for name in ("_sums", "_heard", "_frames", "_pitch"):
            old = getattr(self, name)
            new = np.zeros((size, *old.shape[1:]), dtype=old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)


def pitch_bins(hertz: NDArray[Any]) -> Integers:
    """Return the step of each pitch in Hz, -1 for none.

    Example:
        >>> pitch_bins(np.array([64.0, np.nan]))
        array([48, -1])
    """
    bins = np.full(len(hertz), -1, dtype=np.int64)
    known = np.isfinite(hertz) & (hertz > 0)
    steps = (np.log2(hertz[known]) - _PITCH_LOW) * _PITCH_STEPS
    bins[known] = np.clip(np.floor(steps), 0, _PITCH_BINS - 1)
    return bins


def _median(counts: NDArray[np.int32]) -> float | None:
    """Return the median of pitches counted by step, in Hz: the middle of its step; None for none."""
    total = int(counts.sum())
    if not total:
        return None
    step = int(np.searchsorted(np.cumsum(counts), (total + 1) // 2))
    return float(2 ** (_PITCH_LOW + (step + 0.5) / _PITCH_STEPS))
