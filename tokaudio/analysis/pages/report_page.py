"""The codebook report as one HTML file that opens from disk: figures, charts and sound in it, nothing loaded.

report_page(report.to_dict(), clips)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokaudio.analysis.codebook_report import FORMAT
from tokaudio.analysis.pages.listening import clips_per_codebook
from tokaudio.analysis.pages.report_charts import increment_chart, prefix_charts, rarefaction_chart, runs_chart
from tokaudio.analysis.pages.report_maps import band_map, redundancy_map, robustness_map, role_map
from tokaudio.analysis.pages.report_pictures import drawn_map, spectra
from tokaudio.analysis.pages.report_words import MEASURES, highlights
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.pages.charts import HEIGHT, WIDTH, Chart
from tokaudio.pages.templating import render

_MOST_MAPS = 12


def report_page(
    document: Mapping[str, Any],
    clips: Mapping[tuple[int, int], str] | None = None,
    held: Mapping[tuple[int, int], str] | None = None,
) -> str:
    """Return a report as an HTML document.

    Args:
        document: the report as plain values, from `Report.to_dict()` or read from its JSON.
        clips: places where codes occur, by codebook and code, see `example_clips`; None for none.
        held: the same of codes that are held on, see `held_clips`.

    Raises:
        AnalysisError: if it is no report.
        MissingDependencyError: if jinja2 is not installed.

    Example:
        >>> from tokaudio.analysis.codebook_report import Report
        >>> facts = {"recordings": 1, "seconds": 2.0, "frames": 100, "sampled_frames": 100, "seed": 0}
        >>> about = {"name": "toy", "kind": "hybrid", "fingerprint": "", "sample_rate": 16_000, "frame_rate": 50.0}
        >>> about |= {"bitrate_bps": 150.0, "codebook_sizes": [8], "codebook_roles": ["semantic"]}
        >>> "There is no sound" in report_page(Report(about, facts, (), (), {}, ("There is no sound.",)).to_dict())
        True
    """
    if document.get("format") != FORMAT:
        raise AnalysisError(f"a document of format {document.get('format')!r} is no report; give {FORMAT!r}")
    sections = document["sections"]
    found = {name: sections.get(name) for name in MEASURES}
    prototypes = found["prototypes"]
    values = {
        **found,
        "about": document["tokenizer"],
        "facts": document["facts"],
        "version": document["tokaudio"],
        "warning": document["warning"],
        "sentences": document["sentences"],
        "highlights": highlights(document),
        "notes": document["notes"],
        "missing": [title for name, title in MEASURES.items() if found[name] is None],
        "role_map": role_map(document["information"]),
        "information": document["information"],
        "rarefaction_chart": found["rarefaction"] and rarefaction_chart(found["rarefaction"]["rows"]),
        "runs_chart": found["runs"] and runs_chart(found["runs"]),
        "redundancy_map": found["redundancy"] and redundancy_map(found["redundancy"]["pairs"]),
        "increment_chart": found["incremental"] and _increments(document["information"], found["incremental"]["rows"]),
        "prefix_charts": found["ablation"] and prefix_charts(found["ablation"]["prefixes"]),
        "band_map": found["ablation"] and band_map(found["ablation"]),
        "robustness_map": found["robustness"] and robustness_map(found["robustness"]["transforms"]),
        "spectra": prototypes and spectra(_shown(prototypes)),
        "shown": prototypes and _shown(prototypes),
        "near": _near(found["neighbours"]),
        "drawn": found["maps"]
        and [drawn_map(one, _shares(prototypes, book)) for book, one in enumerate(found["maps"]["rows"][:_MOST_MAPS])],
        "clips": _named(clips),
        "held": _named(held),
        "width": WIDTH,
        "height": HEIGHT,
    }
    return render("report.html.j2", values, "tokaudio.analysis.pages")


def _increments(information: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Return what the first codebooks say together, of attributes that there was audio enough for."""
    known = {one["attribute"] for one in information if one["enough"]}
    return increment_chart([row for row in rows if row["attribute"] in known])


def _named(clips: Mapping[tuple[int, int], str] | None) -> dict[str, str]:
    return {f"{book}-{code}": clip for (book, code), clip in (clips or {}).items()}


def _shown(prototypes: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    most = max(2, clips_per_codebook(len(prototypes["codebooks"])))
    return [book[:most] for book in prototypes["codebooks"]]


def _shares(prototypes: Mapping[str, Any] | None, book: int) -> dict[int, float]:
    if prototypes is None:
        return {}
    return {one["code"]: one["share"] for one in prototypes["codebooks"][book]}


def _near(section: Mapping[str, Any] | None) -> dict[str, list[int]]:
    """Return the nearest codes of each code, by codebook and code."""
    if section is None:
        return {}
    return {
        f"{book}-{code}": near[:3]
        for book, row in enumerate(section["rows"])
        if row is not None
        for code, near in zip(row["of"], row["codes"], strict=True)
    }
