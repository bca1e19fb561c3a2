"""What each codebook is for: the attribute that it says most about, with how sure that is, as a table and in words.

for role in roles(associations(frames)):
    print(role.sentence())  # Codebook 3: 4 to 8 kHz energy 0.42 (0.40 to 0.44), then energy about 0.31.

Only attributes are named that can be told from chance. "About" stands before scores that more audio would make surer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokaudio.analysis.frames.associations import Association

RUNNERS_UP = 2
"""Attributes that are named after the first."""
# Whether a frame has a pitch follows from its pitch: where codes tell both about as well, only the pitch is named.
_COARSE = {"voicing": "pitch"}
_ABOUT_AS_WELL = 0.8


@dataclass(frozen=True, slots=True)
class Role:
    """What a codebook says most about.

    Attributes:
        codebook: its number, from 0.
        first: its association with the highest score; None if it says nothing that can be told from chance.
        others: the next best, in descending order.
        enough: whether there was enough audio for half of the attributes at least.
    """

    codebook: int
    first: Association | None
    others: tuple[Association, ...] = ()
    enough: bool = True

    @property
    def attribute(self) -> str | None:
        """The name of what it says most about, None for nothing."""
        return None if self.first is None else self.first.attribute

    def sentence(self) -> str:
        """Return the role in words: scores are shares of what there is to know, with 95 % intervals."""
        if self.first is None:
            known = "nothing that can be told from chance" if self.enough else "too little audio to tell"
            return f"Codebook {self.codebook}: {known}."
        told = [_told(self.first), *(_score(one) for one in self.others)]
        return f"Codebook {self.codebook}: {', then '.join(told)}."

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        first = self.first
        share = None if first is None or first.interval is None else first.interval.share
        return {
            "codebook": self.codebook,
            "attribute": self.attribute,
            "score": None if first is None else first.score,
            "interval": None if share is None else [share.low, share.high],
            "settled": None if first is None else first.settled,
            "floor": None if first is None else first.floor,
            "others": [{"attribute": one.attribute, "score": one.score} for one in self.others],
            "enough": self.enough,
        }


def roles(found: Sequence[Association]) -> tuple[Role, ...]:
    """Return the role of each codebook.

    Where codes tell pitch and voicing about as well, voicing is not named: whether there is a pitch follows from the
    pitch.

    Args:
        found: associations of all codebooks.

    Example:
        >>> import numpy as np
        >>> from tokaudio.analysis.frames.associations import associations
        >>> from tokaudio.analysis.frames.sampling import FrameSample
        >>> sample = FrameSample()
        >>> for number in range(40):
        ...     codes = np.random.default_rng(number).integers(0, 4, (2, 100))
        ...     sample.add(codes, {"energy": codes[1] * 10.0})
        >>> [role.sentence() for role in roles(associations(sample.finish()))]
        ['Codebook 0: nothing that can be told from chance.', 'Codebook 1: energy 1.00 (1.00 to 1.00).']
    """
    by_codebook: dict[int, list[Association]] = {}
    for one in found:
        by_codebook.setdefault(one.codebook, []).append(one)
    return tuple(_role(codebook, own) for codebook, own in sorted(by_codebook.items()))


def _role(codebook: int, found: Sequence[Association]) -> Role:
    enough = 2 * sum(one.enough for one in found) >= len(found)
    scores = {one.attribute: one.score for one in found if one.beyond_chance}
    implied = {
        coarse
        for coarse, fine in _COARSE.items()
        if coarse in scores and scores.get(fine, 0.0) >= _ABOUT_AS_WELL * scores[coarse]
    }
    told = [one for one in found if one.attribute in scores and one.attribute not in implied]
    told.sort(key=lambda one: -one.score)
    return Role(codebook, told[0] if told else None, tuple(told[1 : 1 + RUNNERS_UP]), enough)


def _told(one: Association) -> str:
    if one.interval is None:
        return _score(one)
    share = one.interval.share
    return f"{_score(one)} ({share.low:.2f} to {share.high:.2f})"


def _score(one: Association) -> str:
    return f"{one.attribute} {'about ' if one.settled is False else ''}{one.score:.2f}"
