"""Which frames of two codings of one sound belong together, and in how many frames and runs their codes differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.spec import TokenizerSpec


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How two codings of one sound differ, by codebook `[K]`.

    Attributes:
        edits: insertions, deletions and substitutions from the runs of the one to those of the other.
        runs: of the one.
        equal: frames with the same code.
        frames: that have one.
        expected: equal frames that are expected if frames are put in random order.
    """

    edits: Integers
    runs: Integers
    equal: Integers
    frames: Integers
    expected: NDArray[np.float64]


def frames_of(spec: TokenizerSpec, count: int, *, start: int = 0, speed: float = 1.0) -> Integers:
    """Return the frame of a sound in which each frame of a changed sound lies; below 0 before the first.

    Args:
        spec: of the tokenizer.
        count: frames T' of the changed sound.
        start: sample of the sound at which the changed one begins.
        speed: samples of the sound per sample of the changed one.

    Returns:
        Frames `[T']`, whose centres lie closest if the speed is 1, else in which the centres lie.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> frames_of(spec, 3, start=640), frames_of(spec, 3, speed=2.0)
        (array([2, 3, 4]), array([1, 3, 5]))
    """
    numbers = np.arange(count, dtype=np.int64)
    segments, hop = spec.segments, spec.hop_length
    if speed == 1.0:
        # Frames of segments that overlap lie at the same time: here whole segments are counted, not times.
        stride, frames = (hop, 1) if segments is None else (segments.stride, segments.frames)
        whole, rest = divmod(start, stride)
        return numbers + whole * frames + int(np.floor(rest / hop + 0.5))
    begins = numbers * hop if segments is None else numbers // segments.frames * segments.stride
    if segments is not None:
        begins = begins + numbers % segments.frames * hop
    samples = np.floor((begins + hop / 2) * speed + start).astype(np.int64)
    if segments is None:
        return samples // hop
    return samples // segments.stride * segments.frames + samples % segments.stride // hop


def compare(original: ArrayLike, changed: ArrayLike, frames: ArrayLike) -> Counts:
    """Count how codes differ that should be the same.

    Runs are compared with those of the stretch of the original that the changed frames cover.

    Args:
        original: codes `[K, T]`; -1 where there is none.
        changed: codes `[K, T']`; -1 where there is none.
        frames: of the original, to which those of `changed` belong `[T']`, never descending.

    Raises:
        AnalysisError: if shapes do not fit together, or there is no such frame.

    Example:
        >>> found = compare([[5, 5, 7, 7]], [[5, 7, 7, 7]], [0, 1, 2, 3])
        >>> found.edits, found.runs, found.equal, found.expected
        (array([0]), array([2]), array([3]), array([2.]))
    """
    before, after, index = (np.asarray(part, dtype=np.int64) for part in (original, changed, frames))
    if before.ndim != 2 or after.shape != (len(before), len(index)):
        shapes = f"{list(before.shape)}, {list(after.shape)} and {list(index.shape)}"
        raise AnalysisError(f"codes and frames are {shapes}; give [K, T], [K, T'] and [T']")
    if len(index) and not 0 <= index.min() <= index.max() < before.shape[1]:
        raise AnalysisError(f"frames {index.min()} to {index.max()} of {before.shape[1]}; give frames that exist")
    stretch = before[:, index[0] : index[-1] + 1] if len(index) else before[:, :0]
    old = before[:, index]
    units = [(runs(one), runs(two)) for one, two in zip(stretch, after, strict=True)]
    return Counts(
        edits=np.array([edit_distance(one, two) for one, two in units], dtype=np.int64),
        runs=np.array([len(one) for one, _ in units], dtype=np.int64),
        equal=((old == after) & (old >= 0)).sum(1),
        frames=(old >= 0).sum(1),
        expected=np.array([_expected(one, two) for one, two in zip(old, after, strict=True)]),
    )


def runs(codes: Integers) -> Integers:
    """Return codes `[T]` with each run of equal ones once, without negative ones.

    Example:
        >>> runs(np.array([5, 5, -1, 5, 2]))
        array([5, 2])
    """
    there = codes[codes >= 0]
    return there[np.concatenate([[True], there[1:] != there[:-1]])] if len(there) else there


def edit_distance(one: ArrayLike, other: ArrayLike) -> int:
    """Return how many insertions, deletions and substitutions turn one sequence into another.

    Levenshtein's distance by rows (R. A. Wagner and M. J. Fischer, doi:10.1145/321796.321811). Within a row, a cell is
    the least of what came from above plus the insertions since: a running minimum, once the column is subtracted.

    Args:
        one: integers `[N]`.
        other: integers `[M]`.

    Example:
        >>> edit_distance([1, 2, 3], [2, 3, 4])
        2
    """
    rows, columns = np.asarray(one, dtype=np.int64), np.asarray(other, dtype=np.int64)
    steps = np.arange(len(columns) + 1)
    best = steps.copy()
    for number, unit in enumerate(rows, start=1):
        fresh = np.empty_like(best)
        fresh[0] = number
        np.minimum(best[1:] + 1, best[:-1] + (columns != unit), out=fresh[1:])
        best = np.minimum.accumulate(fresh - steps) + steps
    return int(best[-1])


def _expected(one: Integers, other: Integers) -> float:
    """Return how many places of two sequences are equal on average, if one is put in random order."""
    if not len(one):
        return 0.0
    codes, first = np.unique(one, return_counts=True)
    others, second = np.unique(other, return_counts=True)
    shared, here, there = np.intersect1d(codes, others, assume_unique=True, return_indices=True)
    common = first[here] * second[there]
    return float(common[shared >= 0].sum() / len(one))
