"""How much each codebook says about each attribute: information with its floor and interval, and variance explained.

    frames = sample.finish()
    found = associations(frames)
    found[0].codebook, found[0].attribute, found[0].score, found[0].interval

Values are put into bins of equal counts first, so that all attributes have one unit: bits, and the share of what there
is to know. Codes and labels last for some frames; floors keep neighbours together. Where chance alone would give much
of what there is to know, no estimate can be relied on, and there is no score.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tokaudio.analysis.frames.attributes import binned
from tokaudio.analysis.frames.observing import KINDS, LASTING, Column
from tokaudio.analysis.frames.sampling import SampledFrames
from tokaudio.analysis.statistics.contingency import AnalysisError, contingency
from tokaudio.analysis.statistics.information import Information, evaluate
from tokaudio.analysis.statistics.intervals import FEWEST_GROUPS, InformationInterval, information_interval
from tokaudio.analysis.statistics.variance import variance_explained

BINS = 16
"""Of values: as many levels as a frame's loudness or pitch is commonly told by."""
MOST_FLOOR = 0.3
"""Share of what there is to know that chance may give: above it, intervals no longer hold what they should
(`benchmarks/analysis.py --part audio`)."""
_LITTLE = 0.02
# Shares of what there is to know that nobody would call something.
_NEXT_TO_NOTHING = 1e-3


@dataclass(frozen=True, slots=True)
class Association:
    """What one codebook says about one attribute.

    Attributes:
        codebook: its number, from 0.
        attribute: such as `pitch`, `2 to 4 kHz energy` or `phone`.
        information: bits and shares, and the floor.
        interval: of the information and of its share; None where there are too few groups of frames, or too few frames
            to tell.
        variance: share of the variance of a value that the code explains on held-out frames; None for labels.
    """

    codebook: int
    attribute: str
    information: Information
    interval: InformationInterval | None
    variance: float | None

    @property
    def enough(self) -> bool:
        """Whether there was enough audio for a score: whether chance gives little of what there is to know."""
        return self.floor <= MOST_FLOOR

    @property
    def score(self) -> float:
        """The share of what there is to know that the codes tell, its bias taken off: 0 to 1, NaN if not `enough`."""
        if not self.enough:
            return math.nan
        return self.information.share if self.interval is None else self.interval.share.value

    @property
    def bits(self) -> float:
        """Information in bits: that of the interval, if there is one, or as counted; NaN if not `enough`."""
        if not self.enough:
            return math.nan
        return self.information.plain if self.interval is None else self.interval.information.value

    @property
    def floor(self) -> float:
        """The share that labels moved along at random have, after correction: what is left of the bias."""
        return max(0.0, self.information.floor) / self.information.entropy

    @property
    def beyond_chance(self) -> bool:
        """Whether the codes say anything that can be told from nothing.

        They do where the interval lies above 0, and would do so about the share that is adjusted by the floor as well.
        """
        share = self.information.share
        if not self.enough or share <= _NEXT_TO_NOTHING:
            return False
        one = None if self.interval is None else self.interval.share
        return one is None or (one.low > _NEXT_TO_NOTHING and share > one.value - one.low)

    @property
    def settled(self) -> bool | None:
        """Whether there was enough audio for the interval to mean what it says; None without one.

        As the interval says itself; or where its second correction is less than a fiftieth of all there is to know.
        """
        one = self.interval
        if one is None:
            return None
        return one.settled or (one.lonely == 0 and abs(one.correction) < _LITTLE * self.information.entropy)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "codebook": self.codebook,
            "attribute": self.attribute,
            "score": self.score,
            "enough": self.enough,
            "settled": self.settled,
            "floor": self.floor,
            "beyond_chance": self.beyond_chance,
            "variance_explained": self.variance,
            "information": asdict(self.information) | {"share": self.information.share},
            "interval": None if self.interval is None else self.interval.to_dict(),
        }


def labels_of(columns: Mapping[str, Column]) -> tuple[dict[str, Column], list[str]]:
    """Return integer labels `[N]` of every column that says anything, values in bins, and why others are left out.

    Example:
        >>> kept, notes = labels_of({"pitch": np.array([1.0, 2.0]), "speaker": np.array([0, 0])})
        >>> kept["pitch"].tolist(), notes
        ([0, 15], ['speaker: all frames have the same one.'])
    """
    kept: dict[str, Column] = {}
    notes: list[str] = []
    for name, values in columns.items():
        labels: Column = binned(values, bins=BINS) if values.dtype.kind == "f" else values
        different = len(np.unique(labels[labels >= 0]))
        if different > 1:
            kept[name] = labels
        else:
            notes.append(f"{name}: all frames have the same one." if different else f"{name}: no frame has one.")
    first = [name for name in kept if name not in KINDS]
    return {name: kept[name] for name in (*first, *(kind for kind in KINDS if kind in kept))}, notes


def associations(
    frames: SampledFrames,
    *,
    seed: int = 0,
    repeats: int = 3,
    advance: Callable[[int, int], None] | None = None,
) -> list[Association]:
    """Return what each codebook says about each attribute, codebook by codebook.

    Args:
        frames: with their columns.
        seed: of the floors.
        repeats: of each floor.
        advance: called with how many codebooks are done, and how many there are.

    Raises:
        AnalysisError: if nothing is known about any frame.

    Example:
        >>> from tokaudio.analysis.frames.sampling import FrameSample
        >>> sample = FrameSample()
        >>> for number in range(40):
        ...     codes = np.random.default_rng(number).integers(0, 4, (2, 100))
        ...     sample.add(codes, {"energy": codes[1] * 10.0})
        >>> [round(one.score, 2) for one in associations(sample.finish())]
        [0.0, 1.0]
    """
    labels, _ = labels_of(frames.columns)
    if not labels:
        raise AnalysisError("nothing is known about any frame; give audio or labels")
    found: list[Association] = []
    for number, codes in enumerate(frames.codes):
        for name, label in labels.items():
            labels_here = np.where(codes < 0, -1, label)
            one = _association((number, name), codes, labels_here, frames, seed=seed, repeats=repeats)
            if one is not None:
                found.append(one)
        if advance is not None:
            advance(number + 1, len(frames.codes))
    return found


def _association(
    place: tuple[int, str], codes: Column, labels: Column, frames: SampledFrames, *, seed: int, repeats: int
) -> Association | None:
    """Return one association; None if the frames that have this codebook all have the same label."""
    if len(np.unique(labels[labels >= 0])) < 2:
        return None
    number, name = place
    known = labels >= 0
    values = frames.columns[name]
    tables = [contingency(codes[own], labels[own]) for own in frames.slices if bool(known[own].any())]
    variance = None
    if values.dtype.kind == "f":
        variance = variance_explained(codes[known], values[known], frames.folds[known])
    found = Association(number, name, evaluate(codes, labels, seed=seed, repeats=repeats, runs=True), None, variance)
    if not found.enough or len(tables) < FEWEST_GROUPS:
        return found
    interval = information_interval(tables, seed=seed)
    if name in LASTING:
        interval = _at_most(interval, found.information.share)
    return dataclasses.replace(found, interval=interval)


def _at_most(interval: InformationInterval, most: float) -> InformationInterval:
    """Return an interval whose share is no more than what is left beyond the shuffled floor.

    For labels of whole recordings the floor is the larger correction; the interval then reaches down to the share.
    """
    share = interval.share
    lower = dataclasses.replace(share, value=min(share.value, most), low=min(share.low, most))
    return dataclasses.replace(interval, share=lower)
