"""Small pictures of a report's page: what a code sounds like, and where codes lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add, sub
from typing import Any

SPECTRUM_WIDTH, SPECTRUM_HEIGHT = 120, 44
MAP_SIZE = 300
_MARGIN = 10


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Mean levels of a code as a line, and their spread around it as an area."""

    line: str
    area: str


@dataclass(frozen=True, slots=True)
class Place:
    """A frequent code on a map."""

    x: int
    y: int
    radius: float
    text: str


@dataclass(frozen=True, slots=True)
class DrawnMap:
    """Codes in a plane: all as dots of one path, and the frequent ones.

    Attributes:
        path: of all.
        frequent: the most frequent ones.
        caption: how the plane was found.
    """

    path: str
    frequent: tuple[Place, ...]
    caption: str


def spectra(books: Sequence[Sequence[Mapping[str, Any]]]) -> list[list[Spectrum]]:
    """Return mean levels of codes, from the lowest band on the left, and a standard deviation around; all of one scale.

    Example:
        >>> spectra([[{"levels": [-40.0, -40.0], "spread": [10.0, 10.0]}]])[0][0].line
        'M0 22 L120 22'
    """
    codes = [one for book in books for one in book if one["levels"]]
    low = min((min(map(sub, one["levels"], one["spread"])) for one in codes), default=0.0)
    high = max((max(map(add, one["levels"], one["spread"])) for one in codes), default=1.0)
    return [[_spectrum(one["levels"], one["spread"], low, high) for one in book] for book in books]


def drawn_map(found: Mapping[str, Any] | None, shares: Mapping[int, float]) -> DrawnMap | None:
    """Return a map of a codebook; None if there is none.

    Args:
        found: points, method and explained variance.
        shares: of frequent codes, in all frames.

    Example:
        >>> found = {"points": [[0.0, 0.0], [1.0, 1.0]], "method": "pca", "explained": [0.75, 0.25]}
        >>> drawn_map(found, {1: 0.5}).frequent[0].text
        'code 1: 50.0 % of frames'
    """
    if found is None:
        return None
    xs, ys = zip(*found["points"], strict=True)
    span = max(max(xs) - min(xs), max(ys) - min(ys)) or 1.0
    scale = (MAP_SIZE - 2 * _MARGIN) / span
    middle = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    at = [
        (round(MAP_SIZE / 2 + (x - middle[0]) * scale), round(MAP_SIZE / 2 - (y - middle[1]) * scale))
        for x, y in zip(xs, ys, strict=True)
    ]
    frequent = tuple(
        Place(*at[code], round(3 + 18 * share**0.5, 1), f"code {code}: {100 * share:.1f} % of frames")
        for code, share in shares.items()
    )
    explained = found["explained"]
    told = (
        found["method"].upper()
        if explained is None
        else f"{found['method'].upper()}, {100 * sum(explained):.0f} % of the variance"
    )
    return DrawnMap("".join(f"M{x} {y}h0" for x, y in dict.fromkeys(at)), frequent, told)


def _spectrum(levels: Sequence[float], spread: Sequence[float], low: float, high: float) -> Spectrum:
    upper = [level + wide for level, wide in zip(levels, spread, strict=True)]
    lower = [level - wide for level, wide in zip(levels, spread, strict=True)]
    step = SPECTRUM_WIDTH / max(1, len(levels) - 1)

    def points(values: Sequence[float], order: range) -> str:
        return " L".join(f"{number * step:.0f} {_height(values[number], low, high)}" for number in order)

    there = range(len(levels))
    area = f"M{points(upper, there)} L{points(lower, there[::-1])}Z" if levels else ""
    return Spectrum(f"M{points(levels, there)}" if levels else "", area)


def _height(level: float, low: float, high: float) -> int:
    return round(SPECTRUM_HEIGHT * (high - level) / (high - low)) if high > low else SPECTRUM_HEIGHT // 2
