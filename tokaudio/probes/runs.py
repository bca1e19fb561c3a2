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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tokaudio.probes import PROBE_VERSION
from tokaudio.probes.data.caching import ArrayCache

Array = NDArray[Any]


class Runner:
    """Does runs, or finds that they were done.

    Args:
        cache: folder of all caches; None to keep runs in memory only.
        minutes: after which no run begins that can be left out; None for no limit.
        listener: is told of each run: the task, how many runs of it are done, how many there will be.

    Attributes:
        done: runs that were computed, and `found` those that were found.
    """

    def __init__(
        self,
        *,
        cache: Path | None = None,
        minutes: float | None = None,
        listener: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        self._kept = ArrayCache(cache, "runs-1")
        self._deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self._until = self._deadline
        self._listener = listener
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
        text = json.dumps([PROBE_VERSION, self._task, facts], sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()
        found = self._kept.get(key)
        if found is None:
            found = compute()
            self._kept.put(key, found)
            self._kept.flush()
            self.done += 1
        else:
            self.found += 1
        self._count += 1
        self._listener(self._task, self._count, max(self._total, self._count))
        return found
