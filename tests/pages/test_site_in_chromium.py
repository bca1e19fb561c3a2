"""The site of the documentation: it builds without a warning, and every page of it works in a browser."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]

# The site is built once, and ninety pages are opened.
pytestmark = pytest.mark.timeout(900)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_every_page_is_quiet_whole_and_fits_a_phone(browser: Browser, site: Path, address: str):
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
    page.on("response", lambda answer: wrong.append(f"{answer.url}: {answer.status}") if answer.status >= 400 else None)
    page.on("request", lambda asked: None if asked.url.startswith((address, "data:")) else wrong.append(asked.url))
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("index.html"))
    assert len(names) > 60
    for name in names:
        page.goto(f"{address}/{name}")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{name}: scrolls sideways")
    assert not wrong


def test_the_home_page_shows_codes_and_plays_sound_in_one_screen(browser: Browser, address: str):
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
        page.goto(address)
        picture = page.locator(f'.listen img[src*="{scheme}"]')
        assert picture.evaluate("one => one.complete && one.naturalWidth > 100")
        box = picture.bounding_box()
        assert box is not None and box["y"] + box["height"] < 800
        players = page.locator("audio")
        assert players.count() == 2
        for number in range(2):
            loaded = "one => new Promise(done => { one.onloadedmetadata = () => done(one.duration); one.load(); })"
            player = players.nth(number)
            player.evaluate("one => { one.preload = 'metadata'; }")
            assert player.evaluate(loaded) == pytest.approx(4.1, abs=0.05)
        page.close()
