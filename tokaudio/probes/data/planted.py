"""Codes with a known truth: to try the probes themselves on, where no sound and no tokenizer is needed.

    source = PlantedSource(words=8, speakers=12, clean=0.5)
    find_task("ks").run(source, TaskOptions(...), Runner())

Each word is a sequence of codes in the first codebook, each speaker a habit of codes in the second; a share of `clean`
frames keeps them, the others are random.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.audio.manifest import Recording
from tokaudio.probes.models.inputs import CodeInputs, VectorInputs
from tokaudio.spec import CodebookSpec, TokenizerSpec

Array = NDArray[Any]
_FRAMES, _FRAME_SECONDS = 12, 0.02


class PlantedTokenizer:
    """Something that has a fingerprint, as tokenizers do."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint


class PlantedSource:
    """What [`Extraction`][tokaudio.probes.data.extraction.Extraction] offers, made up.

    Args:
        words: how many, each a keyword of one letter.
        speakers: who say each of them, the last third of them to be tested on.
        takes: times that each speaker says each word.
        size: of both codebooks.
        clean: share of frames whose codes are those of the word and of the speaker.
        leak: the first clip of the test set is also one to train on.
        seed: of everything random.

    Attributes:
        recordings: of nothing, with columns `keyword`, `text`, `speaker` and `fold`.

    Example:
        >>> source = PlantedSource(words=2, speakers=3)
        >>> len(source.recordings), source.codes().items[0].shape
        (12, (2, 12))
    """

    def __init__(
        self,
        *,
        words: int = 4,
        speakers: int = 12,
        takes: int = 2,
        size: int = 16,
        clean: float = 0.6,
        leak: bool = False,
        seed: int = 0,
    ) -> None:
        random = np.random.default_rng(seed)
        self.tokenizer = PlantedTokenizer(f"planted-{words}-{speakers}-{takes}-{size}-{clean}-{seed}")
        self.num_codebooks = 2
        self.spec = TokenizerSpec("planted", "hybrid", 16_000, 320, (CodebookSpec(size),) * 2)
        spoken = random.integers(0, size, (words, _FRAMES))
        habits = random.integers(0, size, (speakers, 3))
        self.recordings: list[Recording] = []
        self._codes: list[Array] = []
        first_test = speakers - max(1, speakers // 3)
        for speaker in range(speakers):
            for word in range(words):
                for take in range(takes):
                    told = np.stack([spoken[word], random.choice(habits[speaker], _FRAMES)])
                    noise = random.integers(0, size, told.shape)
                    kept = random.random(told.shape) < clean
                    self._codes.append(np.where(kept, told, noise).astype(np.int32))
                    name, letter = f"{speaker:03}-{word}-{take}", chr(ord("a") + word)
                    facts = {"keyword": letter, "text": letter, "speaker": f"speaker {speaker:03}"}
                    facts["fold"] = "test" if speaker >= first_test else "train"
                    self.recordings.append(Recording(Path(name), name, facts))
        self.contents = [one.name for one in self.recordings]
        if leak:
            self.contents[-1] = self.contents[0]
        self.prints = [np.zeros(0, dtype=np.uint32) for _ in self.recordings]
        self.seconds = [_FRAMES * _FRAME_SECONDS] * len(self.recordings)
        self._random, self._size = random, size

    def codes(self, *, tables: bool = True) -> CodeInputs:
        """Return the codes."""
        return CodeInputs("tokens", self._codes, self.spec.codebook_sizes)

    def features(self) -> VectorInputs:
        """Return the codes as vectors, one dimension for each code."""
        rows = [np.concatenate([np.eye(self._size)[:, row] for row in codes]) for codes in self._codes]
        return VectorInputs("continuous", rows)

    embedded = features

    def log_mel(self) -> VectorInputs:
        """Return the same vectors under another name."""
        return VectorInputs("log_mel", self.features().items)

    def untrained(self) -> CodeInputs:
        """Return random codes."""
        return CodeInputs("untrained_encoder", self.random(1).items, self.spec.codebook_sizes)

    def random(self, seed: int = 0) -> CodeInputs:
        """Return random codes."""
        random = np.random.default_rng(seed)
        rows = [random.integers(0, self._size, codes.shape).astype(np.int32) for codes in self._codes]
        return CodeInputs("random_tokens", rows, self.spec.codebook_sizes)
