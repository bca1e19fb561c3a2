"""How much of each codebook is used: utilisation, entropy, perplexity, and the bits per second that codes really carry.

    counter = UsageCounter(spec)
    for codes in recordings:
        counter.add(codes)
    usage = counter.finish()
    usage.codebooks[0].utilisation, usage.effective_bps, usage.efficiency

Everything is normalised by the whole codebook, never by the codes that happen to be used: a codebook that uses 2 of
1,024 codes evenly has a normalised entropy of 0.1, not 1. All figures grow with the audio that was seen; rarefaction.py
says what they are for a stated amount.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from tokaudio.analysis.codes.code_streams import at_own_rate, checked
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.analysis.statistics.counting import SparseCounts
from tokaudio.analysis.statistics.information import entropy
from tokaudio.spec import TokenizerSpec

_CODES_EACH = 5


@dataclass(frozen=True, slots=True)
class CodebookUsage:
    """How one codebook is used.

    Attributes:
        codebook: its number.
        size: V, codes that it has.
        codes: N, codes that were seen, in all.
        used: different codes that were seen.
        entropy: H, in bits, as counted.
        corrected: H with the correction of Miller and Madow, in bits; log2 V at most.
        commonest: share of the most frequent code.
    """

    codebook: int
    size: int
    codes: int
    used: int
    entropy: float
    corrected: float
    commonest: float

    @property
    def utilisation(self) -> float:
        """Share of the codebook's codes that were seen."""
        return self.used / self.size

    @property
    def enough(self) -> bool:
        """Whether there were codes enough to say how much of the codebook is used: five for each that was seen."""
        return self.codes >= _CODES_EACH * self.used

    @property
    def perplexity(self) -> float:
        """2**H: as many codes, all equally frequent, would carry as much (arXiv:1711.00937)."""
        return 2.0**self.entropy

    @property
    def normalised_perplexity(self) -> float:
        """Perplexity as a share of the whole codebook."""
        return self.perplexity / self.size

    @property
    def normalised_entropy(self) -> float:
        """H as a share of log2 V; 0 for a codebook of one code."""
        return self.entropy / math.log2(self.size) if self.size > 1 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        derived = ("enough", "utilisation", "perplexity", "normalised_perplexity", "normalised_entropy")
        return asdict(self) | {name: getattr(self, name) for name in derived}


@dataclass(frozen=True, slots=True)
class Usage:
    """How all codebooks are used.

    Attributes:
        codebooks: each one's figures.
        frames: that were seen.
        seconds: of audio that they stand for.
        nominal_bps: bits per second without entropy coding, of the codes that were seen.
        effective_bps: bits per second that they carry, each codebook for itself, frame by frame (arXiv:2306.06546).
    """

    codebooks: tuple[CodebookUsage, ...]
    frames: int
    seconds: float
    nominal_bps: float
    effective_bps: float

    @property
    def efficiency(self) -> float:
        """Effective bits as a share of nominal ones (arXiv:2306.06546, 4.4); 0 where there are none."""
        return self.effective_bps / self.nominal_bps if self.nominal_bps else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "frames": self.frames,
            "seconds": self.seconds,
            "nominal_bps": self.nominal_bps,
            "effective_bps": self.effective_bps,
            "efficiency": self.efficiency,
            "codebooks": [one.to_dict() for one in self.codebooks],
        }


class UsageCounter:
    """Counts codes, recording by recording.

    Args:
        spec: of the tokenizer.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> counter = UsageCounter(TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(1024),)))
        >>> counter.add([[3, 900] * 500])
        >>> found = counter.finish()
        >>> found.codebooks[0].utilisation == 2 / 1024, round(found.efficiency, 3), found.effective_bps
        (True, 0.1, 50.0)
    """

    def __init__(self, spec: TokenizerSpec) -> None:
        self.spec, self.frames = spec, 0
        self._counts = [SparseCounts() for _ in spec.codebooks]

    def add(self, codes: ArrayLike | Tensor) -> None:
        """Take the codes `[K, T]` of one recording, -1 where a frame does not have a codebook.

        Raises:
            AnalysisError: if they cannot be codes of this tokenizer.
        """
        rows = checked(codes, self.spec)
        self.frames += rows.shape[1]
        for codebook, counts in enumerate(self._counts):
            counts.add(at_own_rate(rows, self.spec, codebook))

    def counts(self, codebook: int) -> tuple[Integers, Integers]:
        """Return the codes of one codebook that were seen, in ascending order, and how often each was."""
        return self._counts[codebook].finish()

    def finish(self) -> Usage:
        """Return all figures; more recordings may be added afterwards.

        Raises:
            AnalysisError: if there was no frame.
        """
        if not self.frames:
            raise AnalysisError("there is no frame; give audio or tokens")
        seconds = self.frames / float(self.spec.frame_rate)
        found = [_codebook(k, self.counts(k)[1], size) for k, size in enumerate(self.spec.codebook_sizes)]
        nominal = math.fsum(one.codes * math.log2(one.size) for one in found) / seconds
        effective = math.fsum(one.codes * one.entropy for one in found) / seconds
        return Usage(tuple(found), self.frames, seconds, nominal, effective)


def usage(codes: ArrayLike | Tensor, spec: TokenizerSpec) -> Usage:
    """Return how the codes `[K, T]` of one recording use their codebooks.

    Raises:
        AnalysisError: if they cannot be codes of this tokenizer, or there is no frame.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(4),))
        >>> usage([[0, 1, 0, 1]], spec).codebooks[0].perplexity
        2.0
    """
    counter = UsageCounter(spec)
    counter.add(codes)
    return counter.finish()


def _codebook(number: int, times: Integers, size: int) -> CodebookUsage:
    total = int(times.sum())
    if not total:
        return CodebookUsage(number, size, 0, 0, 0.0, 0.0, 0.0)
    corrected = min(entropy(times, correct=True), math.log2(size))
    return CodebookUsage(number, size, total, int(times.size), entropy(times), corrected, float(np.max(times)) / total)
