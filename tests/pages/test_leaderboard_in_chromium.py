"""The leaderboard in a real browser: no errors, nothing loaded, no sideways scrolling, sortable."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.pages.browsing import CONTRASTS, opened
from tests.probes.test_leaderboard import HOSTILE, board


@pytest.fixture(scope="module")
def board_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "leaderboard.html"
    path.write_text(board().to_html(), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_shown_without_errors_in_any_width_and_light(
    browser: Browser, board_file: Path, width: int, scheme: str
) -> None:
    found = opened(browser, board_file, width=width, scheme=scheme)
    assert found.errors == [] and found.requests == [board_file.as_uri()]
    found.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    contrast, text = found.page.evaluate(CONTRASTS)
    assert contrast >= 4.5, text
    # Names of tokenizers are not broken into letters, and leave room for scores.
    widths = [(head.bounding_box() or {})["width"] for head in found.page.locator("tbody th").all()]
    assert widths and min(widths) >= 60 and max(widths) <= width / 2
    # Bars, radars and dots are within their charts.
    out = """[...document.querySelectorAll('svg rect, svg circle, svg polygon')].filter((one) => {
      const [a, b] = [one.getBoundingClientRect(), one.ownerSVGElement.getBoundingClientRect()];
      return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
    }).length"""
    assert found.page.evaluate(out) == 0
    assert found.page.locator(".radars svg").count() == 3 and found.page.locator(".bars svg").count() == 3


def test_scores_and_costs_are_sorted_by_their_heads(browser: Browser, board_file: Path) -> None:
    page = opened(browser, board_file).page
    table = page.locator("#scores table")
    head = table.get_by_role("button", name="asr")
    column = table.locator("thead button").all_inner_texts().index("asr \u2193") + 1

    def figures() -> list[float]:
        cells = table.locator(f"tbody td:nth-child({column})").all()
        return [float(cell.get_attribute("data-sort") or "nan") for cell in cells]

    head.click()
    assert figures() == sorted(figures(), reverse=True) and len(figures()) == 3
    head.click()
    assert figures() == sorted(figures()) and figures()[0] < figures()[-1]
    costs = page.locator("#costs table")
    costs.get_by_role("button", name="kbit/s").click()
    costs.get_by_role("button", name="kbit/s").click()
    assert costs.locator("tbody th").first.inner_text() == "words"


def test_hostile_names_do_nothing_and_bars_say_more(browser: Browser, board_file: Path) -> None:
    found = opened(browser, board_file)
    assert found.page.locator("script").count() == 1 and HOSTILE in found.page.locator("#scores").inner_text()
    found.page.locator(".bars rect").first.hover()
    tip = found.page.locator("#tip").inner_text()
    assert tip.startswith("words: ") and "95 % interval" in tip and "random tokens" in tip and found.errors == []


def test_every_picture_and_button_has_a_name(browser: Browser, board_file: Path) -> None:
    page = opened(browser, board_file).page
    unnamed = """[...document.querySelectorAll('svg, button, [role=region]')].filter(
      (one) => !one.getAttribute('aria-label') && !one.textContent.trim()).length"""
    assert page.evaluate(unnamed) == 0
