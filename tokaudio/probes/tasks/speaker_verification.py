"""Speaker verification: do two recordings have the same speaker, where neither speaker was heard before?

The probe learns to tell some speakers apart, with an angular margin; pairs of recordings of other speakers are scored
by the cosine of the vectors before its last layer. Pairs have different texts, so that what is said says nothing: the
same number of pairs of each speaker and of each two speakers, drawn once.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.probes import PROBE_VERSION
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.data.splits import official_split, require_disjoint, split_by
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure, Pairs
from tokaudio.probes.models.classifying import ProbeConfig, Split, speaker_vectors
from tokaudio.probes.models.fitting import FitBudget
from tokaudio.probes.models.inputs import Inputs
from tokaudio.probes.results import TaskResult
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks.base import Task, TaskOptions, data_hash
from tokaudio.probes.tasks.classification import fact
from tokaudio.probes.tasks.readings import Readings, planned_runs

Integers = NDArray[np.int64]
SAME_PAIRS, OTHER_PAIRS = 60, 15
"""Of one speaker, and of each two."""


@dataclass(frozen=True)
class SpeakerVerification(Task):
    """The task; see the module.

    Attributes:
        name: short, by which it is asked for.
        title: for people.
        axis: one of [`AXES`][tokaudio.probes.results.AXES].
        needs: what manifests must say of a recording.
        head: that reads it.
        budget: how long the probe may learn.
    """

    name: str = "sv"
    title: str = "speaker verification"
    axis: str = "speaker"
    needs: str = "a column speaker"
    head: str = "xvector"
    budget: FitBudget = field(default_factory=lambda: FitBudget(epochs=20, patience=4))

    def takes(self, recording: Recording) -> bool:
        """Return whether it is known who speaks."""
        return recording.speaker is not None

    def runs(self, options: TaskOptions) -> int:
        """Return how many runs there are to do."""
        return planned_runs(options, floors=options.permutations)

    def run(self, source: Extraction, options: TaskOptions, runner: Runner) -> TaskResult:
        """Score a tokenizer; see [`Task.run`][tokaudio.probes.tasks.base.Task.run]."""
        started = time.monotonic()
        session = _Session(self, source, options, runner)
        scores = session.scores()
        shuffled = session.shuffled()
        seeds = tuple(scores["tokens"])
        same = {name: session.measure("eer", rows) for name, rows in scores.items()}
        same["majority"] = session.measure("eer", {seed: np.zeros(len(session.left)) for seed in seeds})
        return TaskResult(
            task=self.name,
            axis=self.axis,
            corpus=options.corpus,
            probe=options.probe(session.readings.config.head),
            probe_version=PROBE_VERSION,
            measure=same.pop("tokens"),
            others=(session.measure("min_dcf", scores["tokens"]),),
            references=same,
            shuffled=shuffled,
            chance=0.5,
            sizes=session.sizes(),
            data_hash=session.readings.data,
            seconds=time.monotonic() - started,
            notes=tuple(session.readings.note(len(seeds))),
        )


class _Session:
    """The task on one tokenizer."""

    def __init__(self, task: SpeakerVerification, source: Extraction, options: TaskOptions, runner: Runner) -> None:
        self.task, self.source, self.options, self.runner = task, source, options, runner
        self.chosen = task.select(source.recordings)
        self.speakers = [str(one.speaker) for one in source.recordings]
        self.splits = {seed: self._split(seed) for seed in options.seeds}
        first = self.splits[options.seeds[0]]
        require_disjoint(first, self.speakers, source.contents, source.prints, [one.name for one in source.recordings])
        self.groups = sorted({self.speakers[number] for number in first.test})
        self.left, self.right = self._pairs(first)
        tested = set(first.test)
        rows = [[source.contents[one], self.speakers[one], str(one in tested)] for one in self.chosen]
        config = ProbeConfig(
            options.head or task.head, fusion=options.fusion, trainable=options.trainable, budget=task.budget
        )
        self.readings = Readings(source, options, runner, config, data_hash(rows))

    def _split(self, seed: int) -> Split:
        """Return the split of a seed: speakers to test on apart, and some recordings of the others to validate on."""
        recordings = [self.source.recordings[number] for number in self.chosen]
        speakers = [self.speakers[number] for number in self.chosen]
        official = official_split([one.facts.get("split") for one in recordings])
        if official is None or {speakers[n] for n in official.test} & {speakers[n] for n in official.train}:
            fold = [one.facts.get("fold") for one in recordings]
            test = (lambda number: fold[number] == "test") if "test" in fold else None
            official = split_by(speakers, seed=seed, test=test)
        learnt = np.random.default_rng(seed).permutation([*official.train, *official.valid]).tolist()
        count = max(1, len(learnt) // 6)
        sides = (sorted(learnt[count:]), sorted(learnt[:count]), official.test)
        return Split(*([self.chosen[place] for place in side] for side in sides))

    def _pairs(self, split: Split) -> tuple[Integers, Integers]:
        """Return pairs of test recordings, as places in the test set."""
        random = np.random.default_rng(0)
        owners = [self.speakers[number] for number in split.test]
        texts = [fact(self.source.recordings[number], "text") for number in split.test]
        places = {group: [place for place, owner in enumerate(owners) if owner == group] for group in self.groups}
        pairs: list[tuple[int, int]] = []
        for one, other in itertools.combinations_with_replacement(self.groups, 2):
            every = [
                (left, right)
                for left in places[one]
                for right in places[other]
                if (one != other or left < right) and (texts[left] is None or texts[left] != texts[right])
            ]
            wanted = SAME_PAIRS if one == other else OTHER_PAIRS
            drawn = random.permutation(len(every))[:wanted]
            pairs += [every[number] for number in drawn]
        found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        if not len(found):
            raise ProbeError(one_line(self.task.name, "no pairs can be made", "give speakers several recordings each"))
        return found[:, 0], found[:, 1]

    def scores(self) -> dict[str, dict[int, NDArray[np.float64]]]:
        """Return the score of each pair, of tokens and of every reference, by seed."""
        return self.readings.all(lambda inputs, seed: self._scored(inputs, self._labels(seed), seed))

    def _labels(self, seed: int) -> Integers:
        """Return the number of the speaker of each recording, those to learn from first."""
        split = self.splits[seed]
        learnt = sorted({self.speakers[number] for number in [*split.train, *split.valid]})
        return np.array([learnt.index(one) if one in learnt else -1 for one in self.speakers], dtype=np.int64)

    def _scored(self, inputs: Inputs, labels: Integers, seed: int) -> NDArray[np.float64]:
        vectors, _ = speaker_vectors(inputs, labels, self.splits[seed], self.readings.config, seed=seed)
        units = F.normalize(vectors).numpy().astype(np.float64)
        return np.asarray((units[self.left] * units[self.right]).sum(axis=1))

    def shuffled(self) -> tuple[float, ...]:
        """Return the equal error rates of probes that learnt permuted speakers.

        What they say of unheard speakers need not be chance: vectors that mean nothing still differ by how a voice
        sounds. They show how much of the score needs no learning.
        """
        seed = self.options.seeds[0]
        learnt = np.array([*self.splits[seed].train, *self.splits[seed].valid])
        purposes = {}
        for number in range(self.options.permutations):
            labels = self._labels(seed)
            labels[learnt] = np.random.default_rng([seed, number]).permutation(labels[learnt])
            purposes[f"shuffled {number}"] = partial(self._scored, labels=labels, seed=seed)
        scored = self.readings.on_codes(purposes)
        return tuple(self.measure("eer", {seed: scores}).mean for scores in scored.values())

    def measure(self, metric: str, scores: dict[int, NDArray[np.float64]]) -> Measure:
        """Return a metric of scored pairs over all runs."""
        test = self.splits[self.options.seeds[0]].test
        place = np.array([self.groups.index(self.speakers[number]) for number in test])
        # Four digits tell pairs apart as well as sixteen, and results stay small.
        rounded = np.stack(list(scores.values())).round(4)
        pairs = Pairs(tuple(self.groups), place[self.left], place[self.right], rounded)
        return Measure(metric, tuple(scores), pairs)

    def sizes(self) -> dict[str, int]:
        """Return how much data there was."""
        split = self.splits[self.options.seeds[0]]
        sides = {"train": len(split.train), "valid": len(split.valid), "test": len(split.test)}
        return sides | {"pairs": len(self.left), "speakers": len(set(self.speakers)), "test_speakers": len(self.groups)}


TASK = SpeakerVerification()
