"""How often numbers occur in a stream, in memory that grows with how many differ, not with its length.

    counts = SparseCounts()
    counts.add(some), counts.add(more)
    keys, times = counts.finish()

What occurs together is counted by making one number of it, as `code * size + next_code`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers, integers

# Numbers that wait until they are sorted; fewer would be sorted too often.
_WAITING = 1 << 16


class SparseCounts:
    """Counts of integers from 0 to 2**63 - 1, of which any few may occur.

    New numbers wait unsorted until they are as many as those counted, so that n of them cost O(n log n) in all.

    Example:
        >>> counts = SparseCounts()
        >>> counts.add([7, 7, 1 << 40])
        >>> counts.add([7])
        >>> counts.finish()
        (array([            7, 1099511627776]), array([3, 1]))
    """

    def __init__(self) -> None:
        self._keys, self._times = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self._waiting: list[Integers] = []
        self._size = 0

    def add(self, keys: ArrayLike) -> None:
        """Count some more, integers of any shape.

        Raises:
            AnalysisError: if they are no integers, or one is negative.
        """
        numbers = integers(keys, "numbers to count").ravel()
        if not numbers.size:
            return
        if numbers.min() < 0:
            raise AnalysisError(f"a number to count is {numbers.min()}; give numbers from 0")
        self._waiting.append(numbers)
        self._size += numbers.size
        if self._size >= max(_WAITING, self._keys.size):
            self._sort()

    def finish(self) -> tuple[Integers, Integers]:
        """Return the numbers that occur, in ascending order, and how often each does; more may be added afterwards."""
        self._sort()
        return self._keys, self._times

    def _sort(self) -> None:
        if not self._waiting:
            return
        keys, times = count(np.concatenate(self._waiting))
        self._waiting, self._size = [], 0
        self._keys, self._times = merge((self._keys, self._times), (keys, times)) if self._keys.size else (keys, times)


def count(numbers: Integers) -> tuple[Integers, Integers]:
    """Return which numbers `[N]` from 0 occur, in ascending order, and how often.

    Example:
        >>> count(np.array([4, 2, 4]))
        (array([2, 4]), array([1, 2]))
    """
    # Counting in place is faster than sorting wherever the table of all numbers is no larger than what is counted.
    if numbers.size and int(numbers.max()) <= 4 * numbers.size + 4096:
        every = np.bincount(numbers)
        found = np.flatnonzero(every)
        return found, every[found]
    found, times = np.unique(numbers, return_counts=True)
    return found, times


def merge(one: tuple[Integers, Integers], other: tuple[Integers, Integers]) -> tuple[Integers, Integers]:
    """Return the counts of both, each as `count` gives them.

    Example:
        >>> merge(count(np.array([4, 2])), count(np.array([4, 5])))
        (array([2, 4, 5]), array([1, 2, 1]))
    """
    keys, times = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    order = np.argsort(keys, kind="stable")
    keys, times = keys[order], times[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[first], np.add.reduceat(times, first)
