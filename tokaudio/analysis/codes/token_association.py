"""What the codes of two tokenizers say about each other: which codes come together, and how much one tells the other.

    found = token_association(codes, others, first=("mini-codec", 0), second=("mini-semantic", 0))
    found.told_of_first, found.strongest[0]

Frames are put side by side by the time of their centres, see `side_by_side`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tokaudio.analysis.frames.observing import frame_times
from tokaudio.analysis.statistics.contingency import Contingency, Integers, contingency, validate
from tokaudio.analysis.statistics.information import entropy, mutual_information, shuffled_floor
from tokaudio.spec import TokenizerSpec

STRONGEST = 10
_FEWEST = 5
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Pair:
    """Two codes that come together.

    Attributes:
        first: code of the first tokenizer.
        second: code of the other.
        frames: that have both.
        of_first: share of the frames of the first code that have the second.
        of_second: the other way round.
        bits: pointwise mutual information, `log2 p(a, b) / (p(a) p(b))`.
    """

    first: int
    second: int
    frames: int
    of_first: float
    of_second: float
    bits: float

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "frames": self.frames,
            "of_first": self.of_first,
            "of_second": self.of_second,
            "bits": self.bits,
        }


@dataclass(frozen=True, slots=True)
class TokenAssociation:
    """What a codebook of one tokenizer and one of another say about each other.

    Attributes:
        first: name of the tokenizer and number of the codebook.
        second: likewise.
        frames: that were compared.
        plain: mutual information as counted, in bits.
        corrected: with the correction of Miller and Madow.
        floor: `corrected` of frames in random order.
        entropies: of the codes of both, in bits.
        told_of_first: share of the entropy of the first that the second tells, beyond the floor, 0 to 1.
        told_of_second: the other way round.
        strongest: pairs of codes that add most to the information, of those seen five times or more.
    """

    first: tuple[str, int]
    second: tuple[str, int]
    frames: int
    plain: float
    corrected: float
    floor: float
    entropies: tuple[float, float]
    told_of_first: float
    told_of_second: float
    strongest: tuple[Pair, ...]

    def sentence(self) -> str:
        """Return it in words."""
        one, other = (f"codebook {number} of {name}" for name, number in (self.first, self.second))
        return (
            f"{one[0].upper()}{one[1:]} tells {100 * self.told_of_second:.0f} % of {other}, "
            f"which tells {100 * self.told_of_first:.0f} % of it."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "first": {"tokenizer": self.first[0], "codebook": self.first[1]},
            "second": {"tokenizer": self.second[0], "codebook": self.second[1]},
            "frames": self.frames,
            "plain": self.plain,
            "corrected": self.corrected,
            "floor": self.floor,
            "entropies": list(self.entropies),
            "told_of_first": self.told_of_first,
            "told_of_second": self.told_of_second,
            "strongest": [pair.to_dict() for pair in self.strongest],
        }


def token_association(
    codes: ArrayLike,
    others: ArrayLike,
    *,
    first: tuple[str, int] = ("first", 0),
    second: tuple[str, int] = ("second", 0),
    strongest: int = STRONGEST,
    seed: int = 0,
) -> TokenAssociation:
    """Compare the codes of two codebooks, frame by frame.

    Shares are `(I - floor) / (H - floor)`, as everywhere in reports: chance gives 0, one code for one 1. Unlike the
    symmetric normalised mutual information, they say which tokenizer is the finer one.

    Args:
        codes: integers `[N]`, -1 for none.
        others: integers `[N]`, -1 for none.
        first: name of the tokenizer and number of the codebook.
        second: likewise.
        strongest: pairs of codes that are named.
        seed: of the floor.

    Raises:
        AnalysisError: if shapes differ, or no frame has both codes.

    Example:
        >>> codes = np.arange(1000) % 4
        >>> found = token_association(codes, codes // 2)
        >>> round(found.told_of_first, 2), round(found.told_of_second, 2), found.strongest[0].of_second
        (0.5, 1.0, 0.5)
    """
    left, right = np.asarray(codes), np.asarray(others)
    if left.shape == right.shape:
        left, right = left[left >= 0], right[left >= 0]
    left, right = validate(left, right)
    table = contingency(left, right)
    corrected = mutual_information(table, correct=True)
    floor = shuffled_floor(left, right, seed=seed)
    entropies = entropy(table.code_counts()), entropy(table.label_counts())
    return TokenAssociation(
        first=first,
        second=second,
        frames=table.frames,
        plain=mutual_information(table),
        corrected=corrected,
        floor=floor,
        entropies=entropies,
        told_of_first=_share(corrected, floor, entropies[0]),
        told_of_second=_share(corrected, floor, entropies[1]),
        strongest=_strongest(table, strongest),
    )


def side_by_side(codes: Integers, spec: TokenizerSpec, others: Integers, other_spec: TokenizerSpec) -> Integers:
    """Return the codes of two tokenizers for the same moments, those of the one with fewer frames per second.

    Each of its frames stands beside the frame of the other whose centre is nearest; moments after the end of either
    are left out.

    Args:
        codes: integers `[K, T]` of a recording.
        spec: of their tokenizer.
        others: integers `[L, U]` of the same recording.
        other_spec: of theirs.

    Returns:
        Codes of the first, then of the other `[K + L, N]`.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> slow = TokenizerSpec("slow", "compression", 16_000, 640, (CodebookSpec(8),))
        >>> fast = TokenizerSpec("fast", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> side_by_side(np.array([[1, 2]]), slow, np.array([[3, 4, 5, 6]]), fast).tolist()
        [[1, 2], [3, 5]]
    """
    mine, theirs = frame_times(spec, codes.shape[1]), frame_times(other_spec, others.shape[1])
    if not mine.size or not theirs.size:
        return np.zeros((len(codes) + len(others), 0), dtype=np.int64)
    times = mine if spec.frame_rate <= other_spec.frame_rate else theirs
    half = 0.5 / float(min(spec.frame_rate, other_spec.frame_rate))
    times = times[times <= min(mine[-1], theirs[-1]) + half]
    return np.concatenate([codes[:, _nearest(mine, times)], others[:, _nearest(theirs, times)]]).astype(np.int64)


def _nearest(centres: np.ndarray[Any, Any], times: np.ndarray[Any, Any]) -> Integers:
    """Return the index of the centre nearest to each time, the earlier of two that are as near (to a nanosecond)."""
    after = np.clip(np.searchsorted(centres, times), 1, max(1, len(centres) - 1))
    before = after - 1
    after = np.minimum(after, len(centres) - 1)
    later = times - centres[before] > centres[after] - times + _NOTHING
    return np.where(later, after, before).astype(np.int64)


def _share(corrected: float, floor: float, known: float) -> float:
    left = known - floor
    return min(1.0, max(0.0, corrected - floor) / left) if left > _NOTHING else 0.0


def _strongest(table: Contingency, most: int) -> tuple[Pair, ...]:
    of_first = dict(zip(np.unique(table.codes).tolist(), table.code_counts().tolist(), strict=True))
    of_second = dict(zip(np.unique(table.labels).tolist(), table.label_counts().tolist(), strict=True))
    found = []
    for code, label, count in zip(table.codes.tolist(), table.labels.tolist(), table.counts.tolist(), strict=True):
        if count >= _FEWEST:
            bits = math.log2(count * table.frames / (of_first[code] * of_second[label]))
            found.append(Pair(code, label, count, count / of_first[code], count / of_second[label], bits))
    found.sort(key=lambda pair: (-pair.frames * pair.bits, pair.first, pair.second))
    return tuple(found[:most])
