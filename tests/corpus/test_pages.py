"""What the pages on corpora show runs as it stands there, one block after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.corpus.support import write_sounds
from tests.docs.running import run_page

PAGES = Path(__file__).parents[2] / "docs" / "corpus"


def test_the_code_of_the_pages_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sounds(tmp_path / "sounds", 3)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for page in ("encode.md", "verify.md"):
        run_page(f"docs/corpus/{page}", names)
    assert names["findings"] == [] and (tmp_path / "tokens/_SUCCESS").exists()


def test_options_of_the_pages_exist() -> None:
    from typer.main import get_command

    from tokaudio.cli.app import app

    group = get_command(app).commands["corpus"]  # type: ignore[attr-defined]
    known = {name for command in group.commands.values() for option in command.params for name in option.opts}
    for page in ("encode.md", "verify.md"):
        text = (PAGES / page).read_text(encoding="utf-8").replace("--ntasks", "")
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known, page
