"""The page of a report: all that was measured, nothing that was not, and no name becomes part of the page."""

from __future__ import annotations

import base64
import html
import io
import re
import sys

import numpy as np
import pytest
import soundfile
import torch

from tests.analysis.pages.test_layers_page import Outline
from tests.analysis.reported import HOSTILE, document, full_report, sounds
from tests.near import assert_near
from tokaudio.analysis.pages.listening import (
    MOST_BYTES,
    RATE,
    clips_per_codebook,
    example_clips,
    held_clips,
    sounds_by_name,
)
from tokaudio.analysis.pages.report_maps import role_map
from tokaudio.analysis.pages.report_page import report_page
from tokaudio.analysis.pages.report_pictures import drawn_map
from tokaudio.analysis.pages.report_words import MEASURES, highlights
from tokaudio.analysis.single_codes.held_codes import HeldCodes
from tokaudio.analysis.sounds import Clip
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.errors import MissingDependencyError
from tokaudio.pages.curves import curve_chart
from tokaudio.pages.heat_maps import Shade, heat_map

TITLES = (
    "In short",
    "What each codebook says",
    "Usage",
    "Bitrate and redundancy",
    "What each codebook does to the sound",
    "Robustness",
    "What single codes sound like",
    "Maps of the codebooks",
    "To be kept in mind",
)


class Whole(Outline):
    """With the other elements that are not closed."""

    EMPTY = (*Outline.EMPTY, "br", "path")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)


def test_every_section_has_its_place() -> None:
    page = full_report().to_html(sounds())
    outline = Whole(page)
    assert [title for title in TITLES if title not in outline.text] == []
    for sentence in full_report().sentences():
        assert sentence in outline.text
    # One table of roles, use, power laws, prediction, redundancy, loss, bands, robustness, figures and probes.
    assert outline.seen.count("table") >= 9 and "Not measured" not in outline.text
    assert page.count('data-sound="data:audio/flac;base64,') == 3 + 6 + 2
    assert page.count(">held</button>") == 2 and 'data-tip="12\xa0% to 50\xa0%"' in page


def test_what_was_not_measured_is_told_and_has_no_place() -> None:
    bare = document() | {"sections": dict.fromkeys(MEASURES), "information": [], "sentences": [], "notes": []}
    outline = Whole(report_page(bare))
    assert [title for title in TITLES if title in outline.text] == [TITLES[0], TITLES[-1]]
    assert f"Not measured: {', '.join(MEASURES.values())}." in outline.text
    assert "svg" not in outline.seen and "button" not in outline.seen


@pytest.mark.parametrize("name", MEASURES)
def test_any_section_may_be_missing(name: str) -> None:
    whole = document()
    page = report_page(whole | {"sections": whole["sections"] | {name: None}})
    assert f"Not measured: {MEASURES[name]}." in Whole(page).text


def test_too_little_audio_is_said_once_and_scores_stay_open() -> None:
    warning = "Too little audio: 4 seconds are not enough."
    first, *others = document()["information"]
    page = report_page(document() | {"warning": warning, "information": [first | {"enough": False}, *others]})
    text = Whole(page).text
    bare = report_page(document() | {"information": [one | {"enough": False} for one in (first, *others)]})
    assert "Said by the first codebooks together" in text and "Said by the first codebooks" not in Whole(bare).text
    assert text.count(warning) == 1 and text.count("there was too little audio to tell") == 1
    assert "too little audio to tell, floor" in html.unescape(page)
    assert "there was too little audio to tell" not in Whole(report_page(document())).text


def test_of_few_frames_nothing_is_said_about_use() -> None:
    told = document()
    before = highlights(told)
    assert any("kbit/s of information" in one for one in before) and any("-gram model" in one for one in before)
    first, *others = told["sections"]["usage"]["codebooks"]
    usage = told["sections"]["usage"] | {"codebooks": [first | {"enough": False}, *others]}
    after = highlights(told | {"sections": told["sections"] | {"usage": usage}})
    assert after[0].startswith("How much of the codebooks is used cannot be told from 1,500 frames: ")
    assert not any("kbit/s" in one or "least" in one for one in after) and after[1:] == before[3:]


def test_names_stay_names() -> None:
    page = report_page(document(), example_clips(document()["sections"]["prototypes"], sounds_by_name(sounds())))
    outline = Whole(page)
    assert outline.seen.count("script") == 1 and "img" not in outline.seen
    assert HOSTILE not in page and HOSTILE.replace("7 * 7", "49") not in html.unescape(page)
    assert outline.text.count(HOSTILE) >= 5
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)
    assert policy and "default-src 'none'" in html.unescape(policy[1])
    assert re.search(r"script-src 'sha256-[^']{44}'$", html.unescape(policy[1]))


def test_a_page_loads_nothing() -> None:
    page = full_report().to_html(sounds())
    assert not re.search(r"https?://|url\(|@import|<link|<iframe|src=[\"'](?!data:)", page)


def test_other_documents_are_refused() -> None:
    with pytest.raises(AnalysisError, match="is no report"):
        report_page({"format": "tokaudio-layers"})


def test_without_jinja2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"tokaudio\[viz\]"):
        report_page(document())


def test_clips_hold_the_places_with_what_is_around_them() -> None:
    ramp = np.linspace(-0.5, 0.5, 2 * RATE, dtype=np.float32)
    examples = [{"recording": "ramp", "start": 0.5, "stop": 0.54}, {"recording": "gone", "start": 0.0, "stop": 1.0}]
    books = {"codebooks": [[{"codebook": 0, "code": 4, "examples": [examples[0], examples[1], examples[0]]}]]}
    clips = example_clips(books, {"ramp": Clip(ramp, RATE, "ramp")})
    held, rate = soundfile.read(io.BytesIO(base64.b64decode(clips[0, 4].partition(",")[2])), dtype="float32")
    part = round(0.28 * RATE)
    assert rate == RATE and len(held) == 2 * part + round(0.15 * RATE)
    middle = part // 2
    start = round(0.38 * RATE) + middle
    assert_near(torch.from_numpy(held[middle : middle + 9]), torch.from_numpy(ramp[start : start + 9]), within=1e-4)
    assert held[0] == 0 and not held[part : part + round(0.15 * RATE)].any()


def test_a_page_has_room_for_so_many_codes_that_are_held_on(monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldCodes({(0, code): np.full(2 * RATE, 0.25, np.float32) for code in range(4)}, 2 * RATE)
    every = held_clips(held)
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(every[0, 3].partition(",")[2])), dtype="float32")
    assert list(every) == list(held.sounds) and (rate, len(samples)) == (RATE, RATE)
    assert samples[0] == 0 == samples[-1] and abs(samples[RATE // 2] - 0.25) < 1e-3
    monkeypatch.setattr("tokaudio.analysis.pages.listening.MOST_HELD_BYTES", 2 * len(every[0, 0]))
    assert list(held_clips(held)) == [(0, 0), (0, 1)]


def test_a_page_has_room_for_so_many_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    prototypes = document()["sections"]["prototypes"]
    every = example_clips(prototypes, sounds_by_name(sounds()))
    assert set(every) == {(0, code) for code in range(3)} | {(1, code) for code in range(6)}
    monkeypatch.setattr("tokaudio.analysis.pages.listening.MOST_BYTES", sum(map(len, every.values())) // 2)
    some = example_clips(prototypes, sounds_by_name(sounds()))
    # The most frequent of every codebook come first.
    assert 0 < len(some) < len(every) and {book for book, _ in some} == {0, 1}
    assert clips_per_codebook(32) == 2 and MOST_BYTES < 2e6


def test_recordings_of_one_name_are_not_taken_for_each_other() -> None:
    assert list(sounds_by_name([*sounds()[:2], sounds()[1]])) == [HOSTILE]


def test_curves_lie_where_their_values_are() -> None:
    chart = curve_chart("c", {"a": [(1, 0.0), (10, 0.5), (100, None), (1000, 1.0)]}, logarithmic=True)
    first, second, last = chart.lines[0].dots
    left, right, top, bottom = chart.edges
    assert (first.y, last.y) == (bottom, top) and left < first.x < second.x < last.x < right
    assert abs(second.x - first.x - (last.x - first.x) / 3) <= 0.1
    assert [tick.text for tick in chart.across] == ["1", "10", "100", "1k"]
    assert curve_chart("none", {"a": []}).lines[0].path == ""
    assert curve_chart("one", {"a": [(3, 0.2)]}).lines[0].dots[0].text == "a, 3: 20.0\u00a0%"


def test_axes_are_read_well_whatever_is_on_them() -> None:
    low = curve_chart("c", {"a": [(0.45, -0.02), (4.0, 0.018)]}, across="kbit/s", logarithmic=True)
    assert [tick.text for tick in low.across] == ["0.5", "1", "2"]
    assert [tick.text for tick in low.up] == [f"{share}\u00a0%" for share in ("0.0", "0.5", "1.0", "1.5", "2.0")]
    assert low.lines[0].dots[0].y == low.edges[3] and low.lines[0].dots[0].text == "a, 0.45 kbit/s: -2.0\u00a0%"
    none = curve_chart("c", {"a": [(1, -0.5), (8, 0.0)]})
    assert len(none.up) == 6 and [tick.text for tick in none.across] == list("12345678")


def test_shades_have_an_ink_that_can_be_read() -> None:
    found = heat_map("t", ["0"] * 4, {"a": [Shade(value, "", "") for value in (None, 0.5, 0.6, 0.8)]}, top=1.0)
    assert [cell.ink for cell in found.rows[0][1]] == ["low", "low", "mid", "high"]
    assert [cell.level for cell in heat_map("t", ["0"], {"a": [Shade(None, "", "")]}).rows[0][1]] == [0.0]


def test_the_role_map_says_what_is_not_sure() -> None:
    found = role_map(document()["information"])
    assert found is not None and found.columns == ("0", "1")
    (name, (speaker, noise)) = found.rows[0]
    assert name == "speaker" and speaker.level == 1.0 and "chance" not in speaker.tip
    assert "not to be told from chance" in noise.tip


def test_maps_keep_their_proportions() -> None:
    found = {"points": [[0.0, 0.0], [2.0, 1.0]], "method": "umap", "explained": None}
    drawn = drawn_map(found, {0: 0.25})
    assert drawn is not None and drawn.path == "M10 220h0M290 80h0" and drawn.caption == "UMAP"
    assert (drawn.frequent[0].x, drawn.frequent[0].radius) == (10, 12.0)
    assert drawn_map(None, {}) is None
