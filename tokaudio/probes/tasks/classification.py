"""Tasks whose answer is one of several classes: what most discriminative tasks are, each in a file of its own.

A task says which column holds the class, which head reads it, and whether the test set holds other speakers or other
texts. Everything else is here: references, shuffled labels, a control task, sums for each speaker.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.probes import PROBE_VERSION
from tokaudio.probes.chance import renaming_band
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.data.splits import official_split, require_disjoint, split_by
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure, Sums
from tokaudio.probes.models.classifying import ProbeConfig, Split, classify
from tokaudio.probes.models.fitting import FitBudget
from tokaudio.probes.models.inputs import Inputs
from tokaudio.probes.results import TaskResult
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks.base import Task, TaskOptions, data_hash
from tokaudio.probes.tasks.readings import Readings, planned_runs

Integers = NDArray[np.int64]
LEAST_SELECTIVITY = 0.1
_CONTROL = "control by marking codes"


@dataclass(frozen=True)
class Classification(Task):
    """A task whose answer is a class.

    Attributes:
        name: short, by which it is asked for.
        title: for people.
        axis: one of [`AXES`][tokaudio.probes.results.AXES].
        column: that holds the class; `speaker` for who speaks.
        head: that reads it.
        apart: what the test set does not share with what is learnt from: `speaker`, or `text`.
        budget: how long the probe may learn.
    """

    name: str
    title: str
    axis: str
    column: str
    head: str = "xvector"
    apart: str = "speaker"
    budget: FitBudget = field(default_factory=lambda: FitBudget(epochs=20, patience=4))

    @property
    def needs(self) -> str:  # type: ignore[override]
        """What manifests must say of a recording, in words."""
        return f"columns {self.column} and {self.apart}" if self.column != self.apart else f"a column {self.column}"

    def takes(self, recording: Recording) -> bool:
        """Return whether a recording has a class and a group."""
        return fact(recording, self.column) is not None and self._group(recording) is not None

    def _group(self, recording: Recording) -> str | None:
        found = fact(recording, self.apart)
        # Sounds have no speakers, and speakers of corpora with a split of their own no texts: each stands for itself.
        alone = self.axis == "sound" or (self.apart == "text" and "split" in recording.facts)
        return found or (recording.name if alone else None)

    def runs(self, options: TaskOptions) -> int:
        """Return how many runs there are to do."""
        return planned_runs(options, floors=options.permutations + 1)

    def split(self, source: Extraction, chosen: Sequence[int], seed: int) -> Split:
        """Return the split of the chosen recordings for a seed, as numbers of recordings."""
        recordings = [source.recordings[number] for number in chosen]
        found = official_split([one.facts.get("split") for one in recordings])
        if found is None:
            fold = [one.facts.get("fold") for one in recordings] if self.apart == "speaker" else []
            test = (lambda number: fold[number] == "test") if any(one == "test" for one in fold) else None
            found = split_by([str(self._group(one)) for one in recordings], seed=seed, test=test)
        return Split(*([chosen[place] for place in side] for side in found))

    def run(self, source: Extraction, options: TaskOptions, runner: Runner) -> TaskResult:
        """Score a tokenizer; see [`Task.run`][tokaudio.probes.tasks.base.Task.run]."""
        started = time.monotonic()
        session = _Session(self, source, options, runner)
        measures = session.measures()
        floors, notes = session.floors(), session.readings.note(len(measures["tokens"].seeds))
        selectivity = None if floors.control is None else measures["tokens"].mean - floors.control
        if selectivity is not None and selectivity < LEAST_SELECTIVITY:
            notes.append(f"selectivity is {100 * selectivity:.0f} points: the probe can learn by heart what is scored")
        return TaskResult(
            task=self.name,
            axis=self.axis,
            corpus=options.corpus,
            probe=options.probe(session.readings.config.head),
            probe_version=PROBE_VERSION,
            measure=measures.pop("tokens"),
            references=measures,
            shuffled=floors.shuffled,
            shuffled_limits=tuple(high for _, high in floors.bands),
            chance=1 / len(session.classes),
            selectivity=selectivity,
            sizes=session.sizes(),
            data_hash=session.readings.data,
            seconds=time.monotonic() - started,
            notes=tuple(notes),
        )


class Floors(NamedTuple):
    """What probes score that learnt labels without meaning.

    Attributes:
        shuffled: accuracy after learning permuted labels, one for each permutation.
        bands: of each of them, between which chance lies.
        control: accuracy on the control task; None if there was no time.
    """

    shuffled: tuple[float, ...]
    bands: tuple[tuple[float, float], ...]
    control: float | None


class _Session:
    """One task on one tokenizer."""

    def __init__(self, task: Classification, source: Extraction, options: TaskOptions, runner: Runner) -> None:
        self.task, self.source, self.options, self.runner = task, source, options, runner
        self.chosen = task.select(source.recordings)
        recordings = source.recordings
        self.classes = sorted({str(fact(recordings[number], task.column)) for number in self.chosen})
        self.labels = np.full(len(recordings), -1, dtype=np.int64)
        for number in self.chosen:
            self.labels[number] = self.classes.index(str(fact(recordings[number], task.column)))
        self.splits = {seed: task.split(source, self.chosen, seed) for seed in options.seeds}
        first = self.splits[options.seeds[0]]
        untaught = sorted(set(self.labels[first.test]) - set(self.labels[[*first.train, *first.valid]]))
        if len(self.classes) < 2 or untaught:
            problem = f"class {self.classes[untaught[0]]!r} is only tested" if untaught else "there is one class only"
            raise ProbeError(one_line(task.name, problem, "give recordings of two classes or more, each on both sides"))
        groups = [str(task._group(one)) for one in recordings]
        require_disjoint(first, groups, source.contents, source.prints, [one.name for one in recordings])
        speakers = [str(fact(recordings[number], "speaker") or groups[number]) for number in range(len(recordings))]
        self.speakers = speakers
        tested = set(first.test)
        rows = [
            [source.contents[number], self.classes[self.labels[number]], str(number in tested), groups[number]]
            for number in self.chosen
        ]
        config = ProbeConfig(
            options.head or task.head, fusion=options.fusion, trainable=options.trainable, budget=task.budget
        )
        self.readings = Readings(source, options, runner, config, data_hash(rows))

    def measures(self) -> dict[str, Measure]:
        """Return the accuracy of tokens and of every reference; of all seeds, or as many as there is time for."""
        seeds = self.options.seeds
        predicted = self.readings.all(lambda inputs, seed: self._classified(inputs, self.labels, seed))
        found = {name: self._measure(rows) for name, rows in predicted.items()}
        counts = np.bincount(self.labels[[*self.splits[seeds[0]].train]], minlength=len(self.classes))
        guess = np.full(len(self.splits[seeds[0]].test), counts.argmax())
        found["majority"] = self._measure(dict.fromkeys(found["tokens"].seeds, guess))
        return found

    def _classified(self, inputs: Inputs, labels: Integers, seed: int) -> Integers:
        return classify(inputs, labels, self.splits[seed], self.readings.config, seed=seed).predicted

    def floors(self) -> Floors:
        """Return what probes score that learnt labels without meaning, as many as there is time for."""
        seed = self.options.seeds[0]
        learnt, test = np.array([*self.splits[seed].train, *self.splits[seed].valid]), self.splits[seed].test
        asked = {f"shuffled {number}": self.labels.copy() for number in range(self.options.permutations)}
        for number, labels in enumerate(asked.values()):
            labels[learnt] = np.random.default_rng([seed, number]).permutation(labels[learnt])
        # Permuted labels are not those of the test set, which were not permuted; the control task has its own.
        right = dict.fromkeys(asked, self.labels[test])
        asked[_CONTROL] = self._control_labels()
        right[_CONTROL] = asked[_CONTROL][test]
        said = self.readings.on_codes(
            {purpose: partial(self._classified, labels=labels, seed=seed) for purpose, labels in asked.items()}
        )
        scores = {purpose: float((array == right[purpose]).mean()) for purpose, array in said.items()}
        control = scores.pop(_CONTROL, None)
        bands = tuple(renaming_band(said[purpose], self.labels[test]) for purpose in scores)
        return Floors(tuple(scores.values()), bands, control)

    def _control_labels(self) -> Integers:
        """Return the labels of a control task (Hewitt and Liang, arXiv:1909.03368).

        A clip's class there is a random one that belongs to the code of the first codebook which marks the clip out:
        what a probe scores by knowing codes by heart.
        """
        codes = self.readings.codes()
        kinds = marking_codes([codes.items[number][0] for number in self.chosen], codes.sizes[0])
        names = np.random.default_rng(self.options.seeds[0]).integers(0, len(self.classes), codes.sizes[0])
        labels = np.full(len(self.labels), -1, dtype=np.int64)
        labels[self.chosen] = names[kinds]
        labels[self.chosen[0]] = len(self.classes) - 1  # so that there are as many classes
        return labels

    def _measure(self, predicted: dict[int, Integers]) -> Measure:
        test = list(self.splits[self.options.seeds[0]].test)
        owners = [self.speakers[number] for number in test]
        groups = sorted(set(owners))
        place = np.array([groups.index(owner) for owner in owners])
        count = np.bincount(place, minlength=len(groups)).astype(np.float64)
        right = [np.bincount(place, said == self.labels[test], len(groups)) for said in predicted.values()]
        above = np.stack(right)[..., None].astype(np.float64)
        below = np.broadcast_to(count[None, :, None], above.shape)
        return Measure("accuracy", tuple(predicted), Sums(tuple(groups), above, below))

    def sizes(self) -> dict[str, int]:
        """Return how much data there was."""
        split = self.splits[self.options.seeds[0]]
        return {
            "train": len(split.train),
            "valid": len(split.valid),
            "test": len(split.test),
            "classes": len(self.classes),
            "speakers": len({self.speakers[number] for number in self.chosen}),
            "test_speakers": len({self.speakers[number] for number in split.test}),
        }


def marking_codes(clips: Sequence[Integers], size: int) -> Integers:
    """Return the code of each clip that is most frequent for how rare it is elsewhere: never that of silence.

    It is the one that adds most to the divergence of the clip's codes from those of all clips.

    Example:
        >>> marking_codes([np.array([0, 0, 0, 1]), np.array([0, 0, 0, 2])], 3).tolist()
        [1, 2]
    """
    counts = np.stack([np.bincount(clip, minlength=size) for clip in clips]).astype(np.float64)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    everywhere = counts.sum(axis=0) / max(counts.sum(), 1)
    ratio = np.divide(shares, everywhere, out=np.ones_like(shares), where=shares > 0)
    return np.asarray((shares * np.log(ratio)).argmax(axis=1))


def fact(recording: Recording, column: str) -> str | None:
    """Return what a manifest says of a recording; of the column `speaker`, whatever it is called there.

    Example:
        >>> from pathlib import Path
        >>> fact(Recording(Path("a.wav"), "a.wav", {"voice": "ann"}), "speaker")
        'ann'
    """
    return recording.speaker if column == "speaker" else recording.facts.get(column)
