"""Pages in a real browser, opened from disk: no errors, nothing loaded, no sideways scrolling, and what one can do."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.analysis.reported import HOSTILE, document, sounds
from tests.analysis.test_comparison import comparison
from tests.pages.browsing import CONTRASTS, opened
from tokaudio.analysis.pages.listening import example_clips, sounds_by_name
from tokaudio.analysis.pages.report_page import report_page


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    whole = document() | {"warning": "Too little audio: 4 seconds are not enough to say what these codes mean."}
    path = tmp_path_factory.mktemp("page") / "report.html"
    clips = example_clips(whole["sections"]["prototypes"], sounds_by_name(sounds()))
    path.write_text(report_page(whole, clips), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_is_shown_without_errors_in_any_width_and_light(
    browser: Browser, report_file: Path, width: int, scheme: str
) -> None:
    found = opened(browser, report_file, width=width, scheme=scheme)
    assert found.errors == [] and found.requests == [report_file.as_uri()]
    found.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    # Names of rows are not broken into letters.
    heads = found.page.locator(".heat tbody th").all()
    assert heads and all((head.bounding_box() or {})["width"] >= 60 for head in heads)
    paper = found.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(252, 252, 251)" if scheme == "light" else "rgb(21, 24, 28)")
    contrast, text = found.page.evaluate(CONTRASTS)
    assert contrast >= 4.5, text
    assert len(found.page.screenshot()) > 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_comparison_is_shown_without_errors(browser: Browser, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "compare.html"
    path.write_text(comparison().to_html(), encoding="utf-8")
    found = opened(browser, path, width=360, scheme=scheme)
    assert found.errors == [] and found.requests == [path.as_uri()] and HOSTILE in found.page.title()
    assert found.page.evaluate("document.documentElement.scrollWidth") == 360
    contrast, text = found.page.evaluate(CONTRASTS)
    assert contrast >= 4.5, text


def test_hostile_names_do_nothing(browser: Browser, report_file: Path) -> None:
    found = opened(browser, report_file)
    assert found.page.title() == f"Codebook report of {HOSTILE}" and found.errors == []
    assert found.page.locator("img").count() == 0 and found.page.locator("script").count() == 1
    # Even what slips into the page does not run.
    found.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    found.page.wait_for_timeout(50)
    assert found.page.title() != "1" and "Content Security Policy" in found.errors[0]


def test_tables_are_sorted_by_their_heads(browser: Browser, report_file: Path) -> None:
    page = opened(browser, report_file).page
    table = page.locator("#usage table").first
    head = table.get_by_role("button", name="perplexity")

    def figures() -> list[float]:
        return [float(text) for text in table.locator("tbody td:nth-child(6)").all_inner_texts()]

    head.click()
    assert figures() == sorted(figures(), reverse=True) and len(figures()) == 2
    assert head.locator("..").get_attribute("aria-sort") == "descending"
    head.press("Enter")
    assert figures() == sorted(figures()) and figures()[0] < figures()[1]


def test_figures_say_more_when_pointed_at(browser: Browser, report_file: Path) -> None:
    page = opened(browser, report_file, width=360).page
    tip = page.locator("#tip")
    assert tip.is_hidden()
    cell = page.locator("#meaning .heat td").first
    cell.scroll_into_view_if_needed()
    # The event of scrolling, which hides tips, comes with the next frame.
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    cell.hover()
    assert tip.inner_text().startswith("codebook 0, speaker: ") and " to " in tip.inner_text()
    box = tip.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 360
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    page.locator("#meaning .heat td").nth(1).focus()
    assert "chance" in tip.inner_text()


def test_codes_can_be_listened_to(browser: Browser, report_file: Path) -> None:
    found = opened(browser, report_file)
    button = found.page.locator("button.play").first
    decoded = found.page.evaluate(
        """async (address) => {
          const sound = new Audio(address);
          await new Promise((done, failed) => { sound.onloadedmetadata = done; sound.onerror = failed; });
          return sound.duration;
        }""",
        button.get_attribute("data-sound"),
    )
    assert 0.2 < decoded < 4
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert button.get_attribute("aria-pressed") == "false" and found.errors == []


def test_every_picture_and_button_has_a_name(browser: Browser, report_file: Path) -> None:
    page = opened(browser, report_file).page
    unnamed = """[...document.querySelectorAll('svg, button, [role=region]')].filter(
      (one) => !one.getAttribute('aria-label') && !one.textContent.trim()).length"""
    assert page.evaluate(unnamed) == 0 and page.evaluate("document.documentElement.lang") == "en"
