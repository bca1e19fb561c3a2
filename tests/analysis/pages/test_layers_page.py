"""Charts and the page of a study."""

from __future__ import annotations

import dataclasses
import re
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.layer_study.test_study import ALL, study
from tokaudio.analysis.pages.layers_page import layers_page
from tokaudio.errors import MissingDependencyError
from tokaudio.pages.charts import HEIGHT, WIDTH, line_chart


class Outline(HTMLParser):
    """Which elements there are, that each is closed, and the text."""

    EMPTY = ("meta", "line", "circle")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def facts() -> dict[str, int | float | str]:
    counts = {"recordings": 40, "measured_recordings": 10, "clustered_frames": 12_345, "measured_frames": 4_321}
    return {**counts, "minutes": 7.25, "seed": 0, "failed_recordings": 0}


def test_the_page_says_all_that_was_found() -> None:
    found = dataclasses.replace(study(), facts=facts())
    page = layers_page(found)
    outline = Outline(page)
    assert outline.seen.count("svg") == 4 and outline.seen.count("circle") == 4 * 3 * 3
    assert outline.seen.count("path") == 4 * 3 and outline.seen.count("tr") == 1 + 3 * 3
    for text in (*found.sentences(), "Note.", "12,345 frames", "7.2 minutes", "k = 1000", "MFCC", "4.00 bits to know"):
        assert text in outline.text.replace("\u00a0", " "), text
    assert "prefers-color-scheme: dark" in page and "width=device-width" in page
    # Nothing is fetched, nothing runs.
    assert not re.search(r"https?://|<script|@import|url\(", page)
    assert len(page) < 40_000


def test_pages_without_reference_or_with_strange_names() -> None:
    found = dataclasses.replace(study(ALL[:1], cepstra=False), facts=facts(), backbone="<b>&./x", notes=())
    page = layers_page(found)
    assert "&lt;b&gt;&amp;./x" in page and "<b>&" not in page
    outline = Outline(page)
    assert "MFCC" not in outline.text and outline.seen.count("circle") == 2 * 3 and "kept in mind" not in outline.text


def test_without_jinja2_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"jinja2: is not installed; run: pip install 'tokaudio\[viz\]'"):
        layers_page(study())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=30), st.integers(0, 1))
def test_dots_lie_within_the_chart_in_order(values: list[float | None], apart: int) -> None:
    chart = line_chart("x", [str(n) for n in range(len(values))], {"k": values}, apart=apart)
    left, right, top, bottom = chart.edges
    (line,) = chart.lines
    known = [value for value in values if value is not None]
    assert len(line.dots) == len(known) and 0 < left < right < WIDTH and 0 < top < bottom < HEIGHT
    for dot, value in zip(line.dots, known, strict=True):
        assert left <= dot.x <= right and top - 0.1 <= dot.y <= bottom + 0.1
        assert all((dot.y <= other.y) or value <= wanted for other, wanted in zip(line.dots, known, strict=True))
    joined = sum(value is not None for value in values[apart:])
    assert (line.path.count("L") + 1 if line.path else 0) == joined
    assert sum(bool(tick.text) for tick in chart.across) <= 14 and 2 <= len(chart.up) <= 6
    assert chart.up[0].at > chart.up[-1].at and chart.up[0].text == "0 %"


def test_few_labels_where_there_are_many_layers() -> None:
    chart = line_chart("x", ["MFCC", *map(str, range(25))], {"k": [0.0] * 26}, apart=1)
    assert [tick.text for tick in chart.across if tick.text] == ["MFCC", *map(str, range(0, 25, 2))]
