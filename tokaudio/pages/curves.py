"""Charts of one quantity over another, in the same plain coordinates as `charts`.

chart = curve_chart("Codes used", {"codebook 0": [(1, 0.001), (100, 0.08)]}, logarithmic=True)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tokaudio.pages.charts import HEIGHT, WIDTH, Chart, Dot, Line, Tick
from tokaudio.pages.templating import fixed, percent

_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 12.0, 12.0, 38.0
_STEPS, _MOST_ACROSS, _FEWEST_ACROSS = 5, 8, 3
_PERCENT = 0.01 - 1e-9

Curve = Sequence[tuple[float, float | None]]


def curve_chart(
    title: str,
    curves: Mapping[str, Curve],
    *,
    across: str = "",
    logarithmic: bool = False,
    shares: bool = True,
) -> Chart:
    r"""Lay out curves; both axes have as many ticks as are read well.

    Args:
        title: what they show.
        curves: points x, y by name; y is None where there is none, and drawn as 0 where it is less.
        across: the unit of x, for what a dot says when pointed at.
        logarithmic: whether x, then above 0, is drawn by its logarithm.
        shares: whether y is written in percent.

    Example:
        >>> chart = curve_chart("Used", {"a": [(1, 0.1), (10, 0.3), (100, 0.4)]}, logarithmic=True)
        >>> [tick.text for tick in chart.across], [tick.text for tick in chart.up][-1]
        (['1', '10', '100'], '40\xa0%')
    """
    known = {name: [(x, y) for x, y in curve if y is not None] for name, curve in curves.items()}
    xs = [x for curve in known.values() for x, _ in curve] or [1.0]
    ys = [y for curve in known.values() for _, y in curve]
    most = max([0.0, *ys]) or 1.0
    step = _step(most)
    top = step * math.ceil(most / step - 1e-9)
    low, high = _scale(min(xs), logarithmic), _scale(max(xs), logarithmic)

    def right(x: float) -> float:
        share = (_scale(x, logarithmic) - low) / (high - low) if high > low else 0.5
        return round(_LEFT + 8 + (WIDTH - _LEFT - _RIGHT - 16) * share, 1)

    def height(y: float) -> float:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * max(0.0, y) / top, 1)

    lines = []
    for name, curve in known.items():
        dots = [
            Dot(
                right(x),
                height(y),
                f"{name}, {short(x)} {across}".rstrip() + f": {percent(y, 1) if shares else fixed(y)}",
            )
            for x, y in curve
        ]
        path = "M" + " L".join(f"{dot.x} {dot.y}" for dot in dots) if dots else ""
        lines.append(Line(name, tuple(dots), path))
    ticks = [Tick(right(x), short(x)) for x in _places(min(xs), max(xs), logarithmic)]
    up = [
        Tick(height(step * n), percent(step * n, 0 if step >= _PERCENT else 1) if shares else fixed(step * n))
        for n in range(round(top / step) + 1)
    ]
    return Chart(title, tuple(ticks), tuple(up), tuple(lines))


def short(value: float) -> str:
    """Return a number as an axis has it.

    Example:
        >>> short(1500), short(20_000), short(3_000_000), short(0.5)
        ('1.5k', '20k', '3M', '0.5')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _scale(x: float, logarithmic: bool) -> float:
    return math.log10(x) if logarithmic else x


def _step(top: float) -> float:
    """Return the 1, 2 or 5 of some power of ten that divides what is shown into five parts or fewer."""
    power = 10.0 ** math.floor(math.log10(top / _STEPS))
    return next(one * power for one in (1, 2, 5, 10) if top <= _STEPS * one * power * (1 + 1e-9))


def _places(low: float, high: float, logarithmic: bool) -> list[float]:
    if logarithmic:
        powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
        parts = (1, 2, 5) if len(powers) < _FEWEST_ACROSS else (1,)
        every = [part * 10.0**power for power in range(powers.start - 1, powers.stop) for part in parts]
        return [place for place in every if low * (1 - 1e-9) <= place <= high * (1 + 1e-9)]
    step = max(1.0, _step((high - low) * _STEPS / _MOST_ACROSS)) if high > low else 1.0
    first = math.ceil(low / step)
    return [step * n for n in range(first, math.floor(high / step) + 1)]
