"""Tasks whose answer is sound: what all of them do with the figures of their judges."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Protocol

from tokaudio.probes import PROBE_VERSION
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.evidence import Measure
from tokaudio.probes.generative.sounding import Sounding
from tokaudio.probes.results import TaskResult
from tokaudio.probes.runs import Runner
from tokaudio.probes.statistics import interval
from tokaudio.probes.tasks.base import Task, TaskOptions

GENERATIVE_SEEDS = 2
"""At most: each run also decodes sound and has it judged."""
FLOORS = ("input", "input_tokens", "shuffled_texts")
"""References that need no model."""


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
        rank = {name: one[main] for name, one in found.items()}
        notes = [*not_learnt(measures[main], rank), *sounding.beside(found, measures), *short]
        return TaskResult(
            task=self.name,
            axis=self.axis,
            corpus=options.corpus,
            probe=options.probe(self.model),
            probe_version=PROBE_VERSION,
            measure=measures[main],
            others=tuple(one for name, one in measures.items() if name != main),
            references=rank,
            sizes=session.sizes(),
            data_hash=sounding.data,
            seconds=time.monotonic() - started,
            notes=(*notes, *sounding.panel.missing),
        )


def not_learnt(measure: Measure, references: Mapping[str, Measure]) -> list[str]:
    """Return a sentence where a model has learnt nothing that could be told from its floor; nothing where it has.

    The floor is the best of what is heard, as it is and through the tokenizer; for speech from text, of speech whose
    texts were shuffled. A model has learnt its task where its whole interval is better than that.

    Args:
        measure: of the model.
        references: the same metric by name.

    Example:
        >>> from tokaudio.probes.evidence import Sums
        >>> sums = [Sums(tuple("abcd"), [[[far]] * 4], [[[1]] * 4]) for far in (0.2, 0.5)]
        >>> near, far = (Measure("mel_distance", (0,), one) for one in sums)
        >>> not_learnt(near, {"input": far}), not_learnt(far, {"input": near})[0][:10]
        ([], 'not learnt')
    """
    floors = [references[name] for name in FLOORS if name in references]
    if not floors:
        return []
    sign = 1 if measure.about.higher_is_better else -1
    floor = max(floors, key=lambda one: sign * one.mean)
    sure = interval(measure)
    worst = measure.mean if sure is None else min(sure.low, sure.high, key=lambda end: sign * end)
    if sign * worst > sign * floor.mean:
        return []
    name = next(name for name in FLOORS if references.get(name) is floor).replace("_", " ")
    return [f"not learnt: no better than {name}: too little data, which says nothing of the tokenizer"]
