"""Charts of a report's page: how many codes come to be used, how long they last, and what more codebooks bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokaudio.pages.charts import Chart
from tokaudio.pages.curves import curve_chart

_LONGEST = 16


def rarefaction_chart(rows: Sequence[Mapping[str, Any] | None]) -> Chart:
    r"""Return how much of each codebook is used in so many frames drawn at random.

    Example:
        >>> chart = rarefaction_chart([{"size": 4, "curve": [[1, 1.0], [10, 3.0]]}])
        >>> [dot.text for dot in chart.lines[0].dots]
        ['codebook 0, 1 codes: 25.0\xa0%', 'codebook 0, 10 codes: 75.0\xa0%']
    """
    curves = {
        f"codebook {number}": [(x, y / row["size"]) for x, y in row["curve"]]
        for number, row in enumerate(rows)
        if row is not None
    }
    return curve_chart("Share of the codebook used", curves, across="codes", logarithmic=True)


def runs_chart(runs: Mapping[str, Any]) -> Chart:
    r"""Return how many of the runs of each codebook last for so many frames.

    Example:
        >>> chart = runs_chart({"codebooks": [{"runs": 4, "lengths": [3, 1]}]})
        >>> chart.lines[0].dots[0].text
        'codebook 0, 1 frames: 75.0\xa0%'
    """
    curves = {
        f"codebook {number}": [
            (length, count / row["runs"]) for length, count in enumerate(row["lengths"][:_LONGEST], start=1)
        ]
        for number, row in enumerate(runs["codebooks"])
        if row["runs"]
    }
    return curve_chart("Runs of one code, by length", curves, across="frames")


def increment_chart(rows: Sequence[Mapping[str, Any]]) -> Chart | None:
    r"""Return what the first codebooks together say about each attribute; None if it is not known.

    Example:
        >>> chart = increment_chart([{"attribute": "phone", "shares": [0.2, 0.3]}])
        >>> [dot.text for dot in chart.lines[0].dots]
        ['phone, 1 codebooks: 20.0\xa0%', 'phone, 2 codebooks: 30.0\xa0%']
    """
    if not rows:
        return None
    curves = {row["attribute"]: list(enumerate(row["shares"], start=1)) for row in rows}
    return curve_chart("Said by the first codebooks together", curves, across="codebooks")


def prefix_charts(prefixes: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Return a chart for each metric of what decoding with the first codebooks gives.

    Example:
        >>> scores = {"mel distance": {"value": 0.5, "interval": None}}
        >>> prefix_charts([{"codebooks": 1, "scores": scores, "gains": {}}])[0].lines[0].dots[0].text
        'mel distance, 1 codebooks: 0.50'
    """
    metrics = list(prefixes[0]["scores"]) if prefixes else []
    return [
        curve_chart(
            f"{metric}, by the number of codebooks".capitalize(),
            {metric: [(one["codebooks"], one["scores"][metric]["value"]) for one in prefixes]},
            across="codebooks",
            shares=False,
        )
        for metric in metrics
    ]
