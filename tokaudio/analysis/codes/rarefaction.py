"""How much of a codebook would have been seen in less audio, so that corpora of different lengths can be compared.

    found = rarefaction(times, size, stated=10_000)
    found.utilisation, found.curve

Utilisation grows with the audio that was seen: compare it at a stated number of codes. The expected number of different
codes among n that are drawn from all N without return is exact (Hurlbert 1971, Ecology 52:577):
`sum over codes c of 1 - C(N - n_c, n) / C(N, n)`. Codes that are drawn from everywhere differ more than n in a row.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers, integers

STATED = 10_000
"""Codes at which utilisation is compared: 200 s at 50 per second."""


@dataclass(frozen=True, slots=True)
class Rarefaction:
    """How the different codes of a codebook grow with the codes that are seen.

    Attributes:
        size: V, codes of the codebook.
        codes: N, codes that were seen.
        used: different ones.
        curve: pairs of a number of codes and of how many different ones are expected among them; the last is (N, used).
        stated: the number of codes at which utilisation is compared.
        at_stated: different codes expected among so many; None if fewer were seen.
        expected_total: different codes that any amount of such audio would have, at least (Chao 1984); V at most.
    """

    size: int
    codes: int
    used: int
    curve: tuple[tuple[int, float], ...]
    stated: int
    at_stated: float | None
    expected_total: float

    @property
    def utilisation(self) -> float | None:
        """Share of the codebook expected among `stated` codes; None if fewer were seen."""
        return None if self.at_stated is None else self.at_stated / self.size

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self) | {"curve": [list(pair) for pair in self.curve], "utilisation": self.utilisation}


def expected_codes(times: ArrayLike, drawn: ArrayLike) -> NDArray[np.float64]:
    """Return how many different codes are expected among some that are drawn (Hurlbert 1971).

    Args:
        times: how often each code was seen `[U]`.
        drawn: numbers of codes `[n]`, from 0 to as many as were seen.

    Raises:
        AnalysisError: if a count is negative, all are 0, or more are to be drawn than were seen.

    Example:
        >>> expected_codes([2, 2], [1, 2, 4]).round(4).tolist()
        [1.0, 1.6667, 2.0]
    """
    from scipy.special import gammaln

    seen, numbers = _checked(times), np.asarray(drawn, dtype=np.float64)
    total = int(seen.sum())
    if numbers.size and not 0 <= numbers.min() <= numbers.max() <= total:
        raise AnalysisError(f"{numbers.min():g} to {numbers.max():g} codes to draw of {total}; give 0 to {total}")
    # Codes that were seen equally often have one chance to be missed.
    often, many = np.unique(seen, return_counts=True)
    left = (total - often)[:, None] - numbers
    missed = gammaln(total - often + 1)[:, None] - gammaln(np.maximum(left, 0) + 1)
    missed += gammaln(total - numbers + 1) - gammaln(total + 1.0)
    # A difference of large logarithms may come out a little above 0.
    chance = np.where(left >= 0, np.exp(np.minimum(missed, 0.0)), 0.0)
    expected: NDArray[np.float64] = many @ (1 - chance)
    return expected


def chao1(times: ArrayLike) -> float:
    """Return the lower bound of how many different codes there are, seen or not (Chao 1984, Scand. J. Stat. 11:265).

    From the codes that were seen once, f1, and twice, f2: `U + f1 (f1 - 1) / (2 (f2 + 1))`, its bias taken off.

    Raises:
        AnalysisError: if a count is negative, or all are 0.

    Example:
        >>> chao1([1, 1, 1, 2, 9])
        6.5
    """
    seen = _checked(times)
    once, twice = int((seen == 1).sum()), int((seen == 2).sum())
    return seen.size + once * (once - 1) / (2 * (twice + 1))


def rarefaction(times: ArrayLike, size: int, *, stated: int = STATED, points: int = 24) -> Rarefaction:
    """Return how the different codes of a codebook grow with the codes that are seen.

    Args:
        times: how often each code was seen `[U]`; zeros change nothing.
        size: V, codes of the codebook.
        stated: number of codes at which utilisation is compared.
        points: of the curve, evenly spread over the logarithm of the number of codes.

    Raises:
        AnalysisError: if a count is negative, all are 0, more differ than there are, or `stated` is not positive.

    Example:
        >>> found = rarefaction([5_000, 5_000, 1], 1024, stated=100)
        >>> round(found.at_stated, 2), found.curve[-1]
        (2.01, (10001, 3.0))
    """
    seen = _checked(times)
    if seen.size > size or stated < 1:
        raise AnalysisError(f"{seen.size} different codes of {size}, {stated} stated; give at most {size}, at least 1")
    total = int(seen.sum())
    numbers = np.unique(np.geomspace(1, total, max(2, points)).round().astype(np.int64))
    asked = np.append(numbers, min(stated, total))
    expected = expected_codes(seen, asked).tolist()
    return Rarefaction(
        size,
        total,
        int(seen.size),
        tuple(zip(numbers.tolist(), expected[:-1], strict=True)),
        stated,
        expected[-1] if stated <= total else None,
        min(float(size), chao1(seen)),
    )


def _checked(times: ArrayLike) -> Integers:
    seen = integers(times, "counts").ravel()
    if not seen.size or seen.min() < 0 or not seen.any():
        raise AnalysisError("counts are negative or all 0; give how often each code was seen")
    return seen[seen > 0]
