"""The demo of `examples/space` in a real browser: a sound goes in, and sound, picture, figures and tokens come out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import soundfile
import yaml

from tests.pages.browsing import CONTRASTS
from tokaudio import Tokens

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
SPACE, SPEECH = ROOT / "examples" / "space", ROOT / "examples" / "audio" / "speech.wav"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the demo is served; it is started as a user does it."""
    folder = tmp_path_factory.mktemp("space")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment |= {"PYTHONUNBUFFERED": "1", "GRADIO_TEMP_DIR": str(folder / "gradio"), "TMPDIR": str(folder)}
    command = [sys.executable, str(SPACE / "app.py")]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as served:
        assert served.stdout is not None
        said: list[str] = []
        for line in served.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found[0]
                break
        else:
            raise AssertionError("".join(said))
        served.terminate()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_sound_goes_in_and_comes_back(
    browser: Browser, address: str, tmp_path: Path, width: int, scheme: str
) -> None:
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.on("console", lambda one: wrong.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda answer: wrong.append(f"{answer.url}: {answer.status}") if answer.status >= 400 else None)
    known = (address, "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(known) else wrong.append(asked.url))
    page.goto(address)
    page.locator("input[type=file]").first.set_input_files(SPEECH)
    page.get_by_role("button", name="Tokenize").click()
    picture = page.get_by_role("img", name="codes under the spectrogram").locator("svg")
    picture.wait_for()
    box = picture.bounding_box()
    assert box is not None and 250 < box["width"] <= width
    player = page.locator('audio[src*="decoded"]')
    page.wait_for_function("one => one.readyState > 0", arg=player.element_handle())
    assert player.evaluate("one => one.duration") == pytest.approx(soundfile.info(SPEECH).duration, abs=0.01)
    assert "4 kbit/s" in page.get_by_text("tokens a second").inner_text()
    assert page.locator(".prose tbody tr").count() == 8
    with page.expect_download() as coming:
        page.get_by_role("link", name="tokens.npz").or_(page.locator("a[download='tokens.npz']")).first.click()
    coming.value.save_as(tmp_path / "tokens.npz")
    assert Tokens.load(tmp_path / "tokens.npz").codes.shape == (1, 8, 205)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Of what is ours: labels, tables, the button; icons of players are gradio's.
    page.evaluate("for (const one of document.querySelectorAll('button:not(.primary)')) one.remove()")
    contrast, text = page.evaluate(CONTRASTS)
    assert contrast >= 4.5, text
    assert wrong == []
    context.close()


def test_another_tokenizer_has_codebooks_of_its_own(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    page.get_by_label("tokenizer").first.click()
    page.get_by_role("option", name="mini-semantic").click()
    slider = page.get_by_role("slider")
    assert page.wait_for_function("one => one.max === '2'", arg=slider.element_handle())
    page.close()


def test_what_is_wrong_is_told_in_a_line(browser: Browser, address: str, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(address)
    page.get_by_role("button", name="Tokenize").click()
    page.get_by_text("Record or upload a sound first.").wait_for()
    broken = tmp_path / "broken.wav"
    broken.write_bytes(SPEECH.read_bytes()[:20_000])
    page.locator("input[type=file]").first.set_input_files(broken)
    page.wait_for_function("document.querySelector('input[type=file]') === null")
    page.get_by_role("button", name="Tokenize").click()
    told = page.get_by_text("broken.wav: ").first
    told.wait_for()
    assert "\n" not in told.inner_text().strip() and "Traceback" not in page.inner_text("body")
    page.close()


def test_the_front_matter_is_that_of_a_space() -> None:
    _, matter, text = (SPACE / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(matter)
    assert facts["sdk"] == "gradio" and (SPACE / facts["app_file"]).is_file() and text.strip()
    assert len(facts["short_description"]) <= 60 and facts["license"] == "apache-2.0"
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"gradio=={facts['sdk_version']}" in pins
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert (SPACE / "requirements.txt").read_text(encoding="utf-8").split() == ["tokaudio[space]"] and "space" in extras
