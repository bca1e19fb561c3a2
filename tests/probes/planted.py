"""Probes that never were: scores whose truth is known, with speakers, seeds and items that vary as real ones do."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokaudio.probes.evidence import Measure, Pairs, Sums

Floats = NDArray[np.float64]
POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@dataclass(frozen=True)
class Probed:
    """A task with right and wrong answers (or errors among words).

    An item is answered rightly where a logistic draw is below the log odds of the share, which speakers and runs move.

    Attributes:
        share: of right answers, for the middle speaker and run.
        speakers: that are tested.
        items: of each speaker, or their mean where they are `unequal`.
        runs: of the probe.
        speaker_spread: of log odds between speakers.
        own_spread: of log odds between speakers, for each tokenizer anew.
        run_spread: of log odds between runs.
        shared: share of items whose draw is that of all runs and tokenizers: some items are hard.
        unequal: whether speakers have from half to one and a half as many items.
        metric: the name that the measure gets.
    """

    share: float = 0.8
    speakers: int = 12
    items: int = 40
    runs: int = 5
    speaker_spread: float = 0.5
    own_spread: float = 0.0
    run_spread: float = 0.1
    shared: float = 0.7
    unequal: bool = False
    metric: str = "accuracy"

    def truth(self, share: float | None = None) -> float:
        """Return the share of right answers over all speakers and runs, by Gauss-Hermite quadrature."""
        spread = math.sqrt(self.speaker_spread**2 + self.own_spread**2 + self.run_spread**2)
        return float(WEIGHTS @ (1 / (1 + np.exp(-(odds(share or self.share) + spread * POINTS)))))

    def share_for(self, truth: float) -> float:
        """Return the share of the middle speaker for which `truth` comes out."""
        low, high = 0.001, 0.999
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self.truth(middle) < truth else (low, middle)
        return low

    def draw(self, random: np.random.Generator, *shares: float) -> list[Measure]:
        """Return a measure for each tokenizer, all on the same speakers and items; by default for one."""
        count = random.integers(self.items // 2, self.items * 3 // 2 + 1, self.speakers) if self.unequal else None
        items = np.full(self.speakers, self.items) if count is None else count
        who = np.repeat(np.arange(self.speakers), items)
        voices = self.speaker_spread * random.standard_normal(self.speakers)
        hard = random.logistic(size=who.size)
        names = tuple(f"speaker {number}" for number in range(self.speakers))
        below = np.broadcast_to(items.astype(float)[None, :, None], (self.runs, self.speakers, 1))
        found = []
        for share in shares or (self.share,):
            level = odds(share) + voices + self.own_spread * random.standard_normal(self.speakers)
            runs = self.run_spread * random.standard_normal((self.runs, 1))
            own = random.logistic(size=(self.runs, who.size))
            drawn = np.where(random.random((self.runs, who.size)) < self.shared, hard, own)
            right = (drawn < level[who] + runs).astype(float)
            above = np.stack([np.bincount(who, weights=run, minlength=self.speakers) for run in right])[:, :, None]
            found.append(Measure(self.metric, tuple(range(self.runs)), Sums(names, above, below)))
        return found


@dataclass(frozen=True)
class Verified:
    """A verification task: all pairs of some recordings of each speaker, scored with errors that are normal.

    Attributes:
        apart: mean score of pairs of the same speaker; that of others is 0.
        speakers: that are tested.
        recordings: of each.
        runs: of the probe.
        voice_spread: what each speaker adds to the scores of all pairs with him.
    """

    apart: float = 2.0
    speakers: int = 24
    recordings: int = 3
    runs: int = 5
    voice_spread: float = 0.3

    def truth(self) -> float:
        """Return the equal error rate over all speakers: of two normal distributions of unequal width."""
        same, other = (math.sqrt(1 + voices * self.voice_spread**2) for voices in (4, 2))
        return 0.5 * math.erfc(self.apart / (same + other) / math.sqrt(2))

    def draw(self, random: np.random.Generator) -> list[Measure]:
        """Return the equal error rate as it was measured."""
        who = np.repeat(np.arange(self.speakers), self.recordings)
        left, right = np.triu_indices(who.size, k=1)
        voices = self.voice_spread * random.standard_normal(self.speakers)
        base = np.where(who[left] == who[right], self.apart, 0.0) + voices[who[left]] + voices[who[right]]
        base += math.sqrt(0.5) * random.standard_normal(left.size)
        scores = base + math.sqrt(0.5) * random.standard_normal((self.runs, left.size))
        names = tuple(f"speaker {number}" for number in range(self.speakers))
        return [Measure("eer", tuple(range(self.runs)), Pairs(names, who[left], who[right], scores))]


def odds(share: float) -> float:
    """Return log odds."""
    return math.log(share / (1 - share))
