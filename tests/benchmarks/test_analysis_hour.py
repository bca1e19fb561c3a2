"""The cost of a report: recordings are chosen and listed, and commands are run, on a little."""

from __future__ import annotations

from pathlib import Path

import analysis_hour as hour
import numpy as np
import pytest
import soundfile


def corpus(folder: Path) -> Path:
    for name in ("a", "sub/b", "c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{name}.wav", 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    return folder


def test_recordings_are_chosen_until_there_are_enough(tmp_path: Path) -> None:
    corpus(tmp_path)
    assert len(hour.chosen(tmp_path, 2 / 60)) == 2 and hour.chosen(tmp_path, 2 / 60) == hour.chosen(tmp_path, 2 / 60)
    with pytest.raises(SystemExit, match=r"has 0\.1 minutes; give 5"):
        hour.chosen(tmp_path, 5)


def test_each_recording_is_listed_so_many_times(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "audio")
    hour.link([(folder / "sub/b.wav", Path("sub/b.wav"))], tmp_path / "many", 2)
    found = sorted(path.relative_to(tmp_path / "many").as_posix() for path in (tmp_path / "many").rglob("*.wav"))
    assert found == ["00/sub/b.wav", "01/sub/b.wav"]


def test_what_a_command_costs_is_measured_and_a_failure_ends_it() -> None:
    found = hour.cost(["--version"])
    assert 0 < found.seconds < 60 and 5 < found.memory < 5000
    with pytest.raises(SystemExit, match="failed with exit code 2"):
        hour.cost(["analyze", "no-such-folder"])


def test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def cost(arguments: list[str]) -> hour.Cost:
        seen.append(arguments)
        return hour.Cost(2.0 if arguments[0] == "encode" else 30.0, 500.0)

    monkeypatch.setattr(hour, "cost", cost)
    body = hour.section(["toy"], corpus(tmp_path), tmp_path, [1, 10], 2 / 60)
    assert body.splitlines()[-2:] == [
        "| toy | 1 | 2 s | 30 s | **28 s** | 500 MB |",
        "| toy | 10 | 20 s | 30 s | **10 s** | 500 MB |",
    ]
    assert [one[0] for one in seen] == ["encode", "analyze", "analyze"] and seen[2][1].endswith("/audio/10")
    assert "2 recordings, 0.0 minutes, with phone labels" in body
