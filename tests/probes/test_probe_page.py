"""The page on probes: its commands exist, its Python runs."""

import re
from pathlib import Path

import pytest
import typer

from tests.docs.running import run_page
from tokaudio.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "probes" / "probe.md"


def test_options_that_the_page_names_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    known = {name for option in commands["probe"].params for name in option.opts}
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("tokaudio probe")]
    assert lines
    for line in lines:
        used = re.findall(r"(?<= )--?[a-z-]+", line.partition("#")[0])
        assert set(used) <= known, line


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = run_page("docs/probes/probe.md")["results"]
    assert results.task("ks").missing_baselines == ()
