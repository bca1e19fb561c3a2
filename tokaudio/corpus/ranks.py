"""Which of several processes this is, where something else has started them: torchrun, Slurm, or one by one.

Shards are claimed by locks, so that ranks need not be right, nor even known: they only spread where processes begin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rank:
    """One of `count` processes."""

    index: int = 0
    count: int = 1

    def order(self, shards: int) -> Iterator[int]:
        """Yield all shards, beginning at this process's share.

        Example:
            >>> list(Rank(1, 2).order(5))
            [2, 3, 4, 0, 1]
        """
        first = shards * (self.index % self.count) // self.count
        yield from range(first, shards)
        yield from range(first)

    def within(self, other: Rank) -> Rank:
        """Return the rank of a worker of this process, which is one of several.

        Example:
            >>> Rank(1, 2).within(Rank(0, 4))
            Rank(index=4, count=8)
        """
        return Rank(self.index * other.count + other.index, self.count * other.count)


def rank_from(environment: Mapping[str, str] | None = None) -> Rank:
    """Return this process's rank: of `RANK` and `WORLD_SIZE` (torchrun), or of Slurm's variables.

    In a Slurm array every task of it has `SLURM_NTASKS` processes.

    Example:
        >>> rank_from({"RANK": "3", "WORLD_SIZE": "8"}), rank_from({})
        (Rank(index=3, count=8), Rank(index=0, count=1))
        >>> rank_from({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"})
        Rank(index=1, count=2)
    """
    names = os.environ if environment is None else environment
    if "RANK" in names:
        return _rank(names.get("RANK"), names.get("WORLD_SIZE"))
    task = _rank(names.get("SLURM_PROCID"), names.get("SLURM_NTASKS"))
    first, step = _number(names.get("SLURM_ARRAY_TASK_MIN"), 0), _number(names.get("SLURM_ARRAY_TASK_STEP"), 1)
    at = _number(names.get("SLURM_ARRAY_TASK_ID"), first) - first
    array = _rank(str(at // max(step, 1)), names.get("SLURM_ARRAY_TASK_COUNT"))
    return array.within(task)


def _rank(index: str | None, count: str | None) -> Rank:
    number = max(0, _number(index, 0))
    return Rank(number, max(_number(count, 1), number + 1))


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.strip().isdecimal() else otherwise
