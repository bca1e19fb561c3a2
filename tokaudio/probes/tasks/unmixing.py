"""Tasks that want sounds out of a mixture: what enhancement and separation have in common.

A model reads the tokens of the mixture and predicts those of each sound that is wanted, which are decoded and judged.
Beside it stand the mixture itself, the mixture through the tokenizer, and the wanted sounds through it, which is the
best that any model could do; and the same model on the tokenizer's vectors before quantization.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure
from tokaudio.probes.generative.judges import Panel
from tokaudio.probes.generative.predictor import WIDTH, TokenPredictor
from tokaudio.probes.generative.sounding import NO_CODE, Sounding
from tokaudio.probes.generative.staging import Stage, in_noise, in_pairs, recorded, staged
from tokaudio.probes.models.fitting import FitBudget, bucketed, fit, seeded
from tokaudio.probes.models.inputs import CodeInputs, Inputs, front_of
from tokaudio.probes.runs import Run, Runner
from tokaudio.probes.tasks.base import TaskOptions, data_hash
from tokaudio.probes.tasks.generating import GENERATIVE_SEEDS, Generation

Array = NDArray[Any]
JUDGES = ("mel_distance", "si_sdr", "stoi", "dwer", "dnsmos", "speaker_similarity")
_REFERENCES = 3


@dataclass(frozen=True)
class Unmixing(Generation):
    """A task that wants one or more sounds out of a mixture.

    Attributes:
        name: short, by which it is asked for.
        title: for people.
        columns: that name the recordings of what is wanted, of mixtures that are recordings.
        needs: what manifests must say of a recording.
        axis: one of [`AXES`][tokaudio.probes.results.AXES].
        budget: how long the model may learn.
        share: of frames that are scored while learning.
    """

    model: ClassVar[str] = "conformer"
    name: str
    title: str
    columns: tuple[str, ...]
    needs: str
    axis: str = "generative"
    budget: FitBudget = field(
        default_factory=lambda: FitBudget(epochs=6, patience=3, batch_items=8, learning_rate=2e-3)
    )
    share: float = 0.25

    def takes(self, recording: Recording) -> bool:
        """Return whether it is known who speaks, or it is noise that speech may be mixed with."""
        return self._is_noise(recording) or (recording.speaker is not None and "keyword" not in recording.facts)

    def _is_noise(self, recording: Recording) -> bool:
        return len(self.columns) == 1 and "noise" in recording.facts

    def runs(self, options: TaskOptions) -> int:
        """Return how many runs there are to do."""
        return 2 * (len(options.seeds[:GENERATIVE_SEEDS]) + 1) + _REFERENCES

    def stage(self, source: Extraction) -> Stage:
        """Return the scenes: mixtures that are recordings if there are any, made ones otherwise."""
        chosen = self.select(source.recordings)
        mixed = [number for number in chosen if all(name in source.recordings[number].facts for name in self.columns)]
        if mixed:
            return staged(source, mixed, recorded(source, self.columns))
        noises = [number for number in chosen if self._is_noise(source.recordings[number])]
        speech = [number for number in chosen if number not in set(noises)]
        return staged(source, speech, in_noise(source, noises) if len(self.columns) == 1 else in_pairs(source))

    def begin(self, source: Extraction, options: TaskOptions, runner: Runner) -> _Session:
        """Return the task on one tokenizer."""
        return _Session(self, source, options, runner)


class _Session:
    """The task on one tokenizer."""

    def __init__(self, task: Unmixing, source: Extraction, options: TaskOptions, runner: Runner) -> None:
        self.task, self.options, self.runner = task, options, runner
        self.stage = task.stage(source)
        sources = {len(scene.speakers) for scene in self.stage.scenes}
        if len(sources) > 1:
            raise ProbeError(one_line(task.name, "mixtures are of different numbers of sounds", "give ones of as many"))
        tested = set(self.stage.split.test)
        rows = [[scene.key, str(number in tested)] for number, scene in enumerate(self.stage.scenes)]
        self.sounding = Sounding(source, self.stage, Panel.installed(JUDGES), data_hash(rows))
        self.tables = options.initial == "codebooks"
        self.config = repr((task.budget, task.share, options.fusion, options.trainable, self.tables))

    def figures(self) -> dict[str, dict[str, Measure]]:
        """Return all figures: of models that read tokens, of the one that reads vectors, and of references."""
        said = self._learnt()
        runs = [(name, 0, run) for name, run in self._references().items()]
        for (name, seed), codes in said.items():
            rows = [[one[:, one[0] != NO_CODE] for one in scene] for scene in codes]
            runs.append((name, seed, self.sounding.codes_judged(name, seed, rows, self.config)))
        return self.sounding.measured(self.runner, runs)

    def _references(self) -> dict[str, Run]:
        """Return what has the mixture judged, the mixture through the tokenizer, and what is wanted through it."""
        sounding, test = self.sounding, self.stage.split.test
        heard, wanted = sounding.heard(), sounding.wanted()
        count = len(wanted)
        clean = [[one.items[number] for one in wanted] for number in test]
        return {
            "input": sounding.scenes_judged("input", lambda sounds: [sounds.heard] * count),
            "input_tokens": sounding.codes_judged("input", 0, [[heard.items[number]] * count for number in test]),
            "clean_tokens": sounding.codes_judged("clean", 0, clean),
        }

    def _learnt(self) -> dict[tuple[str, int], Array]:
        """Return codes of the test scenes, by what was read and seed; of as many seeds as there is time for."""
        codes, vectors = self.sounding.heard(tables=self.tables), self.sounding.features()
        seeds = self.options.seeds[:GENERATIVE_SEEDS]
        found = {}
        first: list[tuple[Inputs, int]] = [(codes, seeds[0]), (vectors, seeds[0])]
        for some in [first, *self.runner.in_time([(codes, seed) for seed in seeds[1:]])]:
            runs = [(self._facts(inputs, seed), partial(self._codes, inputs, seed)) for inputs, seed in some]
            for (inputs, seed), rows in zip(some, self.runner.run_all(runs), strict=True):
                found[inputs.name, seed] = rows
        return found

    def _facts(self, inputs: Inputs, seed: int) -> dict[str, Any]:
        name = f"{inputs.name}-{self.sounding.tokens_name}"
        return {"purpose": "codes", "inputs": name, "config": self.config, "data": self.sounding.data, "seed": seed}

    def _codes(self, inputs: Inputs, seed: int) -> Array:
        """Fit a model, and return the codes it predicts of the test scenes `[scenes, sources, K, T]`."""
        split, wanted = self.stage.split, self.sounding.wanted()
        with seeded(seed):
            model = predictor_of(
                inputs,
                wanted,
                split.train,
                fusion=self.options.fusion,
                tables=self.sounding.tables() if self.tables else None,
            )
            model.share = self.task.share

            def losses(some: Sequence[int]) -> Tensor:
                given, lengths = inputs.batch(some)
                return model.losses(given, lengths, torch.stack([one.batch(some)[0] for one in wanted], dim=1))

            fit(model, losses, split.train, split.valid, frames=inputs.frames, budget=self.task.budget, seed=seed)
            return predicted(model, inputs, split.test)

    def sizes(self) -> dict[str, int]:
        """Return how much data there was."""
        split = self.stage.split
        speakers = {speaker for scene in self.stage.tested for speaker in scene.speakers}
        return {
            "train": len(split.train),
            "valid": len(split.valid),
            "test": len(split.test),
            "sources": len(self.stage.scenes[0].speakers),
            "test_speakers": len(speakers),
        }


def predictor_of(
    inputs: Inputs,
    wanted: Sequence[CodeInputs],
    train: Sequence[int],
    *,
    fusion: str = "attention",
    tables: Sequence[Tensor] | None = None,
) -> TokenPredictor:
    """Return a model of the codes that are wanted, not yet fitted."""
    front = front_of(inputs, train, width=WIDTH, fusion=fusion, trainable=tables is None)
    return TokenPredictor(front, wanted[0].sizes, sources=len(wanted), tables=tables)


def predicted(model: TokenPredictor, inputs: Inputs, test: Sequence[int]) -> Array:
    """Return predicted codes `[scenes, sources, K, T]`, filled up with `NO_CODE`."""
    longest = max(inputs.frames(number) for number in test)
    sources, count = len(model.parts), len(model.outputs.features.sizes)
    found = np.full((len(test), sources, count, longest), NO_CODE, dtype=np.int32)
    places = {number: place for place, number in enumerate(test)}
    for batch in bucketed(list(test), inputs.frames, batch_items=16, random=None):
        given, lengths = inputs.batch(batch)
        codes = model.predict(given, lengths).numpy()
        for number, row, length in zip(batch, codes, lengths.tolist(), strict=True):
            found[places[number], :, :, :length] = row[..., :length]
    return found
