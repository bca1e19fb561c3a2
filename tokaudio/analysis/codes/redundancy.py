"""How much codebooks repeat of each other: information between pairs of them, and among all.

    found = redundancy(frames)  # codes [K, N] of frames drawn at random
    found.pairs[0][3].normalised, found.total.plain

Counted information is too high, the more so the larger the codebooks: two codebooks of 1,024 that have nothing to do
with each other seem to share more than a bit in 100,000 frames. Every figure therefore stands beside its floor, the
same figure for codebooks whose frames were shuffled. Of all codebooks at once no amount of audio shows the joint
distribution; what can be said is a lower bound, from the pairs of a tree.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers, contingency, integers
from tokaudio.analysis.statistics.counting import count
from tokaudio.analysis.statistics.information import entropy, mutual_information

LIMIT = 100_000
"""Frames that are used at most; more would not change much, and take long for many codebooks."""
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Shared:
    """What two codebooks have in common.

    Attributes:
        plain: information as counted, in bits.
        corrected: with the correction of Miller and Madow, in bits.
        floor: `corrected` of shuffled frames: what is left of the bias.
        least: entropy of the codebook that has less, in bits: what there can be in common.
    """

    plain: float
    corrected: float
    floor: float
    least: float

    @property
    def normalised(self) -> float:
        """The share of what there can be in common, beyond chance: `(corrected - floor) / (least - floor)`, 0 to 1."""
        left = self.least - self.floor
        return min(1.0, max(0.0, self.corrected - self.floor) / left) if left > _NOTHING else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self) | {"normalised": self.normalised}


@dataclass(frozen=True, slots=True)
class TotalCorrelation:
    """What all codebooks have in common: `sum of H(q_k) - H(q_1, ..., q_K)` (Watanabe 1960).

    Attributes:
        plain: as counted, in bits per frame; too high, and by how much is not known where most frames are unique.
        floor: of codebooks whose frames were shuffled, each for itself.
        tree: lower bound in bits: the pairs of the best tree, beyond their floors (Chow and Liu 1968).
        unique: share of the frames whose codes no other frame has; near 1, `plain` and `floor` say next to nothing.
    """

    plain: float
    floor: float
    tree: float
    unique: float

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Redundancy:
    """What codebooks repeat of each other.

    Attributes:
        frames: N, that were used.
        pairs: `[K][K]`, symmetric; None on the diagonal, and for pairs that no frame has both of.
        total: of all codebooks; None for a single one.
    """

    frames: int
    pairs: tuple[tuple[Shared | None, ...], ...]
    total: TotalCorrelation | None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "frames": self.frames,
            "pairs": [[one and one.to_dict() for one in row] for row in self.pairs],
            "total": self.total and self.total.to_dict(),
        }


def redundancy(codes: ArrayLike | Tensor, *, limit: int = LIMIT, seed: int = 0) -> Redundancy:
    """Return how much codebooks repeat of each other.

    Args:
        codes: integers `[K, N]` of frames, -1 where a frame does not have a codebook.
        limit: frames that are used at most, drawn at random.
        seed: of the draw and of the floors.

    Raises:
        AnalysisError: if codes are no integers, of another shape, or there is no frame.

    Example:
        >>> first = np.arange(4000) // 7 % 8
        >>> second = np.random.default_rng(0).integers(0, 8, 4000)
        >>> found = redundancy(np.stack([first, second, first // 2]))
        >>> round(found.pairs[0][1].normalised, 1), round(found.pairs[0][2].normalised, 2), round(found.total.tree, 1)
        (0.0, 1.0, 2.0)
    """
    rows = integers(codes, "codes")
    if rows.ndim != 2 or not rows.size:
        raise AnalysisError(f"codes are {list(rows.shape)}; give [K, N], with a frame at least")
    random = np.random.default_rng(seed)
    if rows.shape[1] > limit:
        rows = rows[:, random.choice(rows.shape[1], limit, replace=False)]
    books = len(rows)
    pairs: list[list[Shared | None]] = [[None] * books for _ in range(books)]
    for one in range(books):
        for other in range(one):
            pairs[one][other] = pairs[other][one] = _shared(rows[one], rows[other], random)
    total = _total(rows, pairs, random) if books > 1 else None
    return Redundancy(rows.shape[1], tuple(tuple(row) for row in pairs), total)


def _shared(one: Integers, other: Integers, random: np.random.Generator) -> Shared | None:
    both = (one >= 0) & (other >= 0)
    if not both.any():
        return None
    first, second = one[both], other[both]
    table, moved = contingency(first, second), contingency(first, random.permutation(second))
    return Shared(
        mutual_information(table),
        mutual_information(table, correct=True),
        mutual_information(moved, correct=True),
        min(entropy(table.code_counts(), correct=True), entropy(table.label_counts(), correct=True)),
    )


def _total(rows: Integers, pairs: list[list[Shared | None]], random: np.random.Generator) -> TotalCorrelation | None:
    """Return the total correlation of the frames that have all codebooks; None if there are none."""
    rows = rows[:, (rows >= 0).all(axis=0)]
    if not rows.size:
        return None
    alone = sum(entropy(count(row)[1]) for row in rows)
    together = joint_counts(rows)
    shuffled = joint_counts(np.stack([random.permutation(row) for row in rows]))
    beyond = np.array([[max(0.0, one.corrected - one.floor) if one else 0.0 for one in row] for row in pairs])
    return TotalCorrelation(
        max(0.0, alone - entropy(together)),
        max(0.0, alone - entropy(shuffled)),
        greatest_tree(beyond),
        float((together == 1).sum()) / rows.shape[1],
    )


def joint_counts(rows: Integers) -> Integers:
    """Return how often each combination of codes `[K, N]` occurs `[U]`.

    Example:
        >>> joint_counts(np.array([[0, 0, 1, 0], [5, 5, 5, 6]]))
        array([2, 1, 1])
    """
    number = np.zeros(rows.shape[1], dtype=np.int64)
    for row in rows:
        # Numbers of combinations stay below N, so that products stay below N V.
        _, number = np.unique(number * (int(row.max()) + 1) + row, return_inverse=True)
    return np.bincount(number)


def greatest_tree(weights: ArrayLike) -> float:
    """Return the greatest sum of weights `[K, K]`, symmetric and not negative, that a tree over all nodes has (Prim).

    Example:
        >>> greatest_tree([[0, 3, 1], [3, 0, 2], [1, 2, 0]])
        5.0
    """
    left = np.array(weights, dtype=np.float64)
    reach, total = left[0].copy(), 0.0
    outside = np.ones(len(left), dtype=bool)
    outside[0] = False
    while outside.any():
        node = int(np.argmax(np.where(outside, reach, -1.0)))
        total += float(reach[node])
        outside[node] = False
        reach = np.maximum(reach, left[node])
    return total
