"""Runs of probes: each done once, kept, counted, and within a time.

    runner = Runner(cache=folder, minutes=8)
    scores = runner.run("ks", {"seed": 0, ...}, compute)

What a run gives is kept under everything that it depends on, so that a suite which was interrupted goes on where it
was, and runs that do not concern the tokenizer, such as those on log-mel, are shared by all tokenizers.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tokaudio.probes import PROBE_VERSION
from tokaudio.probes.data.caching import ArrayCache
from tokaudio.probes.side_by_side import side_by_side

Array = NDArray[Any]
Run = tuple[Mapping[str, Any], Callable[[], Array]]
"""Everything that a run depends on, as JSON can hold it, and what does it."""


class Runner:
    """Does runs, or finds that they were done.

    Args:
        cache: folder of all caches; None to keep runs in memory only.
        minutes: after which no run begins that can be left out; None for no limit.
        jobs: runs that are done side by side; results are the same.
        listener: is told of each run: the task, how many runs of it are done, how many there will be.

    Attributes:
        done: runs that were computed, and `found` those that were found.
    """

    def __init__(
        self,
        *,
        cache: Path | None = None,
        minutes: float | None = None,
        jobs: int = 1,
        listener: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        self._kept = ArrayCache(cache, "runs-1")
        self._deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self._until = self._deadline
        self._listener, self._jobs = listener, jobs
        self._task, self._count, self._total = "", 0, 0
        self.done, self.found = 0, 0

    def begin(self, task: str, total: int, *, tasks_left: int = 1) -> None:
        """Begin a task of so many runs, which may take its share of the time that is left for the tasks to come."""
        self._task, self._count, self._total = task, 0, total
        if self._deadline is not None:
            now = time.monotonic()
            self._until = now + max(0.0, self._deadline - now) / max(tasks_left, 1)

    @property
    def out_of_time(self) -> bool:
        """Whether runs that can be left out shall be."""
        return self._until is not None and time.monotonic() >= self._until

    def in_time(self, items: Sequence[Any]) -> Iterator[list[Any]]:
        """Yield what there is to do, as long as there is time: all at once without a limit, else piece by piece.

        Example:
            >>> list(Runner().in_time([1, 2, 3])), list(Runner(minutes=0).in_time([1, 2, 3]))
            ([[1, 2, 3]], [])
        """
        step = max(1, len(items) if self._until is None else self._jobs)
        for start in range(0, len(items), step):
            if self.out_of_time:
                break
            yield list(items[start : start + step])

    def run(self, facts: Mapping[str, Any], compute: Callable[[], Array]) -> Array:
        """Return what a run gives.

        Args:
            facts: everything that it depends on, as JSON can hold it.
            compute: does it.

        Example:
            >>> import numpy as np
            >>> runner = Runner()
            >>> [int(runner.run({"seed": 1}, lambda: np.array(number))) for number in (3, 4)], runner.done
            ([3, 3], 1)
        """
        return self.run_all([(facts, compute)])[0]

    def run_all(self, runs: Sequence[Run]) -> list[Array]:
        """Return what each of several runs gives, done side by side where they were not done before.

        Raises:
            ProbeError: if a run raises one.
        """
        keys = [self._key(facts) for facts, _ in runs]
        found = {key: held for key in keys if (held := self._kept.get(key)) is not None}
        self.found += len(found)
        for _ in found:
            self._tell()
        missing = {key: compute for key, (_, compute) in zip(keys, runs, strict=True) if key not in found}
        names = list(missing)
        for number, array in side_by_side(list(missing.values()), at_once=self._jobs):
            found[names[number]] = array
            self._kept.put(names[number], array)
            self._kept.flush()
            self.done += 1
            self._tell()
        return [found[key] for key in keys]

    def _key(self, facts: Mapping[str, Any]) -> str:
        text = json.dumps([PROBE_VERSION, self._task, facts], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _tell(self) -> None:
        self._count += 1
        self._listener(self._task, self._count, max(self._total, self._count))
