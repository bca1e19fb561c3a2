"""A few places where each code occurs, drawn at random from a stream of recordings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers

# Places that wait until the best of each code are chosen anew.
_WAITING = 1 << 16


@dataclass(frozen=True, slots=True)
class Example:
    """Where a code occurs.

    Attributes:
        recording: its name.
        start: in seconds.
        stop: in seconds.
    """

    recording: str
    start: float
    stop: float


class Occurrences:
    """Keeps some runs of each code; every run is as likely to be kept as any other of its code.

    Each run gets a random number, and those with the smallest are kept (bottom-k sampling).

    Args:
        most: runs of each code.
        seed: of the draw.

    Raises:
        AnalysisError: if `most` is negative.

    Example:
        >>> places = Occurrences(2)
        >>> places.add(np.array([5, 5, 7]), 0)
        >>> places.finish()
        {5: [(0, 0, 2)], 7: [(0, 2, 1)]}
    """

    def __init__(self, most: int, *, seed: int = 0) -> None:
        if most < 0:
            raise AnalysisError(f"most is {most}; give 0 or more")
        self._most, self._random = most, np.random.default_rng(seed)
        self._keys = np.zeros(0)
        # Code, recording, first frame and length of each run.
        self._runs = np.zeros((0, 4), dtype=np.int64)
        self._waiting: list[Integers] = []
        self._count = 0

    def add(self, codes: Integers, recording: int) -> None:
        """Take the codes of one recording `[T]`, -1 for none, and its number."""
        starts = np.flatnonzero(np.diff(codes, prepend=-2))
        lengths = np.diff(starts, append=len(codes))
        runs = np.stack([codes[starts], np.full_like(starts, recording), starts, lengths], axis=1)
        runs = runs[runs[:, 0] >= 0]
        self._waiting.append(runs)
        self._count += len(runs)
        if self._count >= max(_WAITING, len(self._runs)):
            self._choose()

    def finish(self) -> dict[int, list[tuple[int, int, int]]]:
        """Return recording, first frame and length of the runs kept of each code, in order."""
        self._choose()
        found: dict[int, list[tuple[int, int, int]]] = {}
        for code, recording, start, length in sorted(map(tuple, self._runs.tolist())):
            found.setdefault(code, []).append((recording, start, length))
        return found

    def _choose(self) -> None:
        runs = np.concatenate([self._runs, *self._waiting])
        keys = np.concatenate([self._keys, self._random.random(self._count)])
        order = np.lexsort((keys, runs[:, 0]))
        runs, keys = runs[order], keys[order]
        first = np.flatnonzero(np.diff(runs[:, 0], prepend=-1))
        rank = np.arange(len(runs)) - np.repeat(first, np.diff(first, append=len(runs)))
        kept = rank < self._most
        self._runs, self._keys, self._waiting, self._count = runs[kept], keys[kept], [], 0
