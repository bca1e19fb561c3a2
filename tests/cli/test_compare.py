"""`tokaudio compare`, and the page of `tokaudio analyze`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analysis.support import write_corpus
from tests.cli.support import Cli, names


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus in `data`, in the current folder."""
    write_corpus(tmp_path / "data", recordings=8, segments=6)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_two_tokenizers_become_a_page_and_json(place: Path, cli: Cli) -> None:
    (place / "data/wav/1.wav").write_bytes(b"RIFF")
    command = ("compare", "mini-semantic", "mini-codec", "data/wav", "--intervention-seconds", "0", "-o", "out.html")
    outcome = cli(*command, "--json", "out.json")
    assert outcome.code == 1 and outcome.err.count("1.wav") == 1
    document = json.loads((place / "out.json").read_text(encoding="utf-8"))
    lines = outcome.out.splitlines()
    assert (
        document["names"] == ["mini-semantic", "mini-codec"]
        and lines[: len(document["sentences"]) + 2] == document["warnings"] + document["sentences"]
    )
    assert lines[-1] == "compared 2 tokenizers on 7 recordings, 1 failures: out.html"
    assert (place / "out.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    refused = cli(*command)
    assert refused.code == 2 and "out.html" in refused.failure


def test_too_few_names_are_refused(place: Path, cli: Cli) -> None:
    before = names(place)
    outcome = cli("compare", "mini-codec", "data/wav", "-o", "out.html")
    assert outcome.code == 2 and "name two tokenizers or more" in outcome.failure and names(place) == before


def test_analyze_writes_a_page_with_sound(place: Path, cli: Cli) -> None:
    command = ("analyze", "data/all.csv", "-t", "mini-semantic", "--intervention-seconds", "0", "-q", "-o")
    assert cli(*command, "out.html").code == 0
    page = (place / "out.html").read_text(encoding="utf-8")
    assert "data:audio/flac;base64," in page and "ablation by decoding, swapped codebooks, robustness." in page
    assert cli(*command, "out.html").code == 2 and cli(*command, "none/out.html").code == 2
