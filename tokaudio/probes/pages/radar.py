"""Radar charts as plain coordinates: one spoke for each task, longer where a tokenizer is better.

radar("mini-codec", {"ks": 0.8, "asr": 0.3, "sv": None})
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

SIZE = 260.0
"""Width and height of a chart, in units of its own."""
_REACH, _LABEL = 82.0, 14.0
_RINGS = (0.25, 0.5, 0.75, 1.0)
FEWEST_SPOKES = 3


@dataclass(frozen=True, slots=True)
class Spoke:
    """One task: where its spoke ends, where its name stands and how, and where the value is; None for no value."""

    name: str
    end: tuple[float, float]
    label: tuple[float, float]
    anchor: str
    dot: tuple[float, float] | None
    tip: str


@dataclass(frozen=True, slots=True)
class Radar:
    """A radar chart.

    Attributes:
        title: whose it is.
        rings: outlines at a quarter, a half, three quarters and all of the way, as points of SVG.
        spokes: one for each task.
        outline: through all values, as points of SVG.
    """

    title: str
    rings: tuple[str, ...]
    spokes: tuple[Spoke, ...]
    outline: str


def radar(title: str, values: Mapping[str, float | None], *, tips: Mapping[str, str] | None = None) -> Radar:
    """Lay out values from 0, in the middle, to 1; what is beyond is drawn at the end, and None left out.

    Args:
        title: whose they are.
        values: by task, three at least.
        tips: what each says when pointed at, by task.

    Raises:
        ValueError: if there are fewer than three tasks.

    Example:
        >>> found = radar("a", {"ks": 1.0, "asr": 0.5, "sv": None, "ic": 0.0})
        >>> found.outline, [spoke.dot for spoke in found.spokes][2:]
        ('130.0,48.0 171.0,130.0 130.0,130.0', [None, (130.0, 130.0)])
    """
    if len(values) < FEWEST_SPOKES:
        raise ValueError(f"{len(values)} tasks make no radar; give {FEWEST_SPOKES} or more")
    turns = [2 * math.pi * number / len(values) for number in range(len(values))]
    rings = tuple(" ".join(_written(_at(turn, ring)) for turn in turns) for ring in _RINGS)
    spokes = []
    for (name, value), turn in zip(values.items(), turns, strict=True):
        dot = None if value is None else _at(turn, min(1.0, max(0.0, value)))
        side = math.sin(turn)
        anchor = "middle" if abs(side) < 0.3 else "start" if side > 0 else "end"
        x, y = _at(turn, 1 + _LABEL / _REACH)
        spokes.append(Spoke(name, _at(turn, 1.0), (x, round(y + 4, 1)), anchor, dot, (tips or {}).get(name, name)))
    outline = " ".join(_written(spoke.dot) for spoke in spokes if spoke.dot is not None)
    return Radar(title, rings, tuple(spokes), outline)


def _at(turn: float, share: float) -> tuple[float, float]:
    """Return the point so far along the spoke; the first points up, the next follow clockwise."""
    middle, reach = SIZE / 2, _REACH * share
    return round(middle + reach * math.sin(turn), 1) + 0.0, round(middle - reach * math.cos(turn), 1) + 0.0


def _written(point: tuple[float, float]) -> str:
    return f"{point[0]},{point[1]}"
