"""How much codes say about labels: contingency tables, mutual information with its bias taken off, PNMI and purities.

    table = contingency(codes, phones)
    pnmi(table), phone_purity(table), cluster_purity(table)
    evaluate(codes, phones).share  # of what there is to know, beyond chance

Information is in bits. Frames whose label is negative have none, and are left out. Estimates from counts are too high,
the more so the more pairs of code and label there are for each frame: the floor says how much so, which is the same
figure for labels that were exchanged at random. Compare plain figures only at equal numbers of codes and frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from tokaudio.analysis.statistics.contingency import AnalysisError, Contingency, contingency, integers, validate

__all__ = [
    "Information",
    "cluster_purity",
    "contingency",
    "entropy",
    "evaluate",
    "mutual_information",
    "phone_purity",
    "pnmi",
    "shuffled_floor",
    "validate",
]

# Bits that are as good as none.
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Information:
    """What codes say about labels.

    Attributes:
        frames: N, frames with a label.
        codes: different codes that occur.
        labels: different labels that occur.
        entropy: of the labels, in bits: what there is to know.
        plain: mutual information as counted, in bits.
        corrected: the same with the correction of Miller and Madow.
        floor: `corrected` of labels that were exchanged at random: what is left of the bias.
        pnmi: `plain / entropy`, as published.
        phone_purity: frames whose label is the most frequent one of their code, as a share.
        cluster_purity: frames whose code is the most frequent one of their label, as a share.
    """

    frames: int
    codes: int
    labels: int
    entropy: float
    plain: float
    corrected: float
    floor: float
    pnmi: float
    phone_purity: float
    cluster_purity: float

    @property
    def share(self) -> float:
        """The share of what there is to know that the codes tell beyond chance, from 0 to about 1.

        `(corrected - floor) / (entropy - floor)`, at least 0: information adjusted for chance (Vinh et al. 2010, JMLR
        11:2837), so that codes without meaning have 0 and perfect ones 1, however many. Of all measures here the one
        that depends least on how many frames were seen.
        """
        left = self.entropy - self.floor
        return max(0.0, self.corrected - self.floor) / left if left > _NOTHING else 0.0


def entropy(counts: ArrayLike | Tensor, *, correct: bool = False) -> float:
    """Return the entropy of a distribution in bits, from how often each value was seen.

    Args:
        counts: of each value; zeros change nothing.
        correct: add `(m - 1) / 2N` nats for m values that were seen in N draws (G. Miller, "Note on the bias of
            information estimates", 1955).

    Raises:
        AnalysisError: if counts are no integers, negative, or all zero.

    Example:
        >>> entropy([5, 5, 0])
        1.0
    """
    seen = integers(counts, "counts").ravel()
    if seen.size and seen.min() < 0:
        raise AnalysisError(f"a count is {seen.min()}; counts are 0 or more")
    seen = seen[seen > 0]
    if not seen.size:
        raise AnalysisError("all counts are 0; give at least one frame")
    total = int(seen.sum())
    shares = seen / total
    bits = max(0.0, -float(shares @ np.log2(shares)))
    return bits + (seen.size - 1) / (2 * total * math.log(2)) if correct else bits


def mutual_information(table: Contingency, *, correct: bool = False) -> float:
    """Return the mutual information of codes and labels in bits.

    Args:
        table: of both.
        correct: correct all three entropies after Miller; the result may then lie a little below zero.

    Example:
        >>> mutual_information(contingency([0, 0, 1, 1], [5, 5, 6, 6]))
        1.0
    """
    sides = entropy(table.code_counts(), correct=correct) + entropy(table.label_counts(), correct=correct)
    found = sides - entropy(table.counts, correct=correct)
    return found if correct else max(0.0, found)


def pnmi(table: Contingency) -> float:
    """Return phone-normalised mutual information, `I(code; label) / H(label)` (HuBERT, arXiv:2106.07447, III-B).

    The share of what there is to know about the labels that the codes tell; not corrected, as published.

    Raises:
        AnalysisError: if all frames have the same label.

    Example:
        >>> round(pnmi(contingency([0, 0, 1, 1], [5, 6, 7, 7])), 3)
        0.667
    """
    return mutual_information(table) / _label_entropy(table)


def phone_purity(table: Contingency) -> float:
    """Return the share of frames whose label is the most frequent one of their code (arXiv:2106.07447, III-B).

    Example:
        >>> phone_purity(contingency([0, 0, 0, 1], [5, 5, 6, 7]))
        0.75
    """
    return table.largest_by_code() / table.frames


def cluster_purity(table: Contingency) -> float:
    """Return the share of frames whose code is the most frequent one of their label (arXiv:2106.07447, III-B).

    Falls as codes grow finer; a purity of phones is worth as much as the purity of clusters beside it.

    Example:
        >>> cluster_purity(contingency([0, 1, 2, 2], [5, 5, 5, 6]))
        0.5
    """
    return table.largest_by_label() / table.frames


def shuffled_floor(
    codes: ArrayLike | Tensor,
    labels: ArrayLike | Tensor,
    *,
    seed: int = 0,
    repeats: int = 3,
    runs: bool = False,
    correct: bool = True,
) -> float:
    """Return the mean mutual information, in bits, of codes with labels that no longer belong to them.

    Args:
        codes: integers from 0, of any shape.
        labels: integers of that shape; negative for frames without a label.
        seed: of what is random.
        repeats: times that labels are moved.
        runs: move all labels along by a random number of frames, an eighth of all at least, round the end, so that
            neighbours stay together as they do in sound (recordings should then be in random order), instead of drawing
            a random order of frames.
        correct: whether the correction of Miller and Madow is applied.

    Raises:
        AnalysisError: as in `validate`, or if `repeats` is not positive.

    Example:
        >>> codes = np.arange(1000) % 10
        >>> shuffled_floor(codes, codes) < 0.02
        True
    """
    if repeats < 1:
        raise AnalysisError(f"repeats is {repeats}; give at least 1")
    code, label = validate(codes, labels)
    random, least = np.random.default_rng(seed), label.size // 8
    found = []
    for _ in range(repeats):
        moved = np.roll(label, random.integers(least, label.size - least)) if runs else random.permutation(label)
        found.append(mutual_information(contingency(code, moved), correct=correct))
    return float(np.mean(found))


def evaluate(
    codes: ArrayLike | Tensor, labels: ArrayLike | Tensor, *, seed: int = 0, repeats: int = 3, runs: bool = False
) -> Information:
    """Return all measures of this module.

    Args:
        codes: integers from 0, of any shape.
        labels: integers of that shape; negative for frames without a label.
        seed: of the floor.
        repeats: of the floor.
        runs: as for `shuffled_floor`.

    Raises:
        AnalysisError: as in `validate`, or if all frames have the same label.

    Example:
        >>> round(evaluate([0, 0, 1, 1] * 100, [0, 0, 1, 1] * 100).pnmi, 6)
        1.0
    """
    table = contingency(codes, labels)
    known = _label_entropy(table)
    plain = mutual_information(table)
    return Information(
        frames=table.frames,
        codes=len(table.code_counts()),
        labels=len(table.label_counts()),
        entropy=known,
        plain=plain,
        corrected=mutual_information(table, correct=True),
        floor=shuffled_floor(codes, labels, seed=seed, repeats=repeats, runs=runs),
        pnmi=plain / known,
        phone_purity=phone_purity(table),
        cluster_purity=cluster_purity(table),
    )


def _label_entropy(table: Contingency) -> float:
    counts = table.label_counts()
    if len(counts) < 2:
        raise AnalysisError(f"all {table.frames} frames have the same label; give audio with at least two")
    return entropy(counts)
