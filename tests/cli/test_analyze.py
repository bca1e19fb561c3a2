"""`tokaudio analyze`: sound and token files, labels, and what is refused before any work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analysis.support import write_corpus
from tests.analysis.test_saved_tokens import dataset, items
from tests.cli.support import Cli, names


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus in `data`, in the current folder."""
    write_corpus(tmp_path / "data", recordings=8, segments=6)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sound_and_labels_become_sentences_and_json(place: Path, cli: Cli) -> None:
    before = names(place)
    command = ("analyze", "data/all.csv", "-t", "mini-semantic", "--labels", "data/lab", "--intervention-seconds", "0")
    outcome = cli(*command, "--json", "out.json")
    assert outcome.code == 0 and not outcome.err
    document = json.loads((place / "out.json").read_text(encoding="utf-8"))
    lines = outcome.out.splitlines()
    assert lines[0] == document["warning"] and lines[0].startswith("Too little audio: 7.4 seconds are not enough for")
    assert lines[1 : 1 + len(document["sentences"])] == document["sentences"]
    assert lines[-1].startswith("analysed 8 recordings, ") and lines[-1].endswith(" 0 failures: out.json")
    assert {row["attribute"] for row in document["information"]} >= {"phone", "speaker", "energy"}
    assert names(place) == sorted([*before, "out.json"])
    refused = cli(*command, "--json", "out.json")
    assert refused.code == 2 and "out.json" in refused.failure
    assert cli(*command, "-q", "-f", "--json", "out.json", "--max-minutes", "0.1").out == ""


def test_token_files_need_no_tokenizer(place: Path, cli: Cli) -> None:
    assert cli("encode", "data/wav", "-t", "mini-semantic", "-o", "tokens", "-q").code == 0
    outcome = cli("analyze", "tokens", "--labels", "data/lab")
    assert outcome.code == 0 and outcome.out.startswith("Codebook 0: phone ")
    bare = cli("analyze", "tokens/0.npz", "tokens/1.npz")
    assert bare.code == 0 and bare.out.startswith("There was no sound")
    assert bare.out.splitlines()[-1].startswith("analysed 2 recordings")
    for option in ("--max-minutes", "--swap-pairs"):
        assert f"{option}: is of no use with saved tokens" in cli("analyze", "tokens", option, "1").failure


def test_a_dataset_is_read_and_its_columns_are_labels(tmp_path: Path, cli: Cli) -> None:
    folder = str(dataset(tmp_path / "corpus", "parquet", items()))
    outcome = cli("analyze", folder, "-o", str(tmp_path / "page.html"))
    assert outcome.code == 0 and outcome.out.startswith("Codebook 0: speaker ")
    assert outcome.out.splitlines()[-1].startswith("analysed 30 recordings") and "Usage" in (
        tmp_path / "page.html"
    ).read_text(encoding="utf-8")
    (tmp_path / "corpus" / "00000.parquet").write_bytes(b"PAR1")
    outcome = cli("analyze", folder)
    assert outcome.code == 1 and "00000.parquet" in outcome.failure
    assert outcome.out.splitlines()[-1].startswith("analysed 20 recordings")


def test_broken_recordings_and_labels_are_reported(place: Path, cli: Cli) -> None:
    (place / "data/wav/1.wav").write_bytes(b"RIFF")
    (place / "data/lab/2.lab").write_text("#\n99.0 125 a\n")
    outcome = cli("analyze", "data/wav", "-t", "mini-semantic", "--labels", "data/lab", "--intervention-seconds", "0")
    assert outcome.code == 1 and len(outcome.failures) == 2
    assert any("data/wav/1.wav" in line for line in outcome.failures)
    assert any("2.lab: its labels end at 99.00 s" in line for line in outcome.failures)
    assert "Recordings that could not be read and were left out: 1." in outcome.out


def test_misuse_is_refused_before_any_work(place: Path, cli: Cli) -> None:
    for arguments, code, message in (
        (("data/wav",), 2, "is sound, which needs a tokenizer"),
        (("data/wav", "-t", "mini-semantic", "--json", "data"), 2, "is a directory"),
        (("data/wav", "-t", "mini-semantic", "--json", "none/a.json"), 2, "its directory does not exist"),
        (("data/wav", "-t", "mini-semantic", "--labels", "data/wav"), 2, r"holds no .TextGrid and no .lab file"),
        (("data/wav", "-t", "no-such"), 2, "no-such"),
    ):
        outcome = cli("analyze", *arguments)
        assert outcome.code == code and message in outcome.failure, outcome
