"""What a task is: which recordings it needs, how they are parted, what is scored."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.results import TaskResult
from tokaudio.probes.runs import Runner

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """How much is run, and on what.

    Attributes:
        seeds: of the probe on tokens, and on continuous features.
        reference_seeds: how many of them for the other references; 0 for tokens alone, with no reference at all.
        permutations: of labels, for the shuffled floor.
        corpus: name of the data.
        head: another head than the task's own.
        fusion: over codebooks.
        initial: vectors of codes start from the tokenizer's `codebooks` or at `random`.
        trainable: whether fitting changes the vectors of codes.
        reads: `tokens`, or `embed` for the vectors that a decoder or language model receives.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    reference_seeds: int = 2
    permutations: int = 3
    corpus: str = "quick"
    head: str | None = None
    fusion: str = "scalar"
    initial: str = "codebooks"
    trainable: bool = False
    reads: str = "tokens"

    def probe(self, head: str) -> str:
        """Return the name of the probe: its head, and whatever differs from what is usual.

        Example:
            >>> TaskOptions().probe("xvector"), TaskOptions(initial="random", trainable=True).probe("linear")
            ('xvector', 'linear, random, trainable')
        """
        usual = TaskOptions()
        extra = [
            str(getattr(self, name))
            for name in ("fusion", "initial", "reads")
            if getattr(self, name) != getattr(usual, name)
        ]
        return ", ".join([head, *extra, *(["trainable"] if self.trainable else [])])


class Task(ABC):
    """One thing that tokens may be good for.

    Attributes:
        name: short, by which it is asked for.
        title: for people.
        axis: one of [`AXES`][tokaudio.probes.results.AXES].
        needs: what manifests must say of a recording, in words.
    """

    name: str
    title: str
    axis: str
    needs: str

    @abstractmethod
    def takes(self, recording: Recording) -> bool:
        """Return whether a recording can be used."""

    @abstractmethod
    def run(self, source: Extraction, options: TaskOptions, runner: Runner) -> TaskResult:
        """Score a tokenizer.

        Raises:
            ProbeError: the recordings are too few, or the split leaks.
        """

    @abstractmethod
    def runs(self, options: TaskOptions) -> int:
        """Return how many runs there are to do."""

    def select(self, recordings: Sequence[Recording]) -> list[int]:
        """Return the numbers of the recordings that the task can use.

        Raises:
            ProbeError: there are none.
        """
        chosen = [number for number, one in enumerate(recordings) if self._is_meant(one) and self.takes(one)]
        if not chosen:
            problem = f"none of {len(recordings)} recordings can be used for it"
            raise ProbeError(one_line(self.name, problem, f"give recordings with {self.needs}"))
        return chosen

    def _is_meant(self, recording: Recording) -> bool:
        """Return whether a recording may be used for this task by what its column `tasks` says, if it has one."""
        named = recording.facts.get("tasks")
        return named is None or self.name in named.split()


def data_hash(rows: Sequence[Sequence[str]]) -> str:
    """Return a SHA-256 over what was trained and tested on, whatever the order.

    Example:
        >>> data_hash([["a", "yes"], ["b", "no"]]) == data_hash([["b", "no"], ["a", "yes"]])
        True
    """
    digest = hashlib.sha256()
    for row in sorted(map(tuple, rows)):
        digest.update("\x1f".join(row).encode() + b"\n")
    return digest.hexdigest()
