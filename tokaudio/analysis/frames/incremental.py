"""What each further codebook adds: information of the first k codebooks together, for every k.

    found = incremental_information(frames.codes, phones, frames.folds)
    found.bits[0], found.gains[1]

Codes of several codebooks are too many to be counted together. A model is fitted instead: the logarithm of how likely a
label is, is a sum of one number for each codebook's code, fitted codebook by codebook with those before it held (an
additive logistic model, fitted in stages: Friedman, Hastie and Tibshirani 2000, doi:10.1214/aos/1016218223). How much
better it foretells the labels of held-out frames than their frequencies do is a lower bound of the information
(Barber and Agakov 2003; with a family of models named: Xu et al., arXiv:2002.10689).

Intervals say what the model that was fitted tells of other recordings of the same kind: held-out groups of recordings
are left out one after the other. They say nothing of how another corpus would have fitted another model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers, integers
from tokaudio.analysis.statistics.ratios import RatioSums

Floats = NDArray[np.float64]
Ends = tuple[float, float] | None
"""Lower and upper end of an interval."""

MOST_LABELS = 200
"""Labels that the model is fitted for at most."""
FRAMES = 60_000
"""Frames that it is fitted and measured on at most: half to fit, a quarter to choose, a quarter to measure."""
# Frames of the model so far, per label, that each code is thought to have been seen with beside its own; the best of
# these is chosen on frames of their own. The last one means that the codebook is left out.
_PRIORS = (0.5, 4.0, 32.0, math.inf)
_STEPS = 4


@dataclass(frozen=True, slots=True)
class IncrementalInformation:
    """What the first codebooks say together about one attribute.

    Attributes:
        attribute: its name.
        entropy: bits that are to be known for each held-out frame, from how often labels were seen elsewhere.
        bits: of them, that the first 1, 2, ..., K codebooks tell; at least so many.
        frames: held-out frames that were measured.
        intervals: of the bits, at 95 %; None where held-out frames are of one group.
        gain_intervals: of the gains, likewise.
    """

    attribute: str
    entropy: float
    bits: tuple[float, ...]
    frames: int
    intervals: tuple[Ends, ...] = ()
    gain_intervals: tuple[Ends, ...] = ()

    @property
    def gains(self) -> tuple[float, ...]:
        """Bits that each codebook adds to those before it; below 0 by chance alone."""
        return tuple(float(gain) for gain in np.diff(self.bits, prepend=0.0))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self) | {
            "gains": list(self.gains),
            "shares": [bits / self.entropy for bits in self.bits],
            "share_intervals": [
                None if ends is None else [end / self.entropy for end in ends] for ends in self.intervals
            ],
        }


def incremental_information(
    codes: ArrayLike,
    labels: ArrayLike,
    folds: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    attribute: str = "label",
    seed: int = 0,
    most: int = FRAMES,
) -> IncrementalInformation | None:
    """Return what the first codebooks say together, for every number of them.

    Args:
        codes: integers `[K, N]`, -1 for none, which says nothing.
        labels: of the same frames `[N]`, -1 for none.
        folds: of the same frames `[N]`: fold 0 is measured, fold 1 chooses, the others are fitted to; labels that do
            not occur in these are left out.
        groups: of recordings, from 0 `[N]`, for intervals; None for none.
        attribute: name of what the labels are.
        seed: of the choice of frames, where there are more than are used.
        most: frames that are used.

    Returns:
        The information; None where a fold has no label, there is one label alone, or there are too many.

    Raises:
        AnalysisError: if shapes do not go together.

    Example:
        >>> labels = np.random.default_rng(0).integers(0, 4, 8000)
        >>> groups = np.arange(8000) // 400
        >>> found = incremental_information([labels % 2, labels // 2], labels, groups % 4, groups=groups)
        >>> [round(bits, 1) for bits in found.bits], [round(end, 1) for end in found.gain_intervals[1]]
        ([1.0, 2.0], [1.0, 1.0])
    """
    code, label, fold = (
        integers(part, name) for part, name in ((codes, "codes"), (labels, "labels"), (folds, "folds"))
    )
    group = np.zeros_like(fold) if groups is None else integers(groups, "groups")
    if code.ndim != 2 or not code.shape[1:] == label.shape == fold.shape == group.shape:
        shapes = f"{list(code.shape)}, {list(label.shape)}, {list(fold.shape)} and {list(group.shape)}"
        raise AnalysisError(f"codes, labels, folds and groups are {shapes}; give [K, N], and [N] of the others")
    # Of a label that the model could not learn, such as a speaker of one recording, nothing can be foretold.
    known = np.flatnonzero((label >= 0) & np.isin(label, label[fold > 1]))
    if len(known) > most:
        known = np.sort(np.random.default_rng(seed).choice(known, most, replace=False))
    names, label = np.unique(label[known], return_inverse=True)
    code, fold = code[:, known], fold[known]
    parts = [np.flatnonzero(chosen) for chosen in (fold > 1, fold == 1, fold == 0)]
    if not 1 < len(names) <= MOST_LABELS or not all(part.size for part in parts):
        return None
    # A label that was not seen where the model is fitted is not impossible.
    seen = np.bincount(label[parts[0]], minlength=len(names)) + 0.5
    model = _Model(np.log(seen / seen.sum()), [label[part] for part in parts])
    entropy = model.held_out()
    bits = []
    for row in code:
        model.take([row[part] for part in parts])
        bits.append(entropy - model.held_out())
    told = np.stack(bits)
    intervals = _intervals(np.concatenate([told, np.diff(told, axis=0, prepend=0.0)]), group[known][parts[2]])
    return IncrementalInformation(
        attribute,
        float(entropy.mean()),
        tuple(told.mean(axis=1).tolist()),
        len(parts[2]),
        intervals[: len(told)],
        intervals[len(told) :],
    )


def _intervals(told: Floats, groups: Integers) -> tuple[Ends, ...]:
    """Return an interval of the mean of each row `[F, n]`, from groups of frames `[n]`."""
    names, group = np.unique(groups, return_inverse=True)
    sums = RatioSums((len(told),), groups=max(2, len(names)))
    counts = np.bincount(group)
    for number, above in enumerate(np.stack([np.bincount(group, weights=row) for row in told], axis=1)):
        sums.add(above, counts[number])
    return tuple(one.interval for one in sums.estimates())


class _Model:
    """How likely every label is in every frame of three parts: to fit, to choose, to measure.

    Args:
        prior: logarithm of how likely each label is `[Y]`.
        labels: of each part `[n]`.
    """

    def __init__(self, prior: Floats, labels: Sequence[Integers]) -> None:
        self._labels = labels
        self._scores = [np.tile(prior, (len(part), 1)) for part in labels]

    def held_out(self) -> Floats:
        """Return the bits of each held-out frame that are not foretold `[n]`."""
        return _bits(self._scores[2], self._labels[2])

    def take(self, codes: Sequence[Integers]) -> None:
        """Fit one more codebook.

        Args:
            codes: of each part `[n]`, -1 for none.
        """
        # Codes count from 1, and none is 0, whose numbers stay 0.
        size = 2 + max(int(part.max()) for part in codes)
        best, found = math.inf, np.zeros((size, self._scores[0].shape[1]))
        for numbers in self._fits(codes[0] + 1, size):
            loss = float(_bits(self._scores[1] + numbers[codes[1] + 1], self._labels[1]).mean())
            if loss < best:
                best, found = loss, numbers
        self._scores = [scores + found[part + 1] for scores, part in zip(self._scores, codes, strict=True)]

    def _fits(self, codes: Integers, size: int) -> Iterator[Floats]:
        """Yield numbers of each code and label `[V, Y]`, by iterative scaling, for each strength of the prior."""
        scores, labels = self._scores[0], self._labels[0]
        count = scores.shape[1]
        seen = np.bincount(codes * count + labels, minlength=size * count).reshape(size, count)
        # Frames in order of their codes: sums over the frames of a code are sums over neighbours.
        order = np.argsort(codes, kind="stable")
        different, first = np.unique(codes[order], return_index=True)
        ordered, which = scores[order], np.repeat(np.arange(len(different)), np.diff([*first, len(codes)]))
        before = np.add.reduceat(_shares(ordered), first, axis=0)
        likely = before / before.sum(axis=1, keepdims=True)
        for strength in _PRIORS:
            numbers = np.zeros((len(different), count))
            told = before
            for step in range(_STEPS if strength < math.inf else 0):
                if step:
                    told = np.add.reduceat(_shares(ordered + numbers[which]), first, axis=0)
                extra = strength * count * likely
                numbers += np.log((seen[different] + extra) / (told + extra))
            every = np.zeros((size, count))
            every[different] = numbers
            every[0] = 0.0
            yield every


def _shares(scores: Floats) -> Floats:
    """Return the exponentials of scores `[n, Y]`, so that each row sums to 1."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _bits(scores: Floats, labels: Integers) -> Floats:
    """Return the negative logarithm, to base 2, of how likely each of the labels `[n]` was thought to be."""
    highest = scores.max(axis=1)
    sums = highest + np.log(np.exp(scores - highest[:, None]).sum(axis=1))
    bits: Floats = (sums - scores[np.arange(len(labels)), labels]) / math.log(2)
    return bits
