"""How much codes change when a sound changes in ways that hardly matter: noise, rooms, lossy formats, a shift.

    meter = RobustnessMeter(tokenizer)
    for samples, sample_rate in recordings:
        meter.add(samples, sample_rate)
    meter.finish().find("noise 20 dB").codebooks[0].edit_distance.value

Each recording is encoded as it is and once more per change. Two figures compare the codes of a codebook: the unit edit
distance, for which durations do not matter, and the share of frames that agree. Recordings are cut to the first few
seconds, for all of one must fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import lcm
from typing import Any

import numpy as np
import torch

from tokaudio.analysis.decoding.excerpts import MAX_SECONDS, excerpt
from tokaudio.analysis.robustness.alignments import Counts, compare, frames_of
from tokaudio.analysis.robustness.lossy import Lossy
from tokaudio.analysis.robustness.results import CodebookRobustness, Robustness, TransformRobustness
from tokaudio.analysis.robustness.timing import PitchShift, Shift, Slice, TimeStretch
from tokaudio.analysis.robustness.transforms import Gain, Noise, Resampling, Reverberation, Setting, Sound, Transform
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.analysis.statistics.ratios import RatioSums
from tokaudio.errors import MissingDependencyError, TokaudioError
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens

STANDARD: tuple[Transform, ...] = (
    Gain(-6.0),
    *(Noise(snr) for snr in (40.0, 30.0, 20.0, 10.0)),
    Reverberation(0.3),
    Resampling(8_000),
    Lossy("MP3", 64),
    Lossy("Opus", 24),
    PitchShift(1.0),
    TimeStretch(1.1),
    Shift(1),
    Slice(0.5),
)
"""The changes that a report is made of."""


class RobustnessMeter:
    """Measures robustness, recording by recording.

    Args:
        tokenizer: to test; it need not decode.
        transforms: changes, of different names.
        max_seconds: of each recording; what comes later is not used.
        seed: of noises and rooms.

    Raises:
        AnalysisError: if there is no change, or two have the same name.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> meter = RobustnessMeter(codec, transforms=[Gain(0.0)])
        >>> meter.add(torch.randn(8_000, generator=torch.Generator().manual_seed(0)) / 10, 16_000)
        >>> meter.finish().find("gain +0 dB").codebooks[7].agreement.value
        1.0
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        transforms: Sequence[Transform] = STANDARD,
        max_seconds: float = MAX_SECONDS,
        seed: int = 0,
    ) -> None:
        names = [one.name for one in transforms]
        if not names or len(set(names)) < len(names):
            raise AnalysisError(f"changes are {names}; give at least one, each once")
        self.tokenizer = tokenizer
        self._spec = tokenizer.spec
        self._step_frames = lcm(self._spec.cut_period, self._spec.frame_multiple)
        self._random = np.random.default_rng(seed)
        self._max_seconds = max_seconds
        self._tallies = [_Tally(one, self._spec.num_codebooks) for one in transforms]
        self._seconds = 0.0

    def add(self, audio: Any, sample_rate: int | None = None) -> None:
        """Take a recording.

        Args:
            audio: samples `[S]` or `[C, S]`, or a path.
            sample_rate: of the samples in Hz; None for the tokenizer's, or the file's.

        Raises:
            AudioError: if the audio is unusable.
        """
        sound = excerpt(audio, sample_rate, self._spec, max_seconds=self._max_seconds)
        if not sound.shape[1]:
            return
        original = self._encode(sound)
        self._seconds += sound.shape[1] / self._spec.sample_rate
        step = int(self._spec.frame_start(self._step_frames))
        setting = Setting(self._spec.sample_rate, step, self._random)
        for tally in self._tallies:
            if tally.missing is None:
                self._measure(tally, sound, original, setting)

    def finish(self) -> Robustness:
        """Return what was measured."""
        measured = tuple(tally.finish() for tally in self._tallies if tally.sums.recordings)
        reasons = {tally.transform.name: tally.reason for tally in self._tallies if not tally.sums.recordings}
        return Robustness(measured, reasons, self._seconds)

    def _measure(self, tally: _Tally, sound: Sound, original: Integers, setting: Setting) -> None:
        try:
            changed = tally.transform(sound, setting)
            codes = self._encode(changed.samples)
        except MissingDependencyError as error:
            tally.missing = tally.reason = str(error)
            return
        except TokaudioError as error:
            tally.failed, tally.reason = tally.failed + 1, str(error)
            return
        frames = frames_of(self._spec, codes.shape[1], start=changed.start, speed=changed.speed)
        inside = (frames >= 0) & (frames < original.shape[1])
        tally.add(compare(original, codes[:, inside], frames[inside]))

    def _encode(self, sound: Sound) -> Integers:
        """Return codes `[K, T]`, -1 where a frame does not have all."""
        return present(self.tokenizer.encode(torch.tensor(sound)))


def robustness(
    tokenizer: Tokenizer,
    recordings: Iterable[tuple[Any, int | None]],
    *,
    transforms: Sequence[Transform] = STANDARD,
    max_seconds: float = MAX_SECONDS,
    seed: int = 0,
) -> Robustness:
    """Measure what changes of the sound do to the codes of each codebook.

    Args:
        tokenizer: to test; it need not decode.
        recordings: audio (samples or a path) and sample rate of each, None for a path.
        transforms: changes, of different names.
        max_seconds: of each recording.
        seed: of noises and rooms.

    Raises:
        AnalysisError: as `RobustnessMeter`.
        AudioError: if a recording is unusable.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> sound = torch.randn(8_000, generator=torch.Generator().manual_seed(0)) / 10
        >>> found = robustness(codec, [(sound, 16_000)], transforms=[Noise(0.0), Noise(60.0)])
        >>> loud, faint = (one.codebooks[0].agreement.value for one in found.transforms)
        >>> loud < faint
        True
    """
    meter = RobustnessMeter(tokenizer, transforms=transforms, max_seconds=max_seconds, seed=seed)
    for audio, sample_rate in recordings:
        meter.add(audio, sample_rate)
    return meter.finish()


def present(tokens: Tokens) -> Integers:
    """Return the codes of one item `[K, T]`, -1 where a frame does not have all codebooks.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> present(codec.encode(torch.zeros(640))).shape
        (8, 2)
    """
    codes: Integers = tokens.codes.masked_fill(~tokens.code_mask, -1)[0].cpu().numpy()
    return codes


class _Tally:
    """What was counted of one change."""

    def __init__(self, transform: Transform, num_codebooks: int) -> None:
        self.transform = transform
        self.missing: str | None = None
        self.reason = "no recording was given"
        self.failed = 0
        # Edits over runs, then equal frames over frames.
        self.sums = RatioSums((2, num_codebooks))
        self._expected = np.zeros(num_codebooks)

    def add(self, counts: Counts) -> None:
        self.sums.add([counts.edits, counts.equal], [counts.runs, counts.frames])
        self._expected += counts.expected

    def finish(self) -> TransformRobustness:
        found = self.sums.estimates()
        frames = self.sums.totals[1]
        count = len(frames)
        books = tuple(
            CodebookRobustness(
                found[k].within(0.0),
                found[count + k].within(0.0, 1.0),
                chance=float(self._expected[k] / frames[k]) if frames[k] else float("nan"),
                frames=int(frames[k]),
            )
            for k in range(count)
        )
        return TransformRobustness(self.transform.name, books, self.sums.recordings, self.failed)
