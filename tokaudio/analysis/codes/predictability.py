"""How well codes can be foretold: bits per code of n-gram models on recordings that they never saw, and what BPE saves.

    found = predictability(pieces)
    found.codebooks[0].bits       # of orders 1 to 4; order 1 knows how frequent each code is, order 2 the code before
    found.bits_per_second, found.codebooks[0].bpe

What a language model of that memory would need, so a bound on what entropy coding can save and on how hard codes are
to learn. Each codebook is foretold from its own past alone; a model that also sees the others' codes needs less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tokaudio.analysis.codes.pieces import Pieces
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.layouts.bpe import UnitBPE
from tokaudio.layouts.units import MAX_UNITS
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokens import Tokens

ORDER = 4
MERGES = 1_000
"""Ids that BPE adds to the codes."""
# A discount of 0 would hold unseen codes for impossible, one of 1 would believe nothing that was seen.
_LEAST_DISCOUNT, _MOST_DISCOUNT = 0.1, 0.99

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CodebookPredictability:
    """How well the codes of one codebook can be foretold.

    Attributes:
        codebook: its number.
        size: V; log2 V bits are needed without any model.
        learned: codes that models were fitted to.
        tested: codes of other recordings that bits are the mean of.
        bits: per code, of models of order 1, 2 and so on.
        bpe: codes per id on the recordings that were held out; None if not asked for, or impossible.
    """

    codebook: int
    size: int
    learned: int
    tested: int
    bits: tuple[float, ...]
    bpe: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self) | {"bits": list(self.bits)}


@dataclass(frozen=True, slots=True)
class Predictability:
    """How well codes can be foretold.

    Attributes:
        codebooks: each one's figures; None for one without codes on either side.
        bits_per_second: of models of order 1, 2 and so on, all codebooks that have figures together.
        merges: ids that BPE could add.
    """

    codebooks: tuple[CodebookPredictability | None, ...]
    bits_per_second: tuple[float, ...]
    merges: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "codebooks": [one and one.to_dict() for one in self.codebooks],
            "bits_per_second": list(self.bits_per_second),
            "merges": self.merges,
        }


def predictability(
    pieces: Pieces, *, order: int = ORDER, bpe: Sequence[int] = (), merges: int = MERGES
) -> Predictability:
    """Return how well codes can be foretold on recordings that were held out.

    Args:
        pieces: stretches of recordings, some of them held out.
        order: of the largest model.
        bpe: numbers of the codebooks that BPE is trained for, which takes longer than all else.
        merges: ids that it may add.

    Raises:
        AnalysisError: if `order` is not positive.
        MissingDependencyError: if BPE is asked for and the package `tokenizers` is missing.

    Example:
        >>> from tokaudio.analysis.codes.pieces import PieceSample
        >>> sample = PieceSample(TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),)))
        >>> for _ in range(8):
        ...     sample.add([[0, 1, 2, 3] * 50])
        >>> found = predictability(sample.finish(), bpe=[0], merges=3)
        >>> [round(bits, 1) for bits in found.codebooks[0].bits], found.codebooks[0].bpe
        ([2.0, 0.0, 0.0, 0.0], 4.0)
    """
    spec = pieces.spec
    found: list[CodebookPredictability | None] = []
    for number, codebook in enumerate(spec.codebooks):
        learned, held_out = pieces.learned(number), pieces.held_out(number)
        if not learned or not held_out:
            found.append(None)
            continue
        bits = ngram_bits(learned, held_out, codebook.size, order=order)
        wanted = number in bpe and codebook.size <= MAX_UNITS
        gain = bpe_gain(learned, held_out, codebook.size, merges=merges) if wanted else None
        train, test = (sum(row.size for row in rows) for rows in (learned, held_out))
        found.append(CodebookPredictability(number, codebook.size, train, test, bits, gain))
    rates = [float(spec.frame_rate) / codebook.stride for codebook in spec.codebooks]
    per_second = np.zeros(order)
    for one, rate in zip(found, rates, strict=True):
        per_second += 0.0 if one is None else rate * np.array(one.bits)
    return Predictability(tuple(found), tuple(per_second.tolist()), merges)


def ngram_bits(
    learned: Sequence[Integers], held_out: Sequence[Integers], size: int, *, order: int = ORDER
) -> tuple[float, ...]:
    """Return bits per held-out code of n-gram models of order 1 to `order`.

    Interpolated absolute discounting (Ney, Essen and Kneser 1994, Computer Speech and Language 8:1): of every n-gram
    that was seen, D times less is believed, with `D = n1 / (n1 + 2 n2)` from those seen once and twice; what is left
    goes to the next lower order, and that of order 1 to all codes alike. The models' past ends where a stretch begins.

    Args:
        learned: codes `[n]` of stretches to learn from.
        held_out: codes `[n]` of stretches to foretell.
        size: V, codes of the codebook.
        order: of the largest model.

    Raises:
        AnalysisError: if `order` is not positive, or either side has no code.

    Example:
        >>> ngram_bits([np.zeros(999, dtype=np.int64)], [np.array([1, 1])], 1024, order=1)[0] > 10
        True
    """
    if order < 1 or not any(row.size for row in learned) or not any(row.size for row in held_out):
        raise AnalysisError(f"order {order} of nothing; give an order from 1, and codes on both sides")
    stretches = [*learned, *held_out]
    # As many signs for the beginning go before each stretch as the longest past has codes.
    beginning = np.full(order - 1, size, dtype=np.int64)
    codes = np.concatenate([part for row in stretches for part in (beginning, row)])
    ends = np.cumsum([row.size + order - 1 for row in stretches])
    real = np.ones(codes.size, dtype=bool)
    for offset in range(1, order):
        real[ends - [row.size for row in stretches] - offset] = False
    known = np.arange(codes.size) < ends[len(learned) - 1]
    train, test = np.flatnonzero(real & known), np.flatnonzero(real & ~known)
    past = np.zeros(codes.size, dtype=np.int64)
    chance, bits = np.full(test.size, 1 / size), []
    for _ in range(order):
        found, gram = np.unique(past * (size + 1) + codes, return_inverse=True)
        chance = _interpolated(_Grams(past, gram, found // (size + 1)), train, test, chance)
        bits.append(max(0.0, float(-np.log2(chance).mean())))
        past = np.concatenate([[0], gram[:-1]])
    return tuple(bits)


@dataclass(frozen=True, slots=True)
class _Grams:
    """The n-gram that ends at each code, and the past that it begins with, as numbers.

    Attributes:
        past: of each code.
        gram: of each code.
        past_of: of each n-gram.
    """

    past: Integers
    gram: Integers
    past_of: Integers


def _interpolated(grams_at: _Grams, train: Integers, test: Integers, lower: Floats) -> Floats:
    """Return the chances of codes at some places, from how often n-grams and pasts occur at others.

    Args:
        grams_at: each place.
        train: places of the codes to learn from.
        test: places of the codes to foretell `[M]`.
        lower: their chances in the next lower order `[M]`.
    """
    past, gram, past_of = grams_at.past, grams_at.gram, grams_at.past_of
    grams = np.bincount(gram[train], minlength=past_of.size)
    pasts = np.bincount(past[train], minlength=int(past.max()) + 1)
    kinds = np.bincount(past_of[grams > 0], minlength=pasts.size)
    once, twice = int((grams == 1).sum()), int((grams == 2).sum())
    discount = min(_MOST_DISCOUNT, max(_LEAST_DISCOUNT, once / max(1, once + 2 * twice)))
    seen, left = pasts[past[test]], discount * kinds[past[test]]
    believed = np.maximum(grams[gram[test]] - discount, 0.0) + left * lower
    return np.where(seen > 0, believed / np.maximum(seen, 1), lower)


def bpe_gain(learned: Sequence[Integers], held_out: Sequence[Integers], size: int, *, merges: int = MERGES) -> float:
    """Return how many codes an id of byte-pair encoding stands for, on average over codes that it was not trained on.

    Args:
        learned: codes `[n]` of stretches to learn from.
        held_out: codes `[n]` of stretches to encode.
        size: V, codes of the codebook.
        merges: ids that BPE may add to the codes.

    Raises:
        MissingDependencyError: if the package `tokenizers` is missing.
        TokensError: if the codebook has more codes than BPE takes.

    Example:
        >>> codes = np.array([0, 1, 2, 3] * 50)
        >>> bpe_gain([codes], [codes], 8, merges=3)
        4.0
    """
    spec = TokenizerSpec("codes", "semantic", 16_000, 320, (CodebookSpec(size),))
    sides = [[Tokens.from_codes(torch.from_numpy(row)[None], spec) for row in rows] for rows in (learned, held_out)]
    return UnitBPE.train(sides[0], vocabulary_size=size + merges).compression(sides[1])
