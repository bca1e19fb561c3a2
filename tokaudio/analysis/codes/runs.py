"""How codes last: runs of equal ones, what deduplication saves, and how much a code tells about the next.

counter = RunCounter(spec)
for codes in recordings:
    counter.add(codes)
runs = counter.finish()
runs.codebooks[0].mean, runs.together.dedup_ratio
temporal_redundancy(pieces)[0].share
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from tokaudio.analysis.codes.code_streams import at_own_rate, checked
from tokaudio.analysis.codes.pieces import Pieces
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.analysis.statistics.information import Information, evaluate
from tokaudio.spec import TokenizerSpec

# Longer runs are counted with those of this length; their sum and the longest are exact all the same.
_LONGEST = 1_024
_SHOWN = 16


@dataclass(frozen=True, slots=True)
class RunLengths:
    """How long codes stay the same.

    Attributes:
        codes: N, codes or frames.
        runs: of equal ones, each within a recording.
        median: length of a run.
        longest: run.
        lengths: runs of 1, 2 and so on codes; the last counts all that are longer as well.
    """

    codes: int
    runs: int
    median: float
    longest: int
    lengths: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Length of a run; 0 where there are none."""
        return self.codes / self.runs if self.runs else 0.0

    @property
    def dedup_ratio(self) -> float:
        """Share of the codes that is left when each run becomes one; 1 where there are none."""
        return self.runs / self.codes if self.codes else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self) | {"lengths": list(self.lengths), "mean": self.mean, "dedup_ratio": self.dedup_ratio}


@dataclass(frozen=True, slots=True)
class Runs:
    """Run lengths of each codebook, and of all together.

    Attributes:
        codebooks: each by itself, a slow one's in its own codes.
        together: runs of frames in which no codebook changes, as `Tokens.dedup()` joins them.
    """

    codebooks: tuple[RunLengths, ...]
    together: RunLengths

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {"codebooks": [one.to_dict() for one in self.codebooks], "together": self.together.to_dict()}


class _Lengths:
    def __init__(self) -> None:
        self.counts = np.zeros(_LONGEST + 1, dtype=np.int64)
        self.longest = self.codes = 0

    def add(self, begins: Integers, codes: int) -> None:
        """Take the places where runs begin `[R]`, the first one 0, among so many codes."""
        if not codes:
            return
        lengths = np.diff(begins, append=codes)
        self.counts += np.bincount(np.minimum(lengths, _LONGEST), minlength=_LONGEST + 1)
        self.longest = max(self.longest, int(lengths.max()))
        self.codes += codes

    def finish(self) -> RunLengths:
        runs = int(self.counts.sum())
        middle = np.searchsorted(np.cumsum(self.counts), [(runs + 1) // 2, runs // 2 + 1]).mean() if runs else 0.0
        shown = [*self.counts[1:_SHOWN].tolist(), int(self.counts[_SHOWN:].sum())]
        return RunLengths(self.codes, runs, float(middle), self.longest, tuple(shown))


class RunCounter:
    """Counts runs, recording by recording.

    Args:
        spec: of the tokenizer.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> counter = RunCounter(TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),)))
        >>> counter.add([[5, 5, 5, 2, 2, 5]])
        >>> found = counter.finish().codebooks[0]
        >>> found.mean, found.dedup_ratio, found.lengths[:3]
        (2.0, 0.5, (1, 1, 1))
    """

    def __init__(self, spec: TokenizerSpec) -> None:
        self._spec = spec
        self._codebooks = [_Lengths() for _ in spec.codebooks]
        self._together = _Lengths()

    def add(self, codes: ArrayLike | Tensor) -> None:
        """Take the codes `[K, T]` of one recording, -1 where a frame does not have a codebook.

        Raises:
            AnalysisError: if they cannot be codes of this tokenizer.
        """
        rows = checked(codes, self._spec)
        if not rows.shape[1]:
            return
        changes = rows[:, 1:] != rows[:, :-1]
        self._together.add(_begins(changes.any(axis=0)), rows.shape[1])
        for codebook, lengths in enumerate(self._codebooks):
            row = at_own_rate(rows, self._spec, codebook)
            own = changes[codebook] if row.size == rows.shape[1] else row[1:] != row[:-1]
            lengths.add(_begins(own), row.size)

    def finish(self) -> Runs:
        """Return all figures; more recordings may be added afterwards.

        Raises:
            AnalysisError: if there was no frame.
        """
        if not self._together.codes:
            raise AnalysisError("there is no frame; give audio or tokens")
        return Runs(tuple(one.finish() for one in self._codebooks), self._together.finish())


def temporal_redundancy(pieces: Pieces, *, seed: int = 0, repeats: int = 3) -> tuple[Information | None, ...]:
    """Return what each code tells about the next one: `H(q_t) - H(q_t | q_t-1)`, which is `I(q_t; q_t-1)`.

    Counted pairs tell too much, the more so the larger the codebook; `share` is adjusted for chance, and what a model
    gains from the code before, on recordings that it was not trained on, is in predictability.py.

    Args:
        pieces: stretches of recordings, of which all are used.
        seed: of the floor.
        repeats: of the floor.

    Returns:
        Of each codebook; None where the same code always follows.

    Example:
        >>> from tokaudio.analysis.codes.pieces import PieceSample
        >>> from tokaudio.spec import CodebookSpec
        >>> sample = PieceSample(TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),)))
        >>> sample.add([[0, 1, 2, 3] * 200])
        >>> (found,) = temporal_redundancy(sample.finish())
        >>> round(found.entropy, 2), round(found.share, 2)
        (2.0, 1.0)
    """
    found: list[Information | None] = []
    for codebook in range(pieces.spec.num_codebooks):
        rows = [*pieces.learned(codebook), *pieces.held_out(codebook)]
        before = np.concatenate([row[:-1] for row in rows] or [np.zeros(0, dtype=np.int64)])
        after = np.concatenate([row[1:] for row in rows] or [before])
        known = after.size > 0 and bool((after != after[0]).any())
        found.append(evaluate(before, after, seed=seed, repeats=repeats) if known else None)
    return tuple(found)


def _begins(changes: ArrayLike) -> Integers:
    """Return where runs begin, of whether each code but the first differs from the one before it."""
    return np.concatenate([[0], np.flatnonzero(changes) + 1])
