"""A study as one HTML file that needs nothing else: no network, no script; light and dark, wide and narrow."""

from __future__ import annotations

from dataclasses import dataclass

from tokaudio.analysis.layer_study.study import LayerStudy, Measurement
from tokaudio.pages.charts import HEIGHT, WIDTH, Chart, line_chart
from tokaudio.pages.templating import environment

_TITLES = {
    "phone": "Phones",
    "speaker": "Speakers",
    "pitch": "Pitch",
    "energy": "Energy",
}


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table: features, k, and what each attribute has."""

    features: str
    clusters: int
    cells: tuple[Measurement | None, ...]


def layers_page(study: LayerStudy) -> str:
    """Return a study as an HTML document.

    Raises:
        MissingDependencyError: if jinja2 is not installed.
    """
    template = environment("tokaudio.analysis.pages").get_template("layers.html.j2")
    places: list[int | None] = [None, *study.layers] if _has_reference(study) else list(study.layers)
    return template.render(
        study=study,
        charts=[_chart(study, attribute, places) for attribute in study.attributes],
        series=[f"k = {size}" for size in study.sizes],
        titles=[_TITLES[name] for name in study.attributes],
        rows=[
            _Row(_name(place), size, tuple(study.at(name, place, size) for name in study.attributes))
            for place in places
            for size in study.sizes
        ],
        entropies=[
            (_TITLES[name], one.information.entropy, one.information.frames)
            for name in study.attributes
            if (one := study.at(name, study.layers[0], study.sizes[0]))
        ],
        width=WIDTH,
        height=HEIGHT,
    )


def _has_reference(study: LayerStudy) -> bool:
    return any(one.layer is None for one in study.measurements)


def _name(layer: int | None) -> str:
    return "MFCC" if layer is None else f"layer {layer}"


def _chart(study: LayerStudy, attribute: str, places: list[int | None]) -> Chart:
    series = {}
    for size in study.sizes:
        found = [study.at(attribute, place, size) for place in places]
        series[f"k = {size}"] = [None if one is None else one.share for one in found]
    names = ["MFCC" if place is None else str(place) for place in places]
    return line_chart(_TITLES[attribute], names, series, apart=names.count("MFCC"))
