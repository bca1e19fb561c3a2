"""The recordings that ship, and how they are made."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tokaudio.audio import audio_info
from tokaudio.probes.data.quick_data import TEST_VOICES, build_quick, read_data, shipped_folder
from tokaudio.probes.errors import ProbeError

SHIPPED = 20 * 2**20


def test_what_ships_is_small_whole_and_says_its_licence() -> None:
    folder, recordings = shipped_folder(), read_data("quick")
    assert sum(path.stat().st_size for path in folder.rglob("*")) < SHIPPED
    assert {path.name for path in (folder / "clips").iterdir()} == {one.path.name for one in recordings}
    assert "Apache-2.0" in (folder / "README.md").read_text(encoding="utf-8")
    for one in recordings[::200]:
        info = audio_info(one.path)
        assert info.sample_rate == 24_000 and not info.truncated


def test_every_voice_says_every_keyword_and_request_on_its_side() -> None:
    recordings = read_data("quick")
    words = Counter((one.speaker, one.facts["keyword"]) for one in recordings if "keyword" in one.facts)
    requests = Counter((one.speaker, one.facts["intent"]) for one in recordings if "intent" in one.facts)
    assert len(words) == 28 * 20 and set(words.values()) == {2}
    assert len(requests) == 28 * 18 and set(requests.values()) == {1}
    tested = {one.speaker for one in recordings if one.facts["fold"] == "test"}
    assert tested == set(TEST_VOICES)


def _voices(folder: Path) -> Path:
    """Return a tiny set in the form of the labelled voices."""
    (folder / "clips").mkdir(parents=True)
    rows = []
    for number, one in enumerate(read_data("quick")[:3]):
        shutil.copy(one.path, folder / "clips" / f"{number}.opus")
        rows.append(
            {
                "path": f"clips/{number}.opus",
                "voice": "af_nova",
                "task": "keyword",
                "label": "yes",
                "split": "eval",
                "text": "yes",
            }
        )
    rows.append({"path": "clips/0.opus", "voice": "blend00_f", "task": "read", "text": "no", "split": "train"})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def test_the_set_is_made_from_its_source_without_blends(tmp_path: Path) -> None:
    assert build_quick(_voices(tmp_path / "voices"), tmp_path / "quick") == 3
    made = read_data(tmp_path / "quick")
    assert [one.facts["keyword"] for one in made] == ["yes"] * 3
    assert (
        made[0].facts["fold"] == "test" and made[0].facts["tasks"] == "ks sid sv tts" and "split" not in made[0].facts
    )
    assert abs(audio_info(made[0].path).frames - audio_info(read_data("quick")[0].path).frames) < 100
    with pytest.raises(ProbeError, match="exists already"):
        build_quick(tmp_path / "voices", tmp_path / "quick")


def test_what_is_no_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="no such data; give quick, a folder"):
        read_data(tmp_path / "none")
    with pytest.raises(ProbeError, match=r"holds no manifest\.jsonl"):
        read_data(tmp_path)
    (tmp_path / "manifest.csv").write_text("path,text\na.wav,hello\n", encoding="utf-8")
    with pytest.raises(ProbeError, match="holds no labelled voices"):
        build_quick(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
