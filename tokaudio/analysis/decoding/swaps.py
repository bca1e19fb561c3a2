"""Whose voice, and whose words: one codebook of a sound among the others of another one, judged by listening models.

    found = swap_test(tokenizer, [(one, other, 16_000)], voice=ResemblyzerVoice(), words=WhisperWords())
    found.codebooks[0].donor_nearer.value

The donor gives one codebook, the host all others. What is heard is compared with both sounds as the tokenizer decodes
them, so that what the tokenizer loses anyway does not count. Judges are any functions; two are in
[`tokaudio.analysis.decoding.judges`][tokaudio.analysis.decoding.judges].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tokaudio.analysis.decoding.excerpts import MAX_SECONDS, excerpt
from tokaudio.analysis.decoding.interventions import shares_space, swapped
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.analysis.statistics.ratios import Estimate, RatioSums
from tokaudio.metrics.intelligibility import word_errors
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens

Values = NDArray[np.float64]
Voice = Callable[[Values, int], ArrayLike]
"""Of samples `[S]` and their rate in Hz: a vector that says who speaks, compared by its direction."""
Words = Callable[[Values, int], str]
"""Of samples `[S]` and their rate in Hz: what is said."""


@dataclass(frozen=True, slots=True)
class CodebookSwap:
    """What a codebook brings along from the sound that it is taken from; None where there was no judge.

    Attributes:
        codebook: its index.
        donor_voice: cosine of the voice and the donor's.
        host_voice: cosine of the voice and the host's.
        donor_nearer: share of pairs whose voice is more like the donor's.
        donor_words: word errors against what the donor says, over its words.
        host_words: word errors against what the host says, over its words.
        off_distribution: whether the codebook adds to the same dimensions as another one.
    """

    codebook: int
    donor_voice: Estimate | None
    host_voice: Estimate | None
    donor_nearer: Estimate | None
    donor_words: Estimate | None
    host_words: Estimate | None
    off_distribution: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        found: dict[str, Any] = {"codebook": self.codebook, "off_distribution": self.off_distribution}
        for name in ("donor_voice", "host_voice", "donor_nearer", "donor_words", "host_words"):
            value = getattr(self, name)
            found[name] = None if value is None else value.to_dict()
        return found


@dataclass(frozen=True, slots=True)
class Swaps:
    """What every codebook brings along.

    Attributes:
        codebooks: one entry each.
        voices: cosine of the voices of donor and host, to compare with; None without a judge of voices.
        pairs: of sounds, each used in both directions.
    """

    codebooks: tuple[CodebookSwap, ...]
    voices: Estimate | None
    pairs: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        voices = None if self.voices is None else self.voices.to_dict()
        return {"codebooks": [book.to_dict() for book in self.codebooks], "voices": voices, "pairs": self.pairs}


def swap_test(
    tokenizer: Tokenizer,
    pairs: Iterable[tuple[Any, Any, int | None]],
    *,
    voice: Voice | None = None,
    words: Words | None = None,
    max_seconds: float = MAX_SECONDS,
) -> Swaps:
    """Ask judges who speaks and what is said where one codebook comes from another sound.

    Args:
        tokenizer: that decodes.
        pairs: two sounds (samples or paths) of different speakers who say different things, and their sample rate in
            Hz, None for paths. Both are cut to the shorter, and each is donor and host once.
        voice: says who speaks.
        words: says what is said; needs jiwer, from the extra `[metrics]`.
        max_seconds: of each sound.

    Raises:
        TokensError: if the tokenizer does not decode.
        AnalysisError: if there is no judge, or no pair.
        AudioError: if a sound is unusable.
        MissingDependencyError: if jiwer is needed and not installed.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> random = torch.Generator().manual_seed(0)
        >>> one, other = (torch.randn(1_600, generator=random) * peak for peak in (0.3, 0.01))
        >>> loud = lambda sound, rate: [np.abs(sound).mean(), 0.01]
        >>> swap_test(codec, [(one, other, 16_000)], voice=loud).pairs
        1
    """
    if not tokenizer.decodes:
        raise tokenizer.no_decoder()
    if voice is None and words is None:
        raise AnalysisError("nobody judges; give a judge of voices or of words")
    test = _Test(tokenizer, voice, words)
    for one, other, sample_rate in pairs:
        sounds = [excerpt(side, sample_rate, tokenizer.spec, max_seconds=max_seconds) for side in (one, other)]
        length = min(sound.shape[1] for sound in sounds)
        if not length:
            raise AnalysisError("a sound of a pair is empty; give sounds with samples")
        tokens = [tokenizer.encode(torch.from_numpy(sound[:, :length])) for sound in sounds]
        test.add(tokens[0], tokens[1])
    return test.finish()


class _Test:
    """What the judges said so far."""

    def __init__(self, tokenizer: Tokenizer, voice: Voice | None, words: Words | None) -> None:
        self._tokenizer, self._voice, self._words = tokenizer, voice, words
        count = tokenizer.spec.num_codebooks
        # Cosine with the donor's voice, with the host's, and whether the first is greater.
        self._voices = RatioSums((count, 3))
        self._between = RatioSums()
        # Word errors against the donor and the host.
        self._errors = RatioSums((count, 2))
        self._pairs = 0

    def add(self, one: Tokens, other: Tokens) -> None:
        count = self._tokenizer.spec.num_codebooks
        whole = [self._tokenizer.decode(side) for side in (one, other)]
        mixed = [
            [self._tokenizer.decode(swapped(host, donor, index)) for index in range(count)]
            for donor, host in ((one, other), (other, one))
        ]
        if self._voice is not None:
            self._judge_voices(whole, mixed)
        if self._words is not None:
            self._judge_words(whole, mixed)
        self._pairs += 1

    def finish(self) -> Swaps:
        if not self._pairs:
            raise AnalysisError("no pair was given; give at least one")
        voices, errors = self._voices.estimates(), self._errors.estimates()
        heard, read = self._voice is not None, self._words is not None
        books = tuple(
            CodebookSwap(
                index,
                donor_voice=voices[3 * index].within(-1.0, 1.0) if heard else None,
                host_voice=voices[3 * index + 1].within(-1.0, 1.0) if heard else None,
                donor_nearer=voices[3 * index + 2].within(0.0, 1.0) if heard else None,
                donor_words=errors[2 * index].within(0.0) if read else None,
                host_words=errors[2 * index + 1].within(0.0) if read else None,
                off_distribution=shared,
            )
            for index, shared in enumerate(shares_space(self._tokenizer))
        )
        return Swaps(books, self._between.estimates()[0].within(-1.0, 1.0) if heard else None, self._pairs)

    def _judge_voices(self, whole: list[Tensor], mixed: list[list[Tensor]]) -> None:
        voices = [self._direction(sound) for sound in whole]
        likeness = np.zeros((len(mixed[0]), 3))
        for sounds, donor, host in zip(mixed, voices, reversed(voices), strict=True):
            found = np.stack([self._direction(sound) for sound in sounds])
            likeness[:, :2] += np.stack([found @ donor, found @ host], axis=1)
            likeness[:, 2] += found @ donor > found @ host
        self._voices.add(likeness, 2.0)
        self._between.add(voices[0] @ voices[1], 1.0)

    def _judge_words(self, whole: list[Tensor], mixed: list[list[Tensor]]) -> None:
        said = [self._transcript(sound) for sound in whole]
        counts = np.zeros((2, len(mixed[0]), 2))
        for sounds, donor, host in zip(mixed, said, reversed(said), strict=True):
            read = [self._transcript(sound) for sound in sounds]
            counts += np.array([[_errors(text, one) for text in (donor, host)] for one in read]).transpose(2, 0, 1)
        self._errors.add(counts[0], counts[1])

    def _direction(self, sound: Tensor) -> Values:
        assert self._voice is not None
        vector = np.asarray(self._voice(*self._heard(sound)), dtype=np.float64)
        length = float(np.linalg.norm(vector))
        return vector / length if length > 0 else vector

    def _transcript(self, sound: Tensor) -> str:
        assert self._words is not None
        return self._words(*self._heard(sound))

    def _heard(self, sound: Tensor) -> tuple[Values, int]:
        return sound[0].mean(0).double().cpu().numpy(), self._tokenizer.spec.output_sample_rate


def _errors(said: str, read: str) -> tuple[int, int]:
    """Return word errors and words; nothing of what cannot be compared, as no word was said."""
    # A word that both have keeps jiwer from refusing a text without any; it is no error, and not counted.
    counts = word_errors([said, "yes"], [read, "yes"])
    words = counts.words - 1
    return (counts.errors, words) if words else (0, 0)
