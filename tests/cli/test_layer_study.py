"""`tokaudio layers`: a corpus of tones through a tiny model in the layout of the Hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analysis.support import write_corpus
from tests.cli.support import Cli, names
from tests.training.speech import write_backbone

COMMAND = ("layers", "--backbone", "model", "-o", "out.html", "-k", "4,20")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus in `data` and a random model in `model`, in the current folder."""
    write_corpus(tmp_path / "data", recordings=8, segments=6)
    write_backbone(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_manifest_and_label_files_become_a_page(place: Path, cli: Cli) -> None:
    before = names(place)
    outcome = cli(*COMMAND, "data/all.csv", "--labels", "data/lab", "--layers", "0,2", "--json")
    assert outcome.code == 0 and not outcome.err
    document = json.loads(outcome.out)
    assert document["attributes"] == ["phone", "speaker", "pitch", "energy"] and document["layers"] == [0, 2]
    assert document["backbone"] == "model" and document["clusters"] == [4, 20]
    assert document["facts"]["recordings"] == 8 and len(document["measurements"]) == 3 * 2 * 4
    page = (place / "out.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert all(sentence in page for sentence in document["findings"]) and page.startswith("<!doctype html>")
    assert names(place) == sorted([*before, "out.html"])  # nothing else stays


def test_a_folder_and_text_for_people(place: Path, cli: Cli) -> None:
    outcome = cli(*COMMAND, "data/wav", "--no-mfcc", "--max-minutes", "0.1")
    assert outcome.code == 0 and not outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].startswith("Pitch: layer ") and "MFCC" not in outcome.out
    assert any(line.startswith("Which layer keeps the content cannot be said") for line in lines)
    assert lines[-1].endswith("0 failures: out.html")
    assert cli(*COMMAND, "data/wav", "-q", "-f", "--layers", "1").out == ""


def test_broken_recordings_and_labels_are_reported(place: Path, cli: Cli) -> None:
    (place / "data/wav/1.wav").write_bytes(b"RIFF")
    (place / "data/lab/2.lab").write_text("#\n99.0 125 a\n")
    outcome = cli(*COMMAND, "data/wav", "--labels", "data/lab", "--layers", "1")
    assert outcome.code == 1 and len(outcome.failures) == 2
    assert any("data/wav/1.wav" in line for line in outcome.failures)
    assert any("2.lab: its labels end at 99.00 s" in line for line in outcome.failures)
    assert "Recordings that could not be read and were left out: 1." in (place / "out.html").read_text()


def test_rows_are_chosen(place: Path, cli: Cli) -> None:
    outcome = cli(*COMMAND, "data/all.csv", "--where", "speaker=ann", "--json", "--layers", "1")
    document = json.loads(outcome.out)
    assert document["facts"]["recordings"] == 3 and "speaker" not in document["attributes"]
    assert any("there is only one" in note for note in document["notes"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data/wav", "-k", "1,5"), "-k 1,5: is no list of numbers from 2 on"),
        (("data/wav", "-k", "many"), "-k many: is no list of numbers"),
        (("data/wav", "--layers", "-1"), "--layers -1: is no list of numbers from 0 on"),
        (("data/wav", "--layers", "9"), "9"),
        (("data/wav", "-o", "no/out.html"), "no/out.html: its directory does not exist"),
        (("data/wav", "-o", "data"), "data: is a directory"),
        (("data/wav", "--labels", "model"), "model: holds no .lab file"),
        (("data/wav", "--backbone", "none"), "none: "),
        (("nothing",), "nothing: no such file or folder"),
        (("model",), "model: holds none of .wav"),
        (("data/all.csv", "--where", "speaker"), "--where speaker: is no condition"),
        (("data/all.csv", "--where", "speaker=zoe"), "data/all.csv: holds no rows that meet the conditions"),
        (("data/wav/0.wav",), "1 of 1 recordings can be used"),
        (("data/wav", "-k", "5000"), "frames for 5000 clusters; give more audio"),
    ],
)
def test_what_cannot_be_studied_is_one_line(place: Path, cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    outcome = cli(*COMMAND, *arguments)
    assert outcome.code == 2 and len(outcome.failures) == 1, outcome
    assert message in outcome.failures[0] and not (place / "out.html").exists()


def test_nothing_is_overwritten(place: Path, cli: Cli) -> None:
    (place / "out.html").write_text("mine")
    outcome = cli(*COMMAND, "data/wav")
    assert outcome.code == 2 and "out.html: exists already" in outcome.err
    assert (place / "out.html").read_text() == "mine"
