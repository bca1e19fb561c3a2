"""Whether codes are distributed as words are: the laws of Zipf and Heaps, fitted.

    zipf(times).exponent       # f(r) proportional to r**-exponent, over the codes by rank
    growth.add(codes), growth.finish()[0].exponent  # different codes V(n) = factor * n**exponent

Words have exponents near 1 (Zipf) and 0.5 to 0.8 (Heaps). A codebook is finite and usually trained to be used evenly:
its Zipf exponent is small, and its growth bends towards 0 as soon as most codes were seen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from tokaudio.analysis.codes.code_streams import at_own_rate, checked
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers, integers
from tokaudio.spec import TokenizerSpec

_HALVINGS = 60
_STEEPEST = 64.0


@dataclass(frozen=True, slots=True)
class Zipf:
    """Frequencies of codes by rank as a power law.

    Attributes:
        exponent: of `f(r) ~ r**-exponent`, r = 1 the most frequent; 0 for equally frequent codes.
        distance: greatest difference of the cumulated shares by rank, fitted and seen (Kolmogorov and Smirnov).
    """

    exponent: float
    distance: float

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Heaps:
    """Growth of the number of different codes as a power law.

    Attributes:
        exponent: of `V(n) = factor * n**exponent`.
        factor: of it.
        fit: share of the variance of log V(n) that the law explains (R**2).
        curve: pairs of codes and of how many different ones they were, as they came.
    """

    exponent: float
    factor: float
    fit: float
    curve: tuple[tuple[int, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self) | {"curve": [list(pair) for pair in self.curve]}


@dataclass(frozen=True, slots=True)
class PowerLaws:
    """Both laws for each codebook; None where fewer than two codes were seen.

    Attributes:
        zipf: of each codebook.
        heaps: of each codebook.
    """

    zipf: tuple[Zipf | None, ...]
    heaps: tuple[Heaps | None, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        sides = {"zipf": self.zipf, "heaps": self.heaps}
        return {name: [one and one.to_dict() for one in side] for name, side in sides.items()}


def zipf(times: ArrayLike) -> Zipf | None:
    """Return the power law of the frequencies that was most likely to give them (Clauset et al., arXiv:0706.1062, 2).

    Of the ranks 1 to U of the codes that were seen, the law whose mean log rank is that of the codes.

    Args:
        times: how often each code was seen; zeros change nothing.

    Returns:
        The law, None if fewer than two codes were seen.

    Raises:
        AnalysisError: if a count is negative, or no integer.

    Example:
        >>> round(zipf([6000, 3000, 2000, 1500, 1200, 1000]).exponent, 3)
        1.0
    """
    seen = integers(times, "counts").ravel()
    if seen.size and seen.min() < 0:
        raise AnalysisError(f"a count is {seen.min()}; counts are 0 or more")
    seen = np.sort(seen[seen > 0])[::-1]
    if seen.size < 2:
        return None
    logs, shares = np.log(np.arange(1, seen.size + 1)), seen / seen.sum()
    wanted, low, high = float(shares @ logs), 0.0, _STEEPEST
    # The mean log rank falls as the law grows steeper.
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        weights = np.exp(-middle * logs)
        low, high = (middle, high) if weights @ logs / weights.sum() > wanted else (low, middle)
    weights = np.exp(-low * logs)
    distance = np.abs(np.cumsum(weights / weights.sum()) - np.cumsum(shares)).max()
    return Zipf(low, float(distance))


class HeapsCounter:
    """Notes when each code is seen for the first time, recording by recording.

    Args:
        spec: of the tokenizer.
        points: numbers of codes that laws are fitted at, at most.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> counter = HeapsCounter(TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(1024),)))
        >>> counter.add([range(900)])
        >>> (law,) = counter.finish()
        >>> round(law.exponent, 3), round(law.factor, 3)
        (1.0, 1.0)
    """

    def __init__(self, spec: TokenizerSpec, *, points: int = 50) -> None:
        self._spec, self._points = spec, points
        self._known = [np.zeros(0, dtype=np.int64) for _ in spec.codebooks]
        self._first: list[list[Integers]] = [[] for _ in spec.codebooks]
        self._codes = [0] * spec.num_codebooks

    def add(self, codes: ArrayLike | Tensor) -> None:
        """Take the codes `[K, T]` of one recording, -1 where a frame does not have a codebook.

        Raises:
            AnalysisError: if they cannot be codes of this tokenizer.
        """
        rows = checked(codes, self._spec)
        for codebook, known in enumerate(self._known):
            row = at_own_rate(rows, self._spec, codebook)
            new = row if len(known) < self._spec.codebook_sizes[codebook] else row[:0]
            if new.size:
                found, first = np.unique(new, return_index=True)
                place = np.searchsorted(known, found)
                fresh = place == known.size
                fresh[~fresh] = known[place[~fresh]] != found[~fresh]
                self._known[codebook] = np.insert(known, place[fresh], found[fresh])
                self._first[codebook].append(self._codes[codebook] + first[fresh])
            self._codes[codebook] += row.size

    def finish(self) -> tuple[Heaps | None, ...]:
        """Return the law of each codebook, None where fewer than two codes were seen; more may be added afterwards."""
        return tuple(
            _heaps(np.sort(np.concatenate(first)), codes, self._points) if codes > 1 else None
            for first, codes in zip(self._first, self._codes, strict=True)
        )


def _heaps(first: Integers, codes: int, points: int) -> Heaps:
    """Return the line of least squares through log V(n), at numbers of codes evenly spread over their logarithm."""
    numbers = np.unique(np.geomspace(1, codes, points).round().astype(np.int64))
    different = np.searchsorted(first, numbers, side="left")
    across, up = np.log(numbers), np.log(different)
    slope, start = np.polyfit(across, up, 1)
    spread = float(((up - up.mean()) ** 2).sum())
    left = float(((up - slope * across - start) ** 2).sum())
    fit = 1 - left / spread if spread > 0 else 1.0
    return Heaps(float(slope), float(np.exp(start)), fit, tuple(zip(numbers.tolist(), different.tolist(), strict=True)))
