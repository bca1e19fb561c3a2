"""Bar charts with intervals and marks, as plain coordinates that a page draws as SVG.

bar_chart("Keywords", [Bar("mini-codec", 0.8, (0.75, 0.84), {"log-mel": 0.6}, "80.0 %")])
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tokaudio.pages.charts import Tick
from tokaudio.pages.curves import short

WIDTH, ROW, _BAR = 420.0, 38.0, 11.0
_LEFT, _RIGHT, _FOOT = 16.0, 22.0, 24.0
_STEPS = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """A score to be drawn.

    Attributes:
        name: whose it is.
        value: how long the bar is.
        interval: ends of the line across its end; None for none.
        marks: other values on the same scale, by what they are.
        text: what is written beside the name.
        colour: number of the series' colour.
        tip: what it says when pointed at.
    """

    name: str
    value: float
    interval: tuple[float, float] | None = None
    marks: Mapping[str, float] = field(default_factory=dict)
    text: str = ""
    colour: int = 1
    tip: str = ""


@dataclass(frozen=True, slots=True)
class DrawnBar:
    """A bar where it is drawn: from `x0` to `x1` at height `y`, with whisker ends and marks in units of the chart."""

    name: str
    text: str
    tip: str
    colour: int
    y: float
    x0: float
    x1: float
    whisker: tuple[float, float] | None
    marks: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars beneath each other.

    Attributes:
        title: what they show.
        height: of the chart, in its own units.
        across: ticks of the axis.
        bars: in the order given.
    """

    title: str
    height: float
    across: tuple[Tick, ...]
    bars: tuple[DrawnBar, ...]

    @property
    def bar(self) -> float:
        """How thick a bar is."""
        return _BAR


def bar_chart(title: str, bars: Sequence[Bar], *, scale: float = 1.0, unit: str = "") -> BarChart:
    """Lay out bars from 0, or from the lowest value where that is less, to the highest end of all.

    Args:
        title: what they show.
        bars: at least one.
        scale: by which values are multiplied for the axis.
        unit: written after the figures of the axis.

    Example:
        >>> chart = bar_chart("Keywords", [Bar("a", 0.8, (0.7, 0.9)), Bar("b", 0.4)], scale=100, unit="%")
        >>> [tick.text for tick in chart.across][:2], chart.bars[1].x1 - chart.bars[1].x0
        (['0 %', '20 %'], 152.8)
    """
    ends = [end for one in bars for end in (one.value, *(one.interval or ()), *one.marks.values())]
    low, high = min(0.0, *ends), max(0.0, *ends)
    high = high if high > low else 1 / scale
    step = _step((high - low) * scale) / scale
    low, high = step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9)

    def right(value: float) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (value - low) / (high - low), 1)

    drawn = []
    for number, one in enumerate(bars):
        x0, x1 = sorted((right(0.0), right(one.value)))
        whisker = None if one.interval is None else (right(one.interval[0]), right(one.interval[1]))
        marks = tuple((name, right(value)) for name, value in one.marks.items())
        drawn.append(DrawnBar(one.name, one.text, one.tip, one.colour, ROW * number, x0, x1, whisker, marks))
    places = [low + step * number for number in range(round((high - low) / step) + 1)]
    across = tuple(Tick(right(place), f"{short(round(place * scale, 9))} {unit}".rstrip()) for place in places)
    return BarChart(title, ROW * len(bars) + _FOOT, across, tuple(drawn))


def _step(extent: float) -> float:
    power = 10.0 ** math.floor(math.log10(extent / _STEPS))
    return next(one * power for one in (1, 2, 5, 10) if extent <= _STEPS * one * power * (1 + 1e-9))
