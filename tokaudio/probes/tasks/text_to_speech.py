"""Text to speech: the tokens of a text that was not learnt, in a voice that was not, from letters and a prompt.

A small model learns which frames say which letters, how long letters last, and what each frame's codes are; see
[`speaking`][tokaudio.probes.generative.speaking]. What ships has isolated words: texts to say are three of them, put
together anew; none that is tested on is learnt from. Other recordings are said as they are. The floor is the same
speech judged by the text of another, as if texts had been shuffled.
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
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.evidence import Measure
from tokaudio.probes.generative.judges import Panel
from tokaudio.probes.generative.letters_to_frames import letter_durations
from tokaudio.probes.generative.scenes import Scene
from tokaudio.probes.generative.sounding import NO_CODE, Sounding, filled
from tokaudio.probes.generative.speaking import TextSpeaker
from tokaudio.probes.generative.staging import Stage, in_sentences, in_words, is_word, staged
from tokaudio.probes.models.fitting import FitBudget, fit, seeded
from tokaudio.probes.models.inputs import CodeInputs
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks.asr import letters
from tokaudio.probes.tasks.base import TaskOptions, data_hash
from tokaudio.probes.tasks.generating import GENERATIVE_SEEDS, Generation

Array = NDArray[Any]
JUDGES = ("wer", "warped_mel_distance", "dnsmos", "speaker_similarity")
_REFERENCES = 2


@dataclass(frozen=True)
class TextToSpeech(Generation):
    """The task; see the module.

    Attributes:
        name: short, by which it is asked for.
        title: for people.
        axis: one of [`AXES`][tokaudio.probes.results.AXES].
        needs: what manifests must say of a recording.
        budget: how long the model may learn.
        aligning: how long what finds the letters in the frames may learn.
        share: of frames that are scored while learning.
    """

    model: ClassVar[str] = "lstm"
    name: str = "tts"
    title: str = "text to speech"
    axis: str = "generative"
    needs: str = "columns text and speaker, and two recordings of each speaker"
    budget: FitBudget = field(
        default_factory=lambda: FitBudget(epochs=14, patience=4, batch_items=4, learning_rate=2e-3)
    )
    aligning: FitBudget = field(
        default_factory=lambda: FitBudget(epochs=10, patience=4, batch_items=8, learning_rate=3e-3)
    )
    share: float = 0.25

    def takes(self, recording: Recording) -> bool:
        """Return whether it is known what is said, and by whom."""
        return recording.speaker is not None and bool(letters(recording.facts.get("text", "")))

    def runs(self, options: TaskOptions) -> int:
        """Return how many runs there are to do."""
        return 1 + 3 * len(options.seeds[:GENERATIVE_SEEDS]) + _REFERENCES

    def stage(self, source: Extraction) -> Stage:
        """Return the scenes: words put together if there are any, recordings as they are otherwise."""
        chosen = self.select(source.recordings)
        words = [number for number in chosen if is_word(source.recordings[number])]
        if words:
            return staged(source, words, in_words(source))
        speakers = {source.recordings[number].speaker for number in chosen}
        texts = [letters(one.facts.get("text", "")) for one in source.recordings]
        return staged(source, chosen, in_sentences(source), texts if len(speakers) < 3 else None)

    def begin(self, source: Extraction, options: TaskOptions, runner: Runner) -> _Session:
        """Return the task on one tokenizer."""
        return _Session(self, source, options, runner)


class _Session:
    """The task on one tokenizer."""

    def __init__(self, task: TextToSpeech, source: Extraction, options: TaskOptions, runner: Runner) -> None:
        self.task, self.options, self.runner = task, options, runner
        self.stage = task.stage(source)
        tested = set(self.stage.split.test)
        rows = [[scene.key, scene.texts[0], str(n in tested)] for n, scene in enumerate(self.stage.scenes)]
        self.sounding = Sounding(source, self.stage, Panel.installed(JUDGES), data_hash(rows))
        self.config = repr((task, options.initial))
        texts = [letters(scene.texts[0]) for scene in self.stage.scenes]
        self.alphabet = sorted({letter for text in texts for letter in text})
        places = {letter: place for place, letter in enumerate(self.alphabet, start=1)}
        self.spelt = [[places[letter] for letter in text] for text in texts]

    def figures(self) -> dict[str, dict[str, Measure]]:
        """Return all figures of what models say, judged by their texts and by those of others, and of references."""
        sounding, others = self.sounding, exchanged(self.stage.tested)
        wanted = sounding.wanted()[0]
        clean = [[wanted.items[number]] for number in self.stage.split.test]
        runs = [("recording", 0, sounding.scenes_judged("recording", lambda sounds: sounds.wanted))]
        runs += [("clean_tokens", 0, sounding.codes_judged("clean", 0, clean))]
        for seed, codes in self._learnt().items():
            rows = [[one[:, one[0] != NO_CODE]] for one in codes]
            runs += [("tokens", seed, sounding.codes_judged("tokens", seed, rows, self.config))]
            shuffled = sounding.codes_judged("shuffled", seed, rows, self.config, against=others)
            runs += [("shuffled_texts", seed, shuffled)]
        return sounding.measured(self.runner, runs)

    def _learnt(self) -> dict[int, Array]:
        """Return codes of what models say of the test texts, by seed; of as many seeds as there is time for."""
        facts = {"inputs": self.sounding.tokens_name, "config": self.config, "data": self.sounding.data}
        durations = self.runner.run(facts | {"purpose": "durations"}, self._durations)
        self.sounding.heard()  # before runs part, so that each need not make it for itself
        seeds, found = self.options.seeds[:GENERATIVE_SEEDS], dict[int, Array]()
        for some in [list(seeds[:1]), *self.runner.in_time(seeds[1:])]:
            runs = [
                (facts | {"purpose": "codes", "seed": seed}, partial(self._codes, durations, seed)) for seed in some
            ]
            found |= dict(zip(some, self.runner.run_all(runs), strict=True))
        return found

    def _durations(self) -> Array:
        split, task = self.stage.split, self.task
        wanted = self.sounding.wanted()[0]
        inputs = CodeInputs(wanted.name, wanted.items, wanted.sizes, self.sounding.tables())
        with seeded(0):
            found = letter_durations(
                inputs,
                self.spelt,
                split.train,
                split.valid,
                letters=len(self.alphabet),
                budget=task.aligning,
                seed=0,
            )
        return filled(found, 0)

    def _codes(self, durations: Array, seed: int) -> Array:
        """Fit a model, and return the codes of what it says of the test texts `[scenes, K, T]`."""
        split, wanted, prompts = self.stage.split, self.sounding.wanted()[0], self.sounding.heard()
        tables = self.sounding.tables() if self.options.initial == "codebooks" else None
        with seeded(seed):
            model = TextSpeaker(len(self.alphabet), wanted.sizes, tables=tables)
            model.share = self.task.share

            def losses(some: Sequence[int]) -> Tensor:
                text = self._text(some)
                lasts = torch.from_numpy(durations[list(some), : text.shape[1]].astype(np.int64))
                return model.losses(text, lasts, prompts.batch(some), *wanted.batch(some))

            fit(model, losses, split.train, split.valid, frames=wanted.frames, budget=self.task.budget, seed=seed)
            said = list[Array]()
            for start in range(0, len(split.test), 40):
                some = split.test[start : start + 40]
                said += [one.numpy() for one in model.speak(self._text(some), prompts.batch(some))]
        return filled(said, NO_CODE)

    def _text(self, some: Sequence[int]) -> Tensor:
        return torch.from_numpy(filled([np.array(self.spelt[number]) for number in some], 0).astype(np.int64))

    def sizes(self) -> dict[str, int]:
        """Return how much data there was."""
        split = self.stage.split
        return {
            "train": len(split.train),
            "valid": len(split.valid),
            "test": len(split.test),
            "letters": len(self.alphabet),
            "test_speakers": len({scene.speakers[0] for scene in self.stage.tested}),
            "test_words": sum(len(scene.texts[0].split()) for scene in self.stage.tested),
        }


def exchanged(scenes: Sequence[Scene]) -> list[Scene]:
    """Return for each scene another with another text, of the same speaker if there is one; itself if there is none.

    Example:
        >>> scenes = [Scene(n, n, ("ann",), (n,), lambda: None) for n in "ab"]  # type: ignore[arg-type,return-value]
        >>> [one.name for one in exchanged(scenes)]
        ['b', 'a']
    """
    found = []
    for place, scene in enumerate(scenes):
        turned = [*scenes[place + 1 :], *scenes[:place]]
        others = [one for one in turned if one.texts != scene.texts]
        own = [one for one in others if one.speakers == scene.speakers]
        found.append((own or others or [scene])[0])
    return found


TASK = TextToSpeech()
