"""Tasks whose answer is sound: what all of them do with the figures of their judges."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import ClassVar, Protocol

from tokaudio.probes import PROBE_VERSION
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.evidence import Measure
from tokaudio.probes.generative.sounding import Sounding
from tokaudio.probes.results import TaskResult
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks.base import Task, TaskOptions

GENERATIVE_SEEDS = 2
"""At most: each run also decodes sound and has it judged."""


class Session(Protocol):
    """One such task on one tokenizer.

    Attributes:
        sounding: the scenes through the tokenizer, and their judges.
    """

    sounding: Sounding

    def figures(self) -> dict[str, dict[str, Measure]]:
        """Return all figures, of `tokens` and of each reference: the first of them is the one that ranks."""

    def sizes(self) -> dict[str, int]:
        """Return how much data there was."""


class Generation(Task):
    """A task whose answer is sound.

    Attributes:
        model: that predicts tokens, in a word.
    """

    model: ClassVar[str]

    @abstractmethod
    def begin(self, source: Extraction, options: TaskOptions, runner: Runner) -> Session:
        """Return the task on one tokenizer.

        Raises:
            ProbeError: the recordings are too few, or the split leaks.
        """

    def run(self, source: Extraction, options: TaskOptions, runner: Runner) -> TaskResult:
        """Score a tokenizer; see [`Task.run`][tokaudio.probes.tasks.base.Task.run]."""
        started = time.monotonic()
        session = self.begin(source, options, runner)
        found = session.figures()
        measures = found.pop("tokens")
        main = next(iter(measures))
        seeds, asked = len(measures[main].seeds), len(options.seeds[:GENERATIVE_SEEDS])
        short = [f"time allowed {seeds} of {asked} seeds"] if seeds < asked else []
        sounding = session.sounding
        return TaskResult(
            task=self.name,
            axis=self.axis,
            corpus=options.corpus,
            probe=options.probe(self.model),
            probe_version=PROBE_VERSION,
            measure=measures[main],
            others=tuple(one for name, one in measures.items() if name != main),
            references={name: one[main] for name, one in found.items()},
            sizes=session.sizes(),
            data_hash=sounding.data,
            seconds=time.monotonic() - started,
            notes=(*sounding.beside(found, measures), *short, *sounding.panel.missing),
        )
