"""Speech recognition: the letters of sentences that were not heard before, by speakers that were not heard before.

CTC (Graves et al. 2006, ICML) over the letters of the training texts, the best label of each frame, no language model:
so that the score is the tokens', not a language model's. With the minutes that ship, words are seldom right as a whole,
and the letter error rate tells more than the word error rate.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.metrics.error_rates import Unit, edit_counts
from tokaudio.probes import PROBE_VERSION
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.data.splits import official_split, require_disjoint, split_by
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure, Sums
from tokaudio.probes.models.classifying import WIDTH, ProbeConfig, Split
from tokaudio.probes.models.fitting import FitBudget, bucketed, fit, seeded
from tokaudio.probes.models.heads import FrameHead
from tokaudio.probes.models.inputs import Inputs, front_of
from tokaudio.probes.models.sequence_bodies import BiLstmBody
from tokaudio.probes.results import TaskResult
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks.base import Task, TaskOptions, data_hash
from tokaudio.probes.tasks.readings import Readings, planned_runs
from tokaudio.probes.tasks.shuffled_texts import exchange_band, permuted_texts

Array = NDArray[np.int64]
_HELD_OUT = 0.25
_JOINED_SECONDS = 0.04


@dataclass(frozen=True)
class SpeechRecognition(Task):
    """The task; see the module.

    Attributes:
        name: short, by which it is asked for.
        title: for people.
        axis: one of [`AXES`][tokaudio.probes.results.AXES].
        needs: what manifests must say of a recording.
        budget: how long the probe may learn.
    """

    name: str = "asr"
    title: str = "speech recognition"
    axis: str = "content"
    needs: str = "columns text and speaker"
    budget: FitBudget = field(default_factory=lambda: FitBudget(epochs=40, patience=6, learning_rate=3e-3))

    def takes(self, recording: Recording) -> bool:
        """Return whether it is known what is said, and by whom."""
        return recording.speaker is not None and bool(letters(recording.facts.get("text", "")))

    def runs(self, options: TaskOptions) -> int:
        """Return how many runs there are to do."""
        return planned_runs(options, floors=options.permutations)

    def run(self, source: Extraction, options: TaskOptions, runner: Runner) -> TaskResult:
        """Score a tokenizer; see [`Task.run`][tokaudio.probes.tasks.base.Task.run]."""
        started = time.monotonic()
        session = _Session(self, source, options, runner)
        said = session.readings.all(session.recognise)
        seeds = tuple(said["tokens"])
        nothing = dict.fromkeys(seeds, np.zeros((len(session.first.test), 0), dtype=np.int64))
        references = {name: session.measure("wer", rows) for name, rows in said.items() if name != "tokens"}
        floors = session.floors()
        return TaskResult(
            task=self.name,
            axis=self.axis,
            corpus=options.corpus,
            probe=options.probe("bilstm ctc"),
            probe_version=PROBE_VERSION,
            measure=session.measure("wer", said["tokens"]),
            others=(session.measure("cer", said["tokens"]),),
            references=references | {"majority": session.measure("wer", nothing)},
            shuffled=tuple(session.measure("wer", {seeds[0]: heard}).mean for heard in floors),
            shuffled_limits=tuple(session.band(heard, "word")[0] for heard in floors),
            sizes=session.sizes(),
            data_hash=session.readings.data,
            seconds=time.monotonic() - started,
            notes=tuple(session.readings.note(len(seeds))),
        )


class _Session:
    """The task on one tokenizer."""

    def __init__(self, task: SpeechRecognition, source: Extraction, options: TaskOptions, runner: Runner) -> None:
        self.task, self.source, self.options = task, source, options
        self.chosen = task.select(source.recordings)
        self.texts = [letters(one.facts.get("text", "")) for one in source.recordings]
        self.speakers = [str(one.speaker) for one in source.recordings]
        self.splits = {seed: self._split(seed) for seed in options.seeds}
        self.first = self.splits[options.seeds[0]]
        names = [one.name for one in source.recordings]
        require_disjoint(self.first, self.speakers, source.contents, source.prints, names)
        learnt = [*self.first.train, *self.first.valid]
        self.alphabet = sorted({letter for number in learnt for letter in self.texts[number]})
        tested = set(self.first.test)
        rows = [[source.contents[one], self.texts[one], str(one in tested)] for one in [*learnt, *self.first.test]]
        config = ProbeConfig("bilstm", fusion=options.fusion, trainable=options.trainable, budget=task.budget)
        self.readings = Readings(source, options, runner, config, data_hash(rows))

    def _split(self, seed: int) -> Split:
        """Return the split of a seed; where none is official, texts of the test set are in no other."""
        recordings = [self.source.recordings[number] for number in self.chosen]
        found = official_split([one.facts.get("split") for one in recordings])
        if found is None:
            fold = [one.facts.get("fold") for one in recordings]
            test = (lambda number: fold[number] == "test") if "test" in fold else None
            sides = split_by([self.speakers[number] for number in self.chosen], seed=seed, test=test)
            held = [_held_out(self.texts[number]) for number in self.chosen]
            found = Split(
                [place for place in sides.train if not held[place]],
                [place for place in sides.valid if not held[place]],
                [place for place in sides.test if held[place]],
            )
        if not all(found):
            problem = "too few texts: one side of the split is empty"
            raise ProbeError(one_line(self.task.name, problem, "give more texts"))
        return Split(*([self.chosen[place] for place in side] for side in found))

    def recognise(self, inputs: Inputs, seed: int, texts: Sequence[str] | None = None) -> Array:
        """Fit a probe, and return the letters it hears in each test clip: their numbers from 1 on, then zeros.

        Args:
            inputs: that it reads.
            seed: of the split and the fit.
            texts: of all clips, where they are not the right ones.
        """
        split, config, texts = self.splits[seed], self.readings.config, texts or self.texts
        places = {letter: place for place, letter in enumerate(self.alphabet, start=1)}
        spelt = {n: torch.tensor([places[one] for one in texts[n]]) for n in [*split.train, *split.valid]}
        # Frames of slow tokenizers are not joined: letters need about 25 of them in a second.
        rate = sum(inputs.frames(n) for n in split.train) / sum(self.source.seconds[n] for n in split.train)
        stride = max(1, round(rate * _JOINED_SECONDS))
        with seeded(seed):
            front = front_of(inputs, split.train, width=WIDTH, fusion=config.fusion, trainable=config.trainable)
            head = FrameHead(BiLstmBody(WIDTH, stride=stride), len(self.alphabet) + 1)
            probe = nn.ModuleList([front, head])

            def losses(some: Sequence[int]) -> Tensor:
                given, lengths = inputs.batch(some)
                scores, lengths = head(front(given), lengths)
                targets = [spelt[number] for number in some]
                found = F.ctc_loss(
                    scores.log_softmax(dim=2).transpose(0, 1),
                    torch.cat(targets),
                    lengths,
                    torch.tensor([len(one) for one in targets]),
                    reduction="none",
                    zero_infinity=True,
                )
                return found / torch.tensor([len(one) for one in targets])

            fit(probe, losses, split.train, split.valid, frames=inputs.frames, budget=config.budget, seed=seed)
            probe.eval()
            heard = _heard(front, head, inputs, split.test)
        longest = max((len(one) for one in heard), default=0)
        return np.array([one + [0] * (longest - len(one)) for one in heard], dtype=np.int64).reshape(
            len(heard), longest
        )

    def floors(self) -> list[Array]:
        """Return what probes hear that learnt permuted texts, as many as there is time for."""
        seed = self.options.seeds[0]
        learnt = [*self.splits[seed].train, *self.splits[seed].valid]
        purposes = {}
        for number in range(self.options.permutations):
            texts = permuted_texts(self.texts, learnt, (seed, number))
            purposes[f"shuffled {number}"] = partial(self.recognise, seed=seed, texts=texts)
        return list(self.readings.on_codes(purposes).values())

    def said(self, heard: Array) -> list[str]:
        """Return the text that the letters of each test clip are."""
        return ["".join(self.alphabet[number - 1] for number in row if number) for row in heard]

    def band(self, heard: Array, unit: Unit) -> tuple[float, float]:
        """Return between which error rates chance lies, for a probe that heard this."""
        return exchange_band([self.texts[number] for number in self.first.test], self.said(heard), unit)

    def measure(self, metric: str, heard: dict[int, Array]) -> Measure:
        """Return the error rate of words or letters over all runs."""
        test = list(self.first.test)
        groups = sorted({self.speakers[number] for number in test})
        place = np.array([groups.index(self.speakers[number]) for number in test])
        unit: Unit = "word" if metric == "wer" else "character"
        above, below = np.zeros((len(heard), len(groups), 1)), np.zeros((len(heard), len(groups), 1))
        for run, rows in enumerate(heard.values()):
            counted = edit_counts([self.texts[number] for number in test], self.said(rows), unit=unit)
            for group, counts in zip(place, counted, strict=True):
                above[run, group, 0] += counts.errors
                below[run, group, 0] += counts.length
        return Measure(metric, tuple(heard), Sums(tuple(groups), above, below))

    def sizes(self) -> dict[str, int]:
        """Return how much data there was."""
        test = {self.speakers[number] for number in self.first.test}
        return {
            "train": len(self.first.train),
            "valid": len(self.first.valid),
            "test": len(self.first.test),
            "letters": len(self.alphabet),
            "test_speakers": len(test),
            "test_words": sum(len(self.texts[number].split()) for number in self.first.test),
        }


def letters(text: str) -> str:
    """Return a text in lower case, with letters, digits and apostrophes only, and single spaces.

    Example:
        >>> letters("It's  5 o'clock, now!")
        "it's 5 o'clock now"
    """
    kept = (one if one.isalnum() or one == "'" else " " for one in text.lower().replace("\u2019", "'"))
    return " ".join("".join(kept).split())


def _held_out(text: str) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) < _HELD_OUT * 2**32


def _heard(front: nn.Module, head: FrameHead, inputs: Inputs, test: Sequence[int]) -> list[list[int]]:
    """Return the best label of each frame of each clip, repetitions and blanks taken out."""
    found: dict[int, list[int]] = {}
    with torch.no_grad():
        for batch in bucketed(list(test), inputs.frames, batch_items=64, random=None):
            given, lengths = inputs.batch(batch)
            scores, lengths = head(front(given), lengths)
            for number, row, length in zip(batch, scores.argmax(dim=2), lengths.tolist(), strict=True):
                found[number] = [one for one in torch.unique_consecutive(row[:length]).tolist() if one]
    return [found[number] for number in test]


TASK = SpeechRecognition()
