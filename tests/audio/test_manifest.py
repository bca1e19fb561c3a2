"""Manifests of recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokaudio.audio.manifest import Recording, read_manifest
from tokaudio.errors import AudioError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.jsonl",
            '{"path": "x/a.wav", "voice": "ann", "speed": 1.5, "text": null}\n\n{"path": "b.wav", "text": ""}\n',
        ),
        ("a.csv", "\ufeffpath,voice,speed,text\r\nx/a.wav,ann,1.5,\r\nb.wav,,,\r\n"),
        ("a.tsv", "path\tvoice\tspeed\ttext\nx/a.wav\tann\t1.5\t\nb.wav\t\t\t\n"),
    ],
)
def test_all_forms_say_the_same(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    first, second = read_manifest(tmp_path / name)
    assert first == Recording(tmp_path / "x/a.wav", "x/a.wav", {"path": "x/a.wav", "voice": "ann", "speed": "1.5"})
    assert first.speaker == "ann" and second.speaker is None


def test_speakers_come_from_the_first_column_that_names_them() -> None:
    facts = {"voice": "v", "speaker": "s"}
    assert Recording(Path("a"), "a", facts).speaker == "s"
    assert Recording(Path("a"), "a", {"speaker_id": "7"}).speaker == "7"


def test_paths_that_are_absolute_stay(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("file\n/data/a.wav\n")
    assert read_manifest(tmp_path / "a.csv")[0].path == Path("/data/a.wav")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "{\n", "line 1 is no JSON"),
        ("a.jsonl", "\n[1]\n", "line 2 is no object"),
        ("a.jsonl", '{"path": "a.wav"}\n{"voice": "ann"}\n', "line 2 has no path; name a column path or file"),
        ("a.jsonl", "\n", "has no rows"),
        ("a.csv", "path\n", "has no rows"),
        ("a.csv", "voice\nann\n", "line 2 has no path"),
        ("a.csv", "path\n" + "x" * 200_000 + "\n", "is no table"),
    ],
)
def test_damaged_manifests_are_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(AudioError, match=message):
        read_manifest(tmp_path / name)


def test_manifests_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="cannot be read"):
        read_manifest(tmp_path / "none.jsonl")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AudioError, match="not UTF-8"):
        read_manifest(tmp_path / "a.csv")
