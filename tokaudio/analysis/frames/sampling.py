"""A bounded random sample of frames with all that is known about each, drawn from a stream of recordings.

    sample = FrameSample(400_000)
    for codes, columns in recordings:
        sample.add(codes, columns)  # codes [K, T], columns [T]
    frames = sample.finish()
    frames.codes[3], frames.columns["pitch"], frames.groups

Information needs codes and labels of the same frames, in bins that are known only when all were seen, and in an order
that can be shuffled. A sample of fixed size allows all of this in memory that does not grow with hours. Every frame is
as likely to be in it as any other: it has those with the smallest of as many random numbers (bottom-k sampling).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers, integers

LIMIT = 400_000
"""Frames of a sample: 2 h and 13 min at 50 per second."""
GROUPS = 20
"""Of frames, for intervals and for holding out."""
FOLDS = 4
"""One group in so many is held out at a time."""
_CHUNKS = 256

Column = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class SampledFrames:
    """Frames in order of their groups; those of a recording are together, in order of time.

    Attributes:
        codes: int32 `[K, N]`, -1 for none.
        columns: of each frame `[N]`: int32 labels, -1 for none, or float32 values, NaN for none.
        groups: of recordings, or of stretches of time where recordings are few, from 0 `[N]`.
        recordings: that frames were seen of.
        seen: frames in all.
        by_recording: whether groups are of whole recordings.
    """

    codes: Column
    columns: Mapping[str, Column]
    groups: Integers
    recordings: int
    seen: int
    by_recording: bool

    @property
    def slices(self) -> list[slice]:
        """Where each group lies."""
        edges = np.flatnonzero(np.diff(self.groups, prepend=-1, append=-1)).tolist()
        return [slice(*pair) for pair in pairwise(edges)]

    @property
    def folds(self) -> Integers:
        """Of each frame `[N]`, from 0: groups are dealt out to `FOLDS` folds."""
        return self.groups % FOLDS


class FrameSample:
    """Draws frames from recordings that come one after the other.

    Args:
        limit: frames that are kept at most; all of them, while there are no more.
        seed: of the draw, and of the order of recordings.

    Raises:
        AnalysisError: if `limit` is not positive.

    Example:
        >>> sample = FrameSample(100)
        >>> for _ in range(30):
        ...     sample.add(np.zeros((2, 50), dtype=np.int64), {"pitch": np.zeros(50)})
        >>> frames = sample.finish()
        >>> frames.codes.shape, frames.seen, frames.columns["pitch"].dtype
        ((2, 100), 1500, dtype('float32'))
    """

    def __init__(self, limit: int = LIMIT, *, seed: int = 0) -> None:
        if limit < 1:
            raise AnalysisError(f"limit is {limit}; give at least 1")
        self._limit, self._random = limit, np.random.default_rng(seed)
        self._chunks: list[dict[str, Column]] = []
        self._codebooks: int | None = None
        self._threshold, self._held = 1.0, 0
        self.seen = self.recordings = 0

    def add(self, codes: ArrayLike | Tensor, columns: Mapping[str, ArrayLike]) -> None:
        """Take the frames of one recording.

        Args:
            codes: integers `[K, T]`, -1 where a frame does not have a codebook.
            columns: labels (integers, negative for none) or values (floating point, NaN for none) `[T]`, by name.

        Raises:
            AnalysisError: if shapes do not go together, or a code is below -1 or not below 2**31.
        """
        rows = integers(codes, "codes")
        if rows.ndim != 2 or self._codebooks not in (None, len(rows)):
            wanted = "[K, T]" if self._codebooks is None else f"[{self._codebooks}, T]"
            raise AnalysisError(f"codes are {list(rows.shape)}; give {wanted}")
        if rows.size and not -1 <= rows.min() <= rows.max() < 2**31:
            raise AnalysisError(f"codes are {rows.min()} to {rows.max()}; give codes from 0, below 2**31")
        count = rows.shape[1]
        keys = self._random.random((count,))
        kept = np.asarray(keys <= self._threshold)
        chunk: dict[str, Column] = {
            "key": keys[kept],
            "recording": np.full(int(kept.sum()), self.recordings, dtype=np.int32),
            "codes": rows[:, kept].astype(np.int32).T,
        }
        for name, values in columns.items():
            array = np.asarray(values)
            if array.shape != (count,):
                raise AnalysisError(f"{name} is {list(array.shape)} for {count} frames; give one for each")
            chunk[f"column {name}"] = array[kept].astype(np.float32 if array.dtype.kind == "f" else np.int32)
        self._codebooks = len(rows)
        self.seen += count
        self.recordings += bool(count)
        self._chunks.append(chunk)
        self._held += len(chunk["key"])
        if self._held >= 2 * self._limit or len(self._chunks) >= _CHUNKS:
            self._shrink()

    def finish(self) -> SampledFrames:
        """Return the sample; more may be added afterwards.

        Raises:
            AnalysisError: if there is no frame.
        """
        if not self.seen:
            raise AnalysisError("there is no frame; give audio or tokens")
        self._shrink()
        chunk = self._chunks[0]
        groups, rank = self._groups(chunk["recording"])
        order = np.lexsort((rank, groups))
        return SampledFrames(
            np.ascontiguousarray(chunk["codes"][order].T),
            {name[7:]: values[order] for name, values in chunk.items() if name.startswith("column ")},
            groups[order],
            self.recordings,
            self.seen,
            self._dealt,
        )

    @property
    def _dealt(self) -> bool:
        return self.recordings >= GROUPS

    def _groups(self, recording: Column) -> tuple[Integers, Integers]:
        """Return the group of each frame, and the place of its recording in random order."""
        counts = np.bincount(recording, minlength=self.recordings)
        order = np.random.default_rng(0).permutation(self.recordings)
        rank = np.empty_like(order)
        rank[order] = np.arange(self.recordings)
        if not self._dealt:
            # Frames lie in the order in which they were seen.
            return np.arange(len(recording)) * GROUPS // len(recording), rank[recording]
        group, full = np.empty_like(order), np.zeros(GROUPS, dtype=np.int64)
        for one in order:
            group[one] = full.argmin()
            full[group[one]] += counts[one]
        return group[recording], rank[recording]

    def _shrink(self) -> None:
        """Make one chunk of all, of as many frames as are kept, in the order in which they were seen."""
        chunks = [chunk for chunk in self._chunks if len(chunk["key"])] or self._chunks[:1]
        names = dict.fromkeys(name for chunk in chunks for name in chunk)
        joined = {name: np.concatenate([_column(chunk, name, chunks) for chunk in chunks]) for name in names}
        if len(joined["key"]) > self._limit:
            self._threshold = float(np.partition(joined["key"], self._limit - 1)[self._limit - 1])
            kept = joined["key"] <= self._threshold
            joined = {name: values[kept] for name, values in joined.items()}
        self._chunks, self._held = [joined], len(joined["key"])


def _column(chunk: Mapping[str, Column], name: str, chunks: list[dict[str, Column]]) -> Column:
    """Return a column of a chunk; where it has none, as for recordings without labels, what stands for nothing."""
    if name in chunk:
        return chunk[name]
    dtype = next(other[name].dtype for other in chunks if name in other)
    return np.full(len(chunk["key"]), np.nan if dtype.kind == "f" else -1, dtype=dtype)
