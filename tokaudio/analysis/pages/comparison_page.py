"""A comparison of tokenizers as one HTML file that opens from disk.

comparison_page(found.to_dict())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokaudio.analysis.comparison import FORMAT
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.pages.charts import HEIGHT, WIDTH, Chart
from tokaudio.pages.curves import curve_chart
from tokaudio.pages.heat_maps import HeatMap, Shade, heat_map
from tokaudio.pages.templating import NOTHING, fixed, percent, render


def comparison_page(document: Mapping[str, Any]) -> str:
    """Return a comparison as an HTML document.

    Args:
        document: the comparison as plain values, from `Comparison.to_dict()` or read from its JSON.

    Raises:
        AnalysisError: if it is no comparison.
        MissingDependencyError: if jinja2 is not installed.
    """
    if document.get("format") != FORMAT:
        raise AnalysisError(f"a document of format {document.get('format')!r} is no comparison; give {FORMAT!r}")
    names = document["names"]
    reports = list(zip(names, document["reports"], strict=True))
    values = {
        "names": names,
        "reports": reports,
        "warnings": document["warnings"],
        "sentences": document["sentences"],
        "notes": document["notes"],
        "equal": document["equal_bitrate"],
        "equal_map": _equal_map(names, document["equal_bitrate"]["attributes"]),
        "information_charts": _information_charts(reports, document["bitrates_bps"]),
        "robustness_map": _robustness_map(reports),
        "links": _links(document["associations"]),
        "width": WIDTH,
        "height": HEIGHT,
    }
    return render("compare.html.j2", values, "tokaudio.analysis.pages")


def _equal_map(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> HeatMap | None:
    if not rows:
        return None
    shaded = {
        row["attribute"]: [
            Shade(None, NOTHING, f"{name}, {row['attribute']}: no figure")
            if one is None
            else Shade(
                one["share"],
                fixed(one["share"]),
                f"{name}, {row['attribute']}: {fixed(one['share'])} said by the first {one['codebooks']} codebooks, "
                f"{one['bitrate_bps'] / 1000:.2f} kbit/s",
            )
            for name, one in zip(names, row["tokenizers"], strict=True)
        ]
        for row in rows
    }
    return heat_map("Share that is said, by attribute", names, shaded)


def _information_charts(
    reports: Sequence[tuple[str, Mapping[str, Any]]], bitrates: Sequence[Sequence[float]]
) -> list[Chart]:
    """Return for each attribute what is said at each bitrate."""
    curves: dict[str, dict[str, list[tuple[float, float | None]]]] = {}
    for (name, one), rates in zip(reports, bitrates, strict=True):
        section = one["sections"].get("incremental")
        for row in section["rows"] if section else ():
            points = [(rate / 1000, share) for rate, share in zip(rates, row["shares"], strict=True)]
            curves.setdefault(row["attribute"], {})[name] = points
    return [
        curve_chart(attribute[0].upper() + attribute[1:], own, across="kbit/s", logarithmic=True)
        for attribute, own in curves.items()
    ]


def _robustness_map(reports: Sequence[tuple[str, Mapping[str, Any]]]) -> HeatMap | None:
    """Return for each change the mean share of codes that stay, over the codebooks of each tokenizer."""
    found: dict[str, dict[str, float]] = {}
    for name, one in reports:
        section = one["sections"].get("robustness")
        for change in section["transforms"] if section else ():
            kept = [book["agreement"]["value"] for book in change["codebooks"]]
            known = [value for value in kept if value is not None]
            if known:
                found.setdefault(change["name"], {})[name] = sum(known) / len(known)
    if not found:
        return None
    names = [name for name, _ in reports]
    rows = {
        change: [
            Shade(values.get(name), percent(values.get(name)), f"{name}, {change}: {percent(values.get(name), 1)} stay")
            for name in names
        ]
        for change, values in found.items()
    }
    return heat_map("Codes that stay the same, mean over codebooks", names, rows, top=1.0)


def _links(associations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the two shaded tables and the strongest pairs of every two tokenizers."""
    pairs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in associations:
        pairs.setdefault((one["first"]["tokenizer"], one["second"]["tokenizer"]), []).append(one)
    found = []
    for (first, second), own in pairs.items():
        closest = max(own, key=lambda one: max(one["told_of_first"], one["told_of_second"]))
        ways = [
            _told_map(own, f"What {second} tells of {first}", "told_of_first"),
            _told_map(own, f"What {first} tells of {second}", "told_of_second"),
        ]
        found.append({"first": first, "second": second, "maps": ways, "closest": closest})
    return found


def _told_map(own: Sequence[Mapping[str, Any]], title: str, told: str) -> HeatMap:
    books = sorted({one["first"]["codebook"] for one in own})
    others = sorted({one["second"]["codebook"] for one in own})
    at = {(one["first"]["codebook"], one["second"]["codebook"]): one for one in own}
    rows = {
        f"{own[0]['first']['tokenizer']} {book}": [_told(at[book, other], told) for other in others] for book in books
    }
    return heat_map(title, [f"{other}" for other in others], rows, top=1.0)


def _told(one: Mapping[str, Any], told: str) -> Shade:
    first, second = one["first"], one["second"]
    tip = (
        f"codebook {first['codebook']} of {first['tokenizer']} and {second['codebook']} of {second['tokenizer']}: "
        f"{fixed(one['corrected'])} bits in common, floor {fixed(one['floor'])}, {one['frames']:,} frames"
    )
    return Shade(one[told], percent(one[told]), tip)
