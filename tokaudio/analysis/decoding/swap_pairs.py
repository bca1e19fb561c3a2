"""Pairs of recordings for swap tests, found among those that come one after the other, and judged at the end.

    meter = SwapMeter(tokenizer, pairs=8, voice=ResemblyzerVoice())
    for sound in sounds:
        meter.add(sound, seconds, speaker)
    meter.finish().codebooks[0].donor_nearer

A pair is of two speakers, as far as these are known. Only where recordings are is kept, so that memory does not grow.
"""

from __future__ import annotations

from typing import Any

from tokaudio.analysis.decoding.excerpts import MAX_SECONDS
from tokaudio.analysis.decoding.swaps import Swaps, Voice, Words, swap_test
from tokaudio.analysis.sounds import Clip, Sound
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.tokenizers.base import Tokenizer

PAIRS = 8
"""Each is decoded, and judged, about four times per codebook."""
LEAST_SECONDS = 1.5
"""Of a recording: voices, and words, of shorter ones are hard to tell."""


class SwapMeter:
    """Finds pairs of different speakers, and swaps their codebooks at the end.

    Args:
        tokenizer: that decodes.
        pairs: that are wanted; the first ones that are found.
        voice: says who speaks.
        words: says what is said.
        max_seconds: of each sound.

    Raises:
        TokensError: if the tokenizer does not decode.
        AnalysisError: if there is no judge, or no pair is wanted.

    Example:
        >>> import numpy as np
        >>> meter = SwapMeter(
        ...     Tokenizer.from_pretrained("mini-codec"), pairs=1, voice=lambda sound, rate: [abs(sound).mean(), 0.01]
        ... )
        >>> for peak, name in ((0.3, "ann"), (0.2, "ann"), (0.01, "bob")):
        ...     sound = peak * np.sin(np.arange(32_000) / 9)
        ...     meter.add(Clip(sound, 16_000, name), 2.0, name)
        >>> meter.finish().pairs, meter.speakers_known
        (1, True)
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        pairs: int = PAIRS,
        voice: Voice | None = None,
        words: Words | None = None,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        if not tokenizer.decodes:
            raise tokenizer.no_decoder()
        if voice is None and words is None:
            raise AnalysisError("nobody judges swapped codebooks; give a judge of voices or of words")
        if pairs < 1:
            raise AnalysisError(f"{pairs} pairs are wanted; give 1 or more")
        self._tokenizer, self._voice, self._words = tokenizer, voice, words
        self._wanted, self._max_seconds = pairs, max_seconds
        self._pairs: list[tuple[Any, Any, int | None]] = []
        # By speaker and rate; a recording whose speaker is not known is taken for one of its own.
        self._alone: dict[tuple[str | None, int | None], Any] = {}
        self.speakers_known = True

    def add(self, sound: Sound, seconds: float, speaker: str | None = None) -> None:
        """Take a recording.

        Args:
            sound: of it; it is opened at the end.
            seconds: that it lasts.
            speaker: of it, if known.
        """
        if len(self._pairs) >= self._wanted or seconds < LEAST_SECONDS:
            return
        audio, rate = (sound.samples, sound.sample_rate) if isinstance(sound, Clip) else (sound.path, None)
        for other in self._alone:
            if other[1] == rate and (speaker is None or other[0] != speaker):
                self._pairs.append((self._alone.pop(other), audio, rate))
                self.speakers_known &= speaker is not None and other[0] is not None
                return
        self._alone.setdefault((speaker, rate), audio)

    def finish(self) -> Swaps:
        """Return what the judges say.

        Raises:
            AnalysisError: if there is no pair.
            AudioError: if a recording is unusable.
            MissingDependencyError: if words are judged and jiwer is not installed.
        """
        if not self._pairs:
            wanted = f"of {LEAST_SECONDS:g} s or more"
            raise AnalysisError(f"there are no two recordings {wanted} by different speakers; give more recordings")
        return swap_test(
            self._tokenizer, self._pairs, voice=self._voice, words=self._words, max_seconds=self._max_seconds
        )
