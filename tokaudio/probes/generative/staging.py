"""Which scenes to learn from, which say when to stop, and which to test on: no speaker on both sides."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.data.splits import official_split, require_disjoint, split_by
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.generative.scenes import Scene, given, noisy, said, together
from tokaudio.probes.models.classifying import Split

TEST_SCENES = 2
"""Of each speaker, where noise and second speakers are added to recordings."""
TEST_TEXTS = 3
"""Of each speaker, where words are put together."""
SPOKEN_SCENES = 400
"""To learn to speak from, where words are put together."""
WORDS = 3
"""That are put together."""
PROMPTS = 3
"""Recordings that make a prompt."""
_TRIES = 50


@dataclass(frozen=True)
class Stage:
    """Scenes, and which side each is on.

    Attributes:
        scenes: all of them.
        split: numbers of scenes to learn from, to validate on and to test on; the same for every seed.
    """

    scenes: tuple[Scene, ...]
    split: Split

    @property
    def tested(self) -> list[Scene]:
        """The scenes to test on."""
        return [self.scenes[number] for number in self.split.test]


Side = Callable[[Sequence[int], bool, int], list[Scene]]
"""Numbers of a side's recordings, whether it is tested on, and the number of its first scene, to its scenes."""


def staged(source: Extraction, chosen: Sequence[int], make: Side, groups: Sequence[str] | None = None) -> Stage:
    """Return scenes of all sides, made of recordings of their own.

    Args:
        source: of recordings.
        chosen: numbers of those to use.
        make: makes the scenes of a side.
        groups: of all recordings, that no two sides share; speakers if None.

    Raises:
        ProbeError: the sides share something, or one has no scenes.
    """
    recordings = source.recordings
    owners = [str(one.speaker) for one in recordings] if groups is None else list(groups)
    split = _split(source, chosen, owners)
    require_disjoint(split, owners, source.contents, source.prints, [one.name for one in recordings])
    scenes, sides = list[Scene](), list[list[int]]()
    for place, side in enumerate(split):
        made = make(side, place == 2, len(scenes))
        if not made:
            problem = f"there is nothing to {('train', 'validate', 'test')[place]} on"
            raise ProbeError(one_line("recordings", problem, "give more recordings, of more speakers"))
        sides.append(list(range(len(scenes), len(scenes) + len(made))))
        scenes += made
    return Stage(tuple(scenes), Split(*sides))


def _split(source: Extraction, chosen: Sequence[int], owners: Sequence[str]) -> Split:
    recordings = [source.recordings[number] for number in chosen]
    found = official_split([one.facts.get("split") for one in recordings])
    if found is None:
        fold = [one.facts.get("fold") for one in recordings]
        test = (lambda number: fold[number] == "test") if "test" in fold else None
        found = split_by([owners[number] for number in chosen], seed=0, test=test)
    return Split(*([chosen[place] for place in side] for side in found))


def recorded(source: Extraction, columns: Sequence[str]) -> Side:
    """Return what makes scenes of mixtures that are recordings, with what is wanted of them in these columns."""

    def make(side: Sequence[int], _tested: bool, _first: int) -> list[Scene]:
        return [
            given(
                one := source.recordings[number],
                [Path(one.facts[column]) for column in columns],
                source.contents[number],
                [one.facts.get(f"speaker_{place}", str(one.speaker)) for place in range(1, len(columns) + 1)],
                [one.facts.get("text", "") if len(columns) == 1 else ""] * len(columns),
            )
            for number in side
        ]

    return make


def in_noise(source: Extraction, noises: Sequence[int] = ()) -> Side:
    """Return what makes scenes of recordings in noise.

    Args:
        source: of recordings.
        noises: numbers of recordings of noise, some of which are only tested on.
    """

    def make(side: Sequence[int], tested: bool, first: int) -> list[Scene]:
        scenes = list[Scene]()
        own = [number for number in noises if _held_out(source.contents[number]) == tested]
        for number in _longest(source, side) if tested else side:
            one = source.recordings[number]
            others = [source.recordings[other] for other in side if source.recordings[other].speaker != one.speaker]
            content = source.contents[number] + _contents(source, [*side, *own])
            made = [source.recordings[other] for other in own]
            scenes.append(noisy(one, others, content, number=first + len(scenes), noises=made))
        return scenes

    return make


def in_pairs(source: Extraction) -> Side:
    """Return what makes scenes of two speakers at once: each recording with one of another speaker."""

    def make(side: Sequence[int], tested: bool, first: int) -> list[Scene]:
        scenes = list[Scene]()
        random = np.random.default_rng(first)
        chosen = _longest(source, side) if tested else list(side)
        for number in chosen:
            one = source.recordings[number]
            others = [other for other in chosen if source.recordings[other].speaker != one.speaker]
            if others:
                other = others[int(random.integers(len(others)))]
                content = source.contents[number] + source.contents[other]
                scenes.append(together(one, source.recordings[other], content, number=first + len(scenes)))
        return scenes

    return make


def in_sentences(source: Extraction) -> Side:
    """Return what makes scenes of sentences to be said in the voice of another recording of the speaker."""

    def make(side: Sequence[int], _tested: bool, first: int) -> list[Scene]:
        random, scenes = np.random.default_rng(first), list[Scene]()
        for number in side:
            one = source.recordings[number]
            others = [other for other in side if other != number and source.recordings[other].speaker == one.speaker]
            if others:
                prompt = others[int(random.integers(len(others)))]
                content = source.contents[number] + source.contents[prompt]
                scenes.append(said([source.recordings[prompt]], [one], content, number=first + len(scenes)))
        return scenes

    return make


def in_words(source: Extraction) -> Side:
    """Return what makes scenes of words to be said one after the other; none that is tested on is learnt from."""

    def make(side: Sequence[int], tested: bool, first: int) -> list[Scene]:
        speakers = sorted({str(source.recordings[number].speaker) for number in side})
        random, scenes = np.random.default_rng([7, int(tested), first]), list[Scene]()
        count = TEST_TEXTS * len(speakers) if tested else SPOKEN_SCENES if first == 0 else SPOKEN_SCENES // 5
        for place in range(count):
            speaker = speakers[place % len(speakers)]
            own = np.array([number for number in side if source.recordings[number].speaker == speaker])
            for _ in range(_TRIES):
                drawn = random.permutation(own).tolist()
                if len(drawn) >= WORDS + PROMPTS and _held_out(_text(source, drawn[:WORDS])) == tested:
                    break
            else:
                continue
            spoken, prompts = drawn[:WORDS], drawn[WORDS : WORDS + PROMPTS]
            content = "".join(source.contents[number] for number in [*spoken, *prompts])
            scenes.append(
                said(
                    [source.recordings[number] for number in prompts],
                    [source.recordings[number] for number in spoken],
                    content,
                    number=first + len(scenes),
                )
            )
        return scenes

    return make


def _text(source: Extraction, numbers: Sequence[int]) -> str:
    return " ".join(source.recordings[number].facts.get("text", "") for number in numbers)


def _held_out(text: str) -> bool:
    return zlib.crc32(text.encode()) % 4 == 0


def _longest(source: Extraction, side: Sequence[int]) -> list[int]:
    """Return the longest recordings of each speaker."""
    found = []
    for speaker in sorted({str(source.recordings[number].speaker) for number in side}):
        own = [number for number in side if str(source.recordings[number].speaker) == speaker]
        found += sorted(own, key=lambda number: (-source.seconds[number], number))[:TEST_SCENES]
    return found


def _contents(source: Extraction, side: Sequence[int]) -> str:
    return "".join(source.contents[number] for number in side)


def is_word(recording: Recording) -> bool:
    """Return whether a recording is of one word, to be put together with others."""
    return "keyword" in recording.facts and "split" not in recording.facts
