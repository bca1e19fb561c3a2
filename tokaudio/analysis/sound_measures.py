"""What needs the tokenizer at hand: prototypes, ablation by decoding, swaps, robustness, and maps of the codebooks.

    measures = SoundMeasures(tokenizer)
    for sound, codes in recordings:
        measures.add(sound, codes)
    sections, notes = measures.finish()

Ablation and robustness decode and encode each recording many times: they have a budget of seconds, which the first
recordings use up. What cannot be measured, as where nothing decodes, is left out, and a note says why. The sound of
codes that are held on is no figure: it stands beside the sections.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tokaudio.analysis.decoding.ablation import AblationMeter
from tokaudio.analysis.decoding.excerpts import MAX_SECONDS
from tokaudio.analysis.decoding.swap_pairs import SwapMeter
from tokaudio.analysis.frames.observing import Column
from tokaudio.analysis.robustness.robustness import RobustnessMeter
from tokaudio.analysis.sections import Rows, Section
from tokaudio.analysis.single_codes.codebook_map import CodebookMap, Neighbours, codebook_map, neighbours
from tokaudio.analysis.single_codes.held_codes import HeldCodes, held_codes
from tokaudio.analysis.single_codes.prototype_results import Prototypes
from tokaudio.analysis.single_codes.prototypes import PrototypeMeter
from tokaudio.analysis.sounds import Clip, Sound
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.audio import AudioReader, as_audio
from tokaudio.errors import TokaudioError
from tokaudio.tokenizers.base import Tokenizer

SECONDS = 60.0
"""Of sound that is decoded again and again for ablation, and encoded for robustness."""
MOST_MAPPED = 4096
"""Codes of a codebook that is drawn as a map."""
MOST_HELD = 64
"""Codes, of all codebooks, that are held on."""
_DIGITS = 4


class _Meter(Protocol):
    def add(self, audio: Any, sample_rate: int | None = None) -> None: ...

    def finish(self) -> Section: ...


class SoundMeasures:
    """Measures what needs sound and the tokenizer.

    Args:
        tokenizer: whose codes are meant.
        seconds: of sound for ablation and for robustness; 0 leaves both out.
        seed: of everything random.
        swaps: swaps the codebooks of pairs of recordings; None to leave that out.

    Attributes:
        held: the sound of frequent codes held on, once `finish` was called; None where nothing decodes, or no seconds
            are spent.

    Example:
        >>> import torch
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> measures = SoundMeasures(codec, seconds=0)
        >>> sound = Clip(torch.randn(16_000) / 10, 16_000, "noise")
        >>> measures.add(sound, codec.encode(sound.samples).numpy()[0])
        >>> sections, _ = measures.finish()
        >>> [name for name, section in sections.items() if section is not None]
        ['prototypes', 'maps', 'neighbours']
    """

    def __init__(
        self, tokenizer: Tokenizer, *, seconds: float = SECONDS, seed: int = 0, swaps: SwapMeter | None = None
    ) -> None:
        self._tokenizer, self._seconds, self._swaps = tokenizer, seconds, swaps
        self._counts = [np.zeros(size, dtype=np.int64) for size in tokenizer.spec.codebook_sizes]
        self.held: HeldCodes | None = None
        self._prototypes = PrototypeMeter(tokenizer.spec, seed=seed)
        self._notes: list[str] = []
        self._meters: dict[str, _Meter | None] = {"ablation": None, "robustness": None}
        self._used = dict.fromkeys(self._meters, 0.0)
        if seconds > 0:
            self._start("ablation", lambda: AblationMeter(tokenizer, seed=seed))
            self._start("robustness", lambda: RobustnessMeter(tokenizer, seed=seed))

    def add(
        self,
        sound: Sound,
        codes: Integers,
        *,
        pitch: Column | None = None,
        phones: Column | None = None,
        speaker: str | None = None,
    ) -> None:
        """Take a recording.

        Args:
            sound: of it.
            codes: integers `[K, T]`, -1 where a frame does not have a codebook.
            pitch: of each frame in Hz, NaN for none `[T]`.
            phones: of each frame, integers from 0, -1 for none `[T]`.
            speaker: of the recording, if known.

        Raises:
            AudioError: if the sound cannot be read.
        """
        audio: Any
        rate: int | None
        if isinstance(sound, Clip):
            audio, rate = as_audio(sound.samples).samples[0], sound.sample_rate
            self._prototypes.add(codes, [audio], rate, name=sound.name, pitch=pitch, phones=phones)
        else:
            audio, rate = sound.path, None
            with AudioReader(sound.path) as reader:
                self._prototypes.add(
                    codes, reader.blocks(), reader.sample_rate, name=sound.name, pitch=pitch, phones=phones
                )
        length = codes.shape[1] / float(self._tokenizer.spec.frame_rate)
        for row, counts in zip(codes, self._counts, strict=True):
            np.add(counts, np.bincount(row[row >= 0], minlength=len(counts)), out=counts)
        if self._swaps is not None:
            self._swaps.add(sound, length, speaker)
        for name, meter in self._meters.items():
            if meter is None or self._used[name] >= self._seconds:
                continue
            try:
                meter.add(audio, rate)
            except TokaudioError as error:
                self._drop(name, error)
            self._used[name] += min(length, MAX_SECONDS)

    def finish(self, phone_names: Sequence[str] = ()) -> tuple[dict[str, Section | None], list[str]]:
        """Return the parts of a report, and what is missing in them.

        Args:
            phone_names: by number.
        """
        prototypes = self._prototypes.finish(phone_names=phone_names)
        sections: dict[str, Section | None] = {"prototypes": prototypes}
        for name in self._meters:
            sections[name] = None
            meter = self._meters[name]
            if meter is not None:
                try:
                    sections[name] = meter.finish()
                except TokaudioError as error:
                    self._drop(name, error)
        sections["swaps"] = self._swapped()
        sections["maps"], sections["neighbours"] = self._maps(prototypes)
        self.held = self._held(prototypes)
        return sections, self._notes

    def _start(self, name: str, make: Callable[[], _Meter]) -> None:
        try:
            self._meters[name] = make()
        except TokaudioError as error:
            self._drop(name, error)

    def _drop(self, name: str, error: TokaudioError) -> None:
        self._meters[name] = None
        self._notes.append(f"Nothing is said about {name}: {error}.")

    def _swapped(self) -> Section | None:
        if self._swaps is None:
            return None
        try:
            found = self._swaps.finish()
        except TokaudioError as error:
            self._notes.append(f"Nothing is said about swaps: {error}.")
            return None
        if not self._swaps.speakers_known:
            self._notes.append("Who speaks is not known: codebooks may have been swapped between sounds of one voice.")
        return found

    def _held(self, prototypes: Prototypes) -> HeldCodes | None:
        """Return the sound of the most frequent codes of each codebook, as many of each as there is room for."""
        if not self._seconds > 0 or not self._tokenizer.decodes:
            return None
        most = MOST_HELD // len(prototypes.codebooks)
        wanted = [(one.codebook, one.code) for book in prototypes.codebooks for one in book[:most]]
        try:
            return held_codes(self._tokenizer, self._counts, wanted)
        except TokaudioError as error:
            self._notes.append(f"No code is held on: {error}.")
            return None

    def _maps(self, prototypes: Prototypes) -> tuple[Section | None, Section | None]:
        """Return a map of each codebook that is small enough, and the nearest codes of those that have prototypes."""
        tables = self._tokenizer.codebooks()
        if len(tables) != len(prototypes.codebooks):
            self._notes.append("Nothing is said about codebooks as maps: there is not one table for each of them.")
            return None, None
        maps: list[CodebookMap | None] = []
        near: list[Neighbours | None] = []
        for table, frequent in zip(tables, prototypes.codebooks, strict=True):
            try:
                drawn = codebook_map(table) if len(table) <= MOST_MAPPED else None
                close = neighbours(table, count=min(5, len(table) - 1), of=[one.code for one in frequent])
            except AnalysisError as error:
                self._notes.append(f"A codebook is no map: {error}.")
                drawn = close = None
            maps.append(drawn and dataclasses.replace(drawn, points=np.round(drawn.points, _DIGITS)))
            near.append(close and dataclasses.replace(close, distances=np.round(close.distances, _DIGITS)))
        return Rows(tuple(maps)), Rows(tuple(near))
