"""What pictures are made of: figures that nothing keeps, heat maps, colours and places of ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import MissingDependencyError, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More cells than these have no numbers in them.
_MOST_CELLS = 200


def new_figure() -> Figure:
    """Return a new figure, which nothing else keeps, as pyplot would until it is closed.

    Raises:
        MissingDependencyError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        text = one_line("matplotlib", "is not installed", "run: pip install 'tokaudio[viz]'")
        raise MissingDependencyError(text) from None
    return Figure(layout="constrained")


def axes_or_new(ax: Axes | None) -> Axes:
    """Return the axes, or those of a new figure.

    Raises:
        MissingDependencyError: if there are none and matplotlib is not installed.
    """
    return new_figure().subplots() if ax is None else ax


def heat_map(
    values: NDArray[np.float64], rows: Sequence[int], columns: Sequence[str], *, ax: Axes | None, most: float | None
) -> Axes:
    """Draw values of codebooks, from 0 on, with numbers in the cells where there is room.

    Args:
        values: `[len(rows), len(columns)]`, NaN for none.
        rows: numbers of codebooks.
        columns: what is written under them.
        ax: to draw into; None for a new figure.
        most: value of the brightest colour; None for the greatest.
    """
    ax = axes_or_new(ax)
    known = values[np.isfinite(values)]
    highest = most or max(float(known.max(initial=0.0)), 1e-9)
    ax.imshow(values, aspect="auto", cmap="viridis", vmin=0.0, vmax=highest)
    ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
    ticks = some(len(rows))
    ax.set_yticks(ticks, [str(rows[tick]) for tick in ticks])
    ax.set(ylabel="codebook")
    if values.size <= _MOST_CELLS:
        for row, column in np.argwhere(np.isfinite(values)).tolist():
            value = float(values[row, column])
            ink = "white" if value < 0.6 * highest else "black"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize="small")
    return ax


def colours(labels: Sequence[str] | None) -> dict[str, str]:
    """Return a colour for each different label, the most frequent first; one colour if there are none.

    Example:
        >>> colours(["s", "a", "s"]), colours(None)
        ({'s': 'C0', 'a': 'C1'}, {'': 'C0'})
    """
    if labels is None:
        return {"": "C0"}
    names = sorted(set(labels), key=lambda name: (-labels.count(name), name))
    return {name: f"C{number % 10}" for number, name in enumerate(names)}


def some(count: int) -> list[int]:
    """Return at most 16 places among so many, evenly spaced.

    Example:
        >>> some(3), some(32)[:3]
        ([0, 1, 2], [0, 2, 4])
    """
    return list(range(0, count, max(1, -(-count // 16))))
