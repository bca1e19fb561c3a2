"""Word and character error rates of transcripts taken as they are, recording by recording.

    counts = edit_counts(references, hypotheses)  # one for each recording
    error_rate(counts), error_rate(edit_counts(references, hypotheses, unit="character"))

For transcripts of the same alphabet, such as those of a probe. What two recognisers write differently without hearing
differently ("5", "five") is the business of
[`word_errors`][tokaudio.metrics.intelligibility.word_errors], which normalises both sides first.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from tokaudio.errors import TokaudioError

Unit = Literal["word", "character"]


class EditCounts(NamedTuple):
    """The least number of edits that make a reference what was read.

    Attributes:
        errors: substitutions, deletions and insertions.
        length: words or characters of the reference.
    """

    errors: int
    length: int


def edit_distance(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> int:
    """Return the least number of substitutions, deletions and insertions from one sequence to the other.

    Levenshtein, Soviet Physics Doklady 10:707 (1966); in memory of one row, by the recursion of Wagner and Fischer,
    Journal of the ACM 21:168 (1974).

    Example:
        >>> edit_distance("kitten", "sitting"), edit_distance(["turn", "on"], ["turn", "it", "on"])
        (3, 1)
    """
    if not reference or not hypothesis:
        return len(reference) + len(hypothesis)
    numbers: dict[Hashable, int] = {}
    said, read = (np.array([numbers.setdefault(one, len(numbers)) for one in line]) for line in (reference, hypothesis))
    places = np.arange(read.size + 1)
    row = places
    for number, one in enumerate(said, start=1):
        # Deletion or substitution; insertions then run from left to right: a running minimum of cost minus place.
        cost = np.concatenate([[number], np.minimum(row[1:] + 1, row[:-1] + (read != one))])
        row = np.minimum.accumulate(cost - places) + places
    return int(row[-1])


def edit_counts(references: Sequence[str], hypotheses: Sequence[str], *, unit: Unit = "word") -> list[EditCounts]:
    """Return errors and lengths of each recording, from which rates and their intervals follow.

    Args:
        references: what was said.
        hypotheses: what was read, in the same order.
        unit: words, which white space separates, or characters, of which runs of white space count as one.

    Raises:
        TokaudioError: the two differ in number, or the unit is unknown.

    Example:
        >>> edit_counts(["turn it on", "stop"], ["turn on", "stop now"])
        [EditCounts(errors=1, length=3), EditCounts(errors=1, length=1)]
        >>> edit_counts(["ab cd"], ["abcd"], unit="character")
        [EditCounts(errors=1, length=5)]
    """
    if len(references) != len(hypotheses):
        raise TokaudioError(
            f"hypotheses: {len(hypotheses)} texts for {len(references)} references; pass one hypothesis per reference"
        )
    if unit not in ("word", "character"):
        raise TokaudioError(f"unit is {unit!r}; give word or character")
    counts = []
    for texts in zip(references, hypotheses, strict=True):
        words = [text.split() for text in texts]
        said, read = words if unit == "word" else [" ".join(line) for line in words]
        counts.append(EditCounts(edit_distance(said, read), len(said)))
    return counts


def error_rate(counts: Sequence[EditCounts]) -> float:
    """Return all errors over all that was said: the word or character error rate, above 1 where much was invented.

    Raises:
        TokaudioError: nothing was said.

    Example:
        >>> error_rate([EditCounts(1, 3), EditCounts(1, 1)])
        0.5
    """
    length = sum(one.length for one in counts)
    if not length:
        raise TokaudioError("references: hold nothing that was said, so there is no error rate; pass texts with words")
    return sum(one.errors for one in counts) / length
