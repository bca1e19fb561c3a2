"""Tables whose cells are shaded by their value, as pages draw them.

heat_map("Roles", ["codebook 0"], {"pitch": [Shade(0.4, "0.40", "codebook 0, pitch: 0.40")]})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_DARK, _DARKEST = 0.55, 0.73
# Below this value, nothing is darkest.
_LEAST_TOP = 0.25


@dataclass(frozen=True, slots=True)
class Shade:
    """A value to be shaded.

    Attributes:
        value: from 0; None for one that does not exist.
        text: what is written.
        tip: what it says when pointed at.
    """

    value: float | None
    text: str
    tip: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A shaded cell.

    Attributes:
        level: from 0 to 1.
        ink: `low`, `mid` or `high`: which ink can be read on it, in light and in dark.
        text: what is written.
        tip: what it says when pointed at.
    """

    level: float
    ink: str
    text: str
    tip: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A shaded table.

    Attributes:
        title: what it shows.
        columns: their names.
        rows: name and cells of each.
        top: the value that is darkest.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    top: float


def heat_map(
    title: str, columns: Sequence[str], rows: Mapping[str, Sequence[Shade]], *, top: float | None = None
) -> HeatMap:
    """Shade a table.

    Args:
        title: what it shows.
        columns: their names.
        rows: values by name, one for each column.
        top: the value that is darkest; None for the largest there is, or 0.25, so that next to nothing stays pale.

    Example:
        >>> found = heat_map("Roles", ["0", "1"], {"pitch": [Shade(0.4, "0.40", ""), Shade(0.1, "0.10", "")]})
        >>> [(cell.level, cell.ink) for cell in found.rows[0][1]]
        [(1.0, 'high'), (0.25, 'low')]
    """
    most = max((one.value for row in rows.values() for one in row if one.value is not None), default=0.0)
    top = top or max(most, _LEAST_TOP)
    shaded = tuple((name, tuple(_cell(one, top) for one in row)) for name, row in rows.items())
    return HeatMap(title, tuple(columns), shaded, top)


def _cell(one: Shade, top: float) -> Cell:
    level = round(min(1.0, max(0.0, (one.value or 0.0) / top)), 3)
    ink = "low" if level < _DARK else "mid" if level < _DARKEST else "high"
    return Cell(level, ink, one.text, one.tip)
