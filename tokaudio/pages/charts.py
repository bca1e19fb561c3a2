"""Line charts as plain coordinates, which a page draws as SVG: colours, light and dark, are the page's affair.

chart = line_chart("Phones", ["MFCC", "0", "1"], {"k = 100": [0.2, 0.3, 0.5]}, apart=1)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 420.0, 250.0
"""Of a chart, in units of its own; on a phone one is a little less than a pixel."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 12.0, 12.0, 38.0
_MOST_LABELS = 13


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis: in the chart's units, and what is written there; empty where there is no room."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A value: where it is, and what it says when pointed at."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One series: dots, and the path through those that belong together."""

    name: str
    dots: tuple[Dot, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of shares over categories.

    Attributes:
        title: what it shows.
        across: the categories, from left to right.
        up: shares, from the bottom.
        lines: the series.
    """

    title: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    lines: tuple[Line, ...]

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, right, top and bottom of the plot."""
        return _LEFT, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM


def line_chart(
    title: str, categories: Sequence[str], series: Mapping[str, Sequence[float | None]], *, apart: int = 0
) -> Chart:
    """Lay out a chart of shares from 0 to 1.

    Args:
        title: what it shows.
        categories: of the horizontal axis.
        series: a share for each category, None where there is none, by name.
        apart: so many categories, from the left, are references: not joined to the others.

    Example:
        >>> chart = line_chart("Phones", ["0", "1"], {"k = 100": [0.21, 0.36]})
        >>> [tick.text for tick in chart.up]
        ['0 %', '10 %', '20 %', '30 %', '40 %']
    """
    top = max((value for values in series.values() for value in values if value is not None), default=0.0)
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if step == 0.25 or top <= 4 * step)
    highest = step * max(1, math.ceil(top / step - 1e-9))
    wide = (WIDTH - _LEFT - _RIGHT) / max(1, len(categories))
    xs = [_LEFT + wide * (number + 0.5) for number in range(len(categories))]

    def height(share: float) -> float:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share / highest, 1)

    lines = []
    for name, values in series.items():
        known = [
            (x, value, place) for place, (x, value) in enumerate(zip(xs, values, strict=True)) if value is not None
        ]
        dots = [
            Dot(round(x, 1), height(value), f"{name}, {categories[place]}: {100 * value:.1f} %")
            for x, value, place in known
        ]
        joined = [dot for dot, (_, _, place) in zip(dots, known, strict=True) if place >= apart]
        lines.append(Line(name, tuple(dots), "M" + " L".join(f"{dot.x} {dot.y}" for dot in joined) if joined else ""))
    every = math.ceil((len(categories) - apart) / _MOST_LABELS) or 1
    across = [
        Tick(round(x, 1), text if place < apart or (place - apart) % every == 0 else "")
        for place, (x, text) in enumerate(zip(xs, categories, strict=True))
    ]
    up = [Tick(height(step * n), f"{100 * step * n:.0f} %") for n in range(round(highest / step) + 1)]
    return Chart(title, tuple(across), tuple(up), tuple(lines))
