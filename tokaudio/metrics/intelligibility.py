"""Whether speech can still be understood: STOI of a waveform and word error rate of a transcript.

STOI comes from `pystoi` and the word alignment from `jiwer`; both are optional (`pip install 'tokaudio[metrics]'`)
and imported on first use. The text normaliser is tokaudio's own: see
[`normalize_text`][tokaudio.metrics.intelligibility.normalize_text] for what it does and does not do.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.errors import AudioError, MissingDependencyError, TokaudioError
from tokaudio.metrics.numerals import spell_numbers

STOI_SAMPLE_RATE = 10_000
"""The rate at which STOI works, in Hz; other rates are resampled to it."""

STOI_MIN_FRAMES = 30
"""Frames of 25.6 ms with 12.8 ms hop that one STOI segment spans; less active speech than that has no STOI."""


@dataclass(frozen=True)
class WordErrors:
    """Counts of a word alignment, pooled over all utterances.

    Attributes:
        words: Words in the references.
        substitutions: Words that were read as another.
        deletions: Reference words that were not read.
        insertions: Words that were read and are in no reference.

    Example:
        >>> WordErrors(words=10, substitutions=1, deletions=0, insertions=1).rate
        0.2
    """

    words: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def errors(self) -> int:
        """All errors: substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Word error rate, as a fraction; above 1 when there are many insertions."""
        return self.errors / self.words


def validate(
    reference: ArrayLike, estimate: ArrayLike, sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both waveforms as float64 arrays, or say why they cannot be compared.

    Args:
        reference: Original waveform `[S]`.
        estimate: Reconstruction `[S]`, aligned in time with the reference.
        sample_rate: Rate of both, in Hz.

    Returns:
        The two waveforms, each `[S]`, float64.

    Raises:
        AudioError: A waveform is not one-dimensional, empty or not finite, the lengths differ, or the rate is not
            positive.

    Example:
        >>> validate([0.0, 1.0], [0.0, 0.5], 16_000)[1]
        array([0. , 0.5])
    """
    if sample_rate <= 0:
        raise AudioError(f"sample_rate {sample_rate}: must be positive; pass the rate of both waveforms in Hz")
    arrays = []
    for name, values in (("reference", reference), ("estimate", estimate)):
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1:
            raise AudioError(f"{name}: shape {list(array.shape)} is not [S]; pass one channel of one item")
        if array.size == 0:
            raise AudioError(f"{name}: holds no samples; pass at least one")
        if not np.isfinite(array).all():
            raise AudioError(f"{name}: holds NaN or Inf; remove the non-finite samples")
        arrays.append(array)
    if arrays[0].size != arrays[1].size:
        raise AudioError(
            f"estimate: has {arrays[1].size} samples and the reference {arrays[0].size}; trim or pad it to the same"
        )
    return arrays[0], arrays[1]


def stoi(reference: ArrayLike, estimate: ArrayLike, sample_rate: int, *, extended: bool = False) -> float:
    """Return the short-time objective intelligibility of `estimate`.

    Correlates the temporal envelopes of 15 third-octave bands over segments of 384 ms, after dropping frames more than
    40 dB below the loudest reference frame. It is a relative measure: it needs the reference, and both aligned in time.

    Source: C. H. Taal, R. C. Hendriks, R. Heusdens, J. Jensen, "An Algorithm for Intelligibility Prediction of
    Time-Frequency Weighted Noisy Speech", IEEE TASLP 19(7), 2011; `extended`: J. Jensen, C. H. Taal, "An Algorithm for
    Predicting the Intelligibility of Speech Masked by Modulated Noise Maskers", IEEE/ACM TASLP 24(11), 2016.

    Args:
        reference: Original speech `[S]`.
        estimate: Reconstruction `[S]`, aligned in time with the reference.
        sample_rate: Rate of both, in Hz.
        extended: Compute ESTOI, which also penalises modulated noise, instead of STOI.

    Returns:
        About 0 (nothing left) to 1 (identical).

    Raises:
        AudioError: The waveforms cannot be compared, or the reference holds less than 30 frames (about 0.4 s) of
            speech, for which STOI is not defined.
        MissingDependencyError: pystoi is not installed.

    Example:
        >>> import numpy as np
        >>> speech = np.random.default_rng(0).standard_normal(16_000)
        >>> round(stoi(speech, speech, 16_000), 6)
        1.0
    """
    clean, processed = validate(reference, estimate, sample_rate)
    pystoi = _require("pystoi")
    too_short = AudioError(
        f"reference: holds less than {STOI_MIN_FRAMES} frames (about 0.4 s) of sound, so STOI is undefined; "
        "score longer audio"
    )
    if not clean.any() or clean.size * STOI_SAMPLE_RATE < 512 * sample_rate:
        raise too_short
    with warnings.catch_warnings():
        # pystoi warns and returns 1e-5 for short input; a number that looks like a score must not pass for one.
        warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
        # pystoi's ESTOI adds noise of 1e-16 from numpy's global generator: fix the seed, and leave no trace of it.
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(0)  # noqa: NPY002
        try:
            return float(pystoi.stoi(clean, processed, sample_rate, extended=extended))
        except RuntimeWarning:
            raise too_short from None
        finally:
            np.random.set_state(state)  # noqa: NPY002


def normalize_text(text: str) -> str:
    """Return `text` as a speaker would say it: lower-case words separated by single spaces.

    Recognisers write the same speech in several ways ("five", "5"; "A.M.", "am"). The rules, in order: lower case;
    drop what stands in brackets (`[beep]`, `(note)`, `<tone>`); join spelled initials ("a.m." to "am"); name the signs
    `# * % & @ $ +`; spell numbers ([`spell_numbers`][tokaudio.metrics.numerals.spell_numbers]); drop apostrophes;
    turn everything else that is not a letter into a space. Spelling variants and homophones remain errors.

    Example:
        >>> normalize_text("Press 1, or 22 -- it's 8:15 A.M. [beep]")
        'press one or twenty two its eight fifteen am'
    """
    text = text.lower().replace("\u2019", "'")
    text = re.sub(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>", " ", text)
    text = re.sub(r"\b(?:[a-z]\.)+(?:[a-z]\b)?", lambda match: match.group().replace(".", "") + " ", text)
    for sign, word in _SIGNS.items():
        text = text.replace(sign, f" {word} ")
    text = spell_numbers(text).replace("'", "")
    return " ".join(re.sub(r"[^\w]|_", " ", text).split())


_SIGNS = {"#": "pound", "*": "star", "%": "percent", "&": "and", "@": "at", "$": "dollar", "+": "plus"}


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Align transcripts with their references and count the word errors, pooled over all utterances.

    Both sides go through [`normalize_text`][tokaudio.metrics.intelligibility.normalize_text]. An utterance whose
    reference holds no word counts each word of its hypothesis as an insertion.

    Args:
        references: What was said, one text per utterance.
        hypotheses: What was read, in the same order.

    Raises:
        TokaudioError: The two differ in number, or there is no word in any reference.
        MissingDependencyError: jiwer is not installed.

    Example:
        >>> word_errors(["press five now"], ["Press 5"])
        WordErrors(words=3, substitutions=0, deletions=1, insertions=0)
    """
    if len(references) != len(hypotheses):
        raise TokaudioError(
            f"hypotheses: {len(hypotheses)} texts for {len(references)} references; pass one hypothesis per reference"
        )
    jiwer = _require("jiwer")
    counts = {"words": 0, "substitutions": 0, "deletions": 0, "insertions": 0}
    pairs = [(normalize_text(said), normalize_text(read)) for said, read in zip(references, hypotheses, strict=True)]
    spoken = [(said, read) for said, read in pairs if said]
    if not spoken:
        raise TokaudioError("references: hold no word, so there is no word error rate; pass texts with words")
    output = jiwer.process_words([said for said, _ in spoken], [read for _, read in spoken])
    for name in ("substitutions", "deletions", "insertions"):
        counts[name] = int(getattr(output, name))
    counts["words"] = sum(len(said.split()) for said, _ in spoken)
    counts["insertions"] += sum(len(read.split()) for said, read in pairs if not said)
    return WordErrors(**counts)


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Return the word error rate, as a fraction of the reference words, pooled over all utterances.

    The same as `word_errors(references, hypotheses).rate`.

    Raises:
        TokaudioError: The two differ in number, or there is no word in any reference.
        MissingDependencyError: jiwer is not installed.

    Example:
        >>> word_error_rate(["turn on the light", "stop"], ["turn of the light", "stop"])
        0.2
    """
    return word_errors(references, hypotheses).rate


def evaluate(reference: ArrayLike, estimate: ArrayLike, sample_rate: int) -> dict[str, float]:
    """Return all waveform metrics of this module for one pair: `stoi` and `estoi`.

    Args:
        reference: Original speech `[S]`.
        estimate: Reconstruction `[S]`, aligned in time with the reference.
        sample_rate: Rate of both, in Hz.

    Raises:
        AudioError: As for [`stoi`][tokaudio.metrics.intelligibility.stoi].
        MissingDependencyError: pystoi is not installed.

    Example:
        >>> import numpy as np
        >>> speech = np.random.default_rng(0).standard_normal(16_000)
        >>> sorted(evaluate(speech, speech, 16_000))
        ['estoi', 'stoi']
    """
    return {
        "stoi": stoi(reference, estimate, sample_rate),
        "estoi": stoi(reference, estimate, sample_rate, extended=True),
    }


def _require(name: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingDependencyError(
            f"{name}: is not installed; install the extra with pip install 'tokaudio[metrics]'"
        ) from None
