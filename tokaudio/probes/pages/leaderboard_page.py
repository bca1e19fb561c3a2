"""The leaderboard as one HTML file that opens from disk.

leaderboard_page(leaderboard(results))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokaudio.pages.charts import HEIGHT, WIDTH, Chart
from tokaudio.pages.curves import curve_chart
from tokaudio.pages.templating import NOTHING, fixed, render
from tokaudio.probes.evidence import Metric
from tokaudio.probes.leaderboard import Entry, Leaderboard, TaskTable
from tokaudio.probes.pages.bars import ROW, Bar, BarChart, bar_chart
from tokaudio.probes.pages.bars import WIDTH as BAR_WIDTH
from tokaudio.probes.pages.radar import FEWEST_SPOKES, SIZE, Radar, radar
from tokaudio.probes.ranking import Rankings
from tokaudio.probes.results import BASELINES, ProbeResults

KINDS = ("semantic", "hybrid", "compression", "continuous", "classical")
REFERENCES = (*BASELINES, "continuous")
_MARKED = {
    "random_tokens": "random tokens",
    "input_tokens": "input through the tokenizer",
    "shuffled_texts": "shuffled texts",
    "continuous": "continuous",
    "clean_tokens": "wanted sound through the tokenizer",
}


def leaderboard_page(board: Leaderboard) -> str:
    """Return a leaderboard as an HTML document.

    Raises:
        MissingDependencyError: if jinja2 is not installed.
    """
    names = [one.tokenizer for one in board.results]
    values = {
        "results": board.results,
        "sentences": [] if board.rankings is None else board.rankings.sentences(),
        "axes": [] if board.rankings is None else list(board.rankings.axes),
        "ranking": [] if board.rankings is None else _ranking_rows(board.results, board.rankings),
        "agreements": [] if board.rankings is None else board.rankings.of_axes + board.rankings.of_probes,
        "radars": _radars(names, board.tables),
        "tables": [_task(one) for one in board.tables],
        "columns": [_heading(one) for one in board.tables],
        "scores": _score_rows(board),
        "rates": [chart for one in board.tables if (chart := _rate_chart(one))],
        "costs": [_cost_row(one) for one in board.results],
        "kinds": [kind for kind in KINDS if any(one.kind == kind for one in board.results)],
        "kind_numbers": {kind: number for number, kind in enumerate(KINDS)},
        "width": WIDTH,
        "height": HEIGHT,
        "bar_width": BAR_WIDTH,
        "bar_row": ROW,
        "radar_size": SIZE,
        "order": names,
    }
    return render("leaderboard.html.j2", values, "tokaudio.probes.pages")


def written(value: float | None, metric: Metric, *, unit: bool = True) -> str:
    r"""Return a score as it is shown.

    Example:
        >>> from tokaudio.probes.evidence import METRICS
        >>> written(0.8123, METRICS["accuracy"]), written(3.256, METRICS["dnsmos"])
        ('81.2\xa0%', '3.26')
    """
    if value is None:
        return NOTHING
    text = fixed(value * metric.scale, 1 if metric.unit else 2)
    return f"{text}\u00a0{metric.unit}" if metric.unit and unit else text


def _ends(entry: Entry, metric: Metric) -> str:
    if entry.interval is None:
        return NOTHING
    return f"{written(entry.interval.low, metric, unit=False)} to {written(entry.interval.high, metric, unit=False)}"


def _heading(table: TaskTable) -> dict[str, str]:
    arrow = "\u2191" if table.metric.higher_is_better else "\u2193"
    return {"name": f"{table.task} {arrow}", "tip": f"{table.metric.title} on {table.corpus}, {table.probe}"}


def _ranking_rows(results: Sequence[ProbeResults], rankings: Rankings) -> list[dict[str, Any]]:
    rows = []
    for one in results:
        cells = []
        for axis in rankings.axes.values():
            low, high = axis.intervals[one.tokenizer]
            mean = axis.ranks[one.tokenizer]
            cells.append({"sort": mean, "text": fixed(mean), "ends": f"{fixed(low, 1)} to {fixed(high, 1)}"})
        rows.append({"name": one.tokenizer, "kind": one.kind, "cells": cells})
    return rows


def _score_rows(board: Leaderboard) -> list[dict[str, Any]]:
    rows = []
    for one in board.results:
        cells: list[dict[str, Any]] = []
        for table in board.tables:
            entry = next((each for each in table.entries if each.tokenizer == one.tokenizer), None)
            if entry is None:
                cells.append({"sort": "", "text": NOTHING, "ends": ""})
                continue
            ends = _ends(entry, table.metric)
            cells.append({"sort": entry.value, "text": written(entry.value, table.metric), "ends": ends})
        rows.append({"name": one.tokenizer, "kind": one.kind, "cells": cells})
    return rows


def _radars(names: Sequence[str], tables: Sequence[TaskTable]) -> list[Radar]:
    if len(tables) < FEWEST_SPOKES:
        return []
    found = []
    for name in names:
        shares: dict[str, float | None] = {}
        tips = {}
        for table in tables:
            entry = next((each for each in table.entries if each.tokenizer == name), None)
            spoke = table.task if table.task not in shares else f"{table.task}, {table.probe}"
            shares[spoke] = None if entry is None else way(entry, table)
            told = "no result" if entry is None else written(entry.value, table.metric)
            tips[spoke] = f"{name}, {spoke}: {told}"
        found.append(radar(name, shares, tips=tips))
    return found


def way(entry: Entry, table: TaskTable) -> float | None:
    """Return how far a score is on the way from the lowest reference to the best score there is; None for no way.

    The lowest is what random tokens score (of generative tasks, what is heard through the tokenizer, or shuffled
    texts), or chance, or the worst tokenizer; the best is that of all tokenizers, their continuous features, and what
    is wanted through the tokenizer.
    """
    values = [each.value for each in table.entries]
    best_of = max if table.metric.higher_is_better else min
    worst_of = min if table.metric.higher_is_better else max
    best = best_of([*values, *_scored(table, "continuous", "clean_tokens")])
    random = _scored(table, "random_tokens", "input_tokens", "shuffled_texts")
    worst = worst_of(random) if random else table.chance if table.chance is not None else worst_of(values)
    return None if best == worst else (entry.value - worst) / (best - worst)


def _scored(table: TaskTable, *names: str) -> list[float]:
    return [each.references[name] for each in table.entries for name in names if name in each.references]


def _task(table: TaskTable) -> dict[str, Any]:
    metric = table.metric
    there = dict.fromkeys(name for entry in table.entries for name in entry.references)
    named = [name for name in REFERENCES if name in there] + [name for name in there if name not in REFERENCES]
    rows = []
    for entry in table.entries:
        references = [entry.references.get(name) for name in named]
        rows.append(
            {
                "entry": entry,
                "text": written(entry.value, metric),
                "ends": _ends(entry, metric),
                "spread": " to ".join(written(one, metric, unit=False) for one in entry.spread),
                "references": [
                    {"sort": "" if one is None else one, "text": written(one, metric)} for one in references
                ],
                "shuffled": NOTHING
                if entry.shuffled is None
                else " to ".join(written(one, metric, unit=False) for one in entry.shuffled),
                "selectivity": written(entry.selectivity, metric),
                "ahead": ", ".join(entry.ahead_of) if entry.ahead_of else NOTHING,
            }
        )
    told = {"rows": rows, "references": named, "chance": written(table.chance, metric)}
    return {"table": table, "chart": _bars(table)} | told


def _bars(table: TaskTable) -> BarChart:
    metric = table.metric
    bars = [
        Bar(
            name=entry.tokenizer,
            value=entry.value,
            interval=None if entry.interval is None else (entry.interval.low, entry.interval.high),
            marks={said: entry.references[name] for name, said in _MARKED.items() if name in entry.references},
            text=written(entry.value, metric),
            colour=KINDS.index(entry.kind) if entry.kind in KINDS else len(KINDS),
            tip=_tip(entry, metric),
        )
        for entry in table.entries
    ]
    arrow = "higher is better" if metric.higher_is_better else "lower is better"
    return bar_chart(f"{table.task}: {metric.title}, {arrow}", bars, scale=metric.scale, unit=metric.unit)


def _tip(entry: Entry, metric: Metric) -> str:
    told = [f"{entry.tokenizer}: {written(entry.value, metric)}"]
    if entry.interval is not None:
        told.append(f"95 % interval {_ends(entry, metric)}")
    told += [
        f"{said} {written(entry.references[name], metric)}"
        for name, said in _MARKED.items()
        if name in entry.references
    ]
    return "; ".join(told)


def _rate_chart(table: TaskTable) -> Chart | None:
    known: Mapping[str, list[tuple[float, float | None]]] = {
        entry.tokenizer: [(entry.bitrate_bps / 1000, entry.value)] for entry in table.entries if entry.bitrate_bps
    }
    if not known:
        return None
    shares = table.metric.unit == "%"
    title = f"{table.task}: {table.metric.title}"
    return curve_chart(title, known, across="kbit/s", logarithmic=True, shares=shares)


def _cost_row(one: ProbeResults) -> dict[str, Any]:
    costs = one.costs
    memory = None if costs.peak_memory_bytes is None else costs.peak_memory_bytes / 2**20
    cells = [
        (costs.bitrate_bps, None if costs.bitrate_bps is None else costs.bitrate_bps / 1000, 2),
        (costs.token_rate, costs.token_rate, 1),
        (costs.parameters, None if costs.parameters is None else costs.parameters / 1e6, 2),
        (costs.encode_real_time_factor, costs.encode_real_time_factor, 3),
        (costs.decode_real_time_factor, costs.decode_real_time_factor, 3),
        (memory, memory, 0),
    ]
    shown = [
        {"sort": "" if value is None else value, "text": fixed(value_shown, digits)}
        for value, value_shown, digits in cells
    ]
    return {"name": one.tokenizer, "kind": one.kind, "cells": shown}
