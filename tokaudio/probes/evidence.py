"""What a score was computed from: sums of each group of test items, or scored pairs, for every run of a probe.

A run is one training of the probe, with one seed. Groups are what is drawn anew when the score's interval is asked for:
speakers, for most tasks. Keeping them, and not the score alone, is what makes intervals and paired comparisons possible
afterwards, from the file of results and nothing else.

    words = Sums(groups=("ann", "ben"), above=[[[3], [5]]], below=[[[40], [52]]])  # errors and words
    Measure("wer", seeds=(0,), evidence=words).mean
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokaudio.probes.errors import ProbeError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Metric(NamedTuple):
    """What a score's name stands for.

    Attributes:
        title: for people.
        unit: that values are shown in; empty for none.
        scale: by which stored values are multiplied to be shown in that unit.
        higher_is_better: whether it is.
    """

    title: str
    unit: str
    scale: float
    higher_is_better: bool


METRICS = {
    "accuracy": Metric("accuracy", "%", 100.0, True),
    "balanced_accuracy": Metric("balanced accuracy", "%", 100.0, True),
    "wer": Metric("word error rate", "%", 100.0, False),
    "cer": Metric("character error rate", "%", 100.0, False),
    "eer": Metric("equal error rate", "%", 100.0, False),
    "min_dcf": Metric("minimum detection cost", "", 1.0, False),
    "dwer": Metric("differential word error rate", "%", 100.0, False),
    "dnsmos": Metric("DNSMOS overall", "", 1.0, True),
    "utmos": Metric("UTMOS", "", 1.0, True),
    "distillmos": Metric("DistillMOS", "", 1.0, True),
    "speaker_similarity": Metric("speaker similarity", "", 1.0, True),
    "si_sdr": Metric("SI-SDR, aligned", "dB", 1.0, True),
    "si_sdr_improvement": Metric("SI-SDR improvement, aligned", "dB", 1.0, True),
    "mel_distance": Metric("mel distance", "", 1.0, False),
    "warped_mel_distance": Metric("mel distance, warped", "", 1.0, False),
    "stoi": Metric("STOI", "", 1.0, True),
    "bits_per_second": Metric("bits per second of audio", "bit/s", 1.0, False),
}
"""Every metric that results may hold, by name. Shares are stored as fractions and shown in percent."""

PAIR_METRICS = ("eer", "min_dcf")
"""Metrics of scored pairs."""


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Numerators and denominators of a ratio, such as errors and words, or the sum of a figure and items.

    Runs may have tested different groups: those that a run did not test have a denominator of 0.

    Attributes:
        groups: name of each group of test items, such as its speaker; G of them.
        above: numerators `[R, G, L]`, for R runs and L parts whose ratios are averaged (classes, for balanced
            accuracy; otherwise one).
        below: denominators `[R, G, L]`.

    Raises:
        ProbeError: shapes do not go together, a figure is not finite, a denominator is negative, or a run has none.

    Example:
        >>> Sums(("ann", "ben"), [[[3], [5]]], [[[4], [6]]]).values().tolist()
        [0.8]
    """

    groups: tuple[str, ...]
    above: Floats
    below: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        for name in ("above", "below"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        shape = self.above.shape
        if self.above.ndim != 3 or shape != self.below.shape or shape[1] != len(self.groups) or not self.above.size:
            raise ProbeError(
                f"sums {list(shape)} over {list(self.below.shape)} of {len(self.groups)} groups; give [R, G, L] each"
            )
        if len(set(self.groups)) < len(self.groups):
            raise ProbeError("two groups have the same name; name each once")
        if not (np.isfinite(self.above).all() and np.isfinite(self.below).all()) or (self.below < 0).any():
            raise ProbeError("sums are not finite, or a denominator is negative; count again")
        if not (self.below.sum(axis=1) > 0).any(axis=1).all():
            raise ProbeError("a run has no test items; leave it out")

    def values(self) -> Floats:
        """Return the score of each run `[R]`: the mean over parts of the ratio over all groups."""
        above, below = self.above.sum(axis=1), self.below.sum(axis=1)
        ratios = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
        values: Floats = np.nanmean(ratios, axis=1)
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Scored pairs of recordings: the trials of a verification task.

    Attributes:
        groups: name of each speaker; G of them.
        left: number of the speaker of the first recording of each pair `[P]`.
        right: likewise of the second `[P]`; equal to `left` where the speaker is the same.
        scores: higher where the pair is more alike, by each run `[R, P]`; NaN where a run did not score the pair.

    Raises:
        ProbeError: shapes do not go together, a speaker does not exist, or a run lacks pairs of either kind.

    Example:
        >>> pairs = Pairs(("ann", "ben"), [0, 0, 1], [0, 1, 1], [[0.9, 0.2, 0.8]])
        >>> pairs.same.tolist()
        [True, False, True]
    """

    groups: tuple[str, ...]
    left: Integers
    right: Integers
    scores: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        for name in ("left", "right"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.int64))
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float64))
        if self.left.ndim != 1 or self.left.shape != self.right.shape or self.scores.shape[1:] != self.left.shape:
            raise ProbeError(
                f"pairs {list(self.left.shape)} and {list(self.right.shape)} with scores {list(self.scores.shape)}; "
                "give [P], [P] and [R, P]"
            )
        numbers = np.concatenate([self.left, self.right])
        if not numbers.size or numbers.min() < 0 or numbers.max() >= len(self.groups):
            raise ProbeError(f"pairs name speakers that are none of the {len(self.groups)}; count them from 0")
        scored = ~np.isnan(self.scores)
        if not ((scored & self.same).any(axis=1) & (scored & ~self.same).any(axis=1)).all():
            raise ProbeError("a run lacks pairs of the same speaker or of different ones; score both kinds")

    @property
    def same(self) -> NDArray[np.bool_]:
        """Whether both recordings of a pair are of one speaker `[P]`."""
        return np.asarray(self.left == self.right)


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """One metric over several runs.

    Attributes:
        metric: a name in `METRICS`.
        seeds: of each run, R of them.
        evidence: what the scores follow from.

    Raises:
        ProbeError: the metric is unknown or does not go with the evidence, or there is not one seed for each run.

    Example:
        >>> right = Sums(("ann", "ben"), [[[3], [5]], [[4], [6]]], [[[4], [6]], [[4], [6]]])
        >>> measure = Measure("accuracy", (0, 1), right)
        >>> measure.values().tolist(), measure.mean
        ([0.8, 1.0], 0.9)
    """

    metric: str
    seeds: tuple[int, ...]
    evidence: Sums | Pairs

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(self.seeds))
        if self.metric not in METRICS:
            raise ProbeError(f"metric is {self.metric!r}; give one of {', '.join(METRICS)}")
        if (self.metric in PAIR_METRICS) != isinstance(self.evidence, Pairs):
            raise ProbeError(f"{self.metric} does not follow from {type(self.evidence).__name__}; give the other kind")
        runs = len(self.evidence.scores if isinstance(self.evidence, Pairs) else self.evidence.above)
        if runs != len(self.seeds):
            raise ProbeError(f"{runs} runs have {len(self.seeds)} seeds; give one for each")

    @property
    def about(self) -> Metric:
        """What the metric's name stands for."""
        return METRICS[self.metric]

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups of test items."""
        return self.evidence.groups

    def values(self) -> Floats:
        """Return the score of each run `[R]`, shares as fractions."""
        if isinstance(self.evidence, Sums):
            return self.evidence.values()
        from tokaudio.metrics import verification

        score: Any = getattr(verification, self.metric)
        pairs = self.evidence
        kept = ~np.isnan(pairs.scores)
        runs = zip(pairs.scores, kept, strict=True)
        return np.array([score(scores[known & pairs.same], scores[known & ~pairs.same]) for scores, known in runs])

    @property
    def mean(self) -> float:
        """The score over all runs."""
        return float(self.values().mean())

    def of_runs(self, places: Sequence[int]) -> Measure:
        """Return the same metric over some of the runs, by their places.

        Raises:
            ProbeError: there is no such run.

        Example:
            >>> measure = Measure("accuracy", (7, 8), Sums(("ann",), [[[3]], [[4]]], [[[4]], [[4]]]))
            >>> measure.of_runs([1]).seeds, measure.of_runs([1]).mean
            ((8,), 1.0)
        """
        if not all(0 <= place < len(self.seeds) for place in places):
            raise ProbeError(f"runs {list(places)} of {len(self.seeds)}; give places from 0")
        chosen = list(places)
        evidence = self.evidence
        if isinstance(evidence, Sums):
            kept: Sums | Pairs = Sums(evidence.groups, evidence.above[chosen], evidence.below[chosen])
        else:
            kept = Pairs(evidence.groups, evidence.left, evidence.right, evidence.scores[chosen])
        return Measure(self.metric, tuple(self.seeds[place] for place in chosen), kept)
