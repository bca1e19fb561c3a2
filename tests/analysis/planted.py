"""Recordings whose codes and labels share a known amount of information, as real ones do: in runs, and each its own.

Labels last for several frames, a recording has labels of its own frequencies, and codes stay as they are for a while;
over all recordings that could be drawn, code c and label l are together in `joint[c, l]` of the frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def bits_and_share(joint: Floats) -> tuple[float, float]:
    """Return the information of codes and labels in bits, and its share of the labels' entropy."""

    def entropy(shares: Floats) -> float:
        known = shares[shares > 0]
        return -float(known @ np.log2(known))

    label = entropy(joint.sum(0))
    bits = entropy(joint.sum(1)) + label - entropy(joint.ravel())
    return bits, bits / label


def planted_joint(random: np.random.Generator, codes: int, labels: int, spread: float) -> Floats:
    """Return shares `[codes, labels]`; the smaller the spread, the more codes tell."""
    label = random.dirichlet(np.full(labels, 3.0))
    return (random.dirichlet(np.full(codes, spread), size=labels) * label[:, None]).T


def unrelated_joint(random: np.random.Generator, codes: int, labels: int) -> Floats:
    """Return shares `[codes, labels]` of codes that tell nothing."""
    return np.outer(random.dirichlet(np.ones(codes)), random.dirichlet(np.full(labels, 3.0)))


@dataclass(frozen=True)
class Corpus:
    """How recordings are drawn: about so many frames each, labels that last so many, voices that differ so much."""

    recordings: int = 100
    frames: int = 100
    lasting: float = 5.0
    evenness: float = 20.0

    def draw(self, random: np.random.Generator, joint: Floats) -> Iterator[tuple[Integers, Integers]]:
        """Yield the codes and labels `[T]` of each recording."""
        share = joint.sum(0)
        rising = (joint / share).cumsum(0)
        for _ in range(self.recordings):
            pieces = max(1, round(self.frames * random.uniform(0.3, 1.7) / self.lasting))
            durations = random.geometric(1 / self.lasting, pieces)
            labels = np.repeat(random.choice(share.size, pieces, p=random.dirichlet(share * self.evenness)), durations)
            new = random.random(labels.size) < 0.5
            new[np.cumsum(durations) - durations] = True
            held = np.maximum.accumulate(np.where(new, np.arange(labels.size), 0))
            drawn = random.random(labels.size)[held]
            codes = np.zeros_like(labels)
            for label in np.unique(labels):
                here = labels == label
                codes[here] = np.searchsorted(rising[:-1, label], drawn[here], side="right")
            yield codes, labels
