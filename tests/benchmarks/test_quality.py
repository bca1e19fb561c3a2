"""The bookkeeping of the quality benchmark, with stand-in judges."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from evaluation_sets import Clip
from quality import KEYS, Bench, Judgement, as_json, as_markdown, claims, compared, reversed_share
from quality_sets import Package, load_package
from scores import Cache
from systems import Output, System, original


def _judgement(level: float, count: int = 6) -> Judgement:
    values = {key: [level + 0.01 * number for number in range(count)] for key in KEYS if key != "WER %"}
    return Judgement(values, [1] * count, [10] * count, 2_000.0, None, 1.0)


def test_figures_are_means_and_word_errors_are_pooled() -> None:
    judgement = _judgement(1.0, 3)
    judgement.values["PESQ-wb"][0] = math.nan
    judgement.errors, judgement.words = [1, 0, 0], [1, 1, 8]
    assert judgement.figure("STOI") == pytest.approx(1.01)
    assert judgement.figure("PESQ-wb") == pytest.approx(1.015)
    assert judgement.figure("WER %") == pytest.approx(10.0)
    assert judgement.figure("WER %", np.array([1, 1])) == pytest.approx(0.0)
    assert math.isnan(Judgement().figure("WER %"))


def test_comparisons_know_where_less_is_better() -> None:
    high, low = _judgement(2.0), _judgement(1.0)
    won, lost = compared(high, low)
    assert [part.split()[0] for part in won.split(", ")] == ["DNSMOS", "DistillMOS", "PESQ-wb", "STOI", "speaker"]
    assert "mel 2.02:1.02 (0 %)" in lost
    assert (reversed_share(high, low, "STOI"), reversed_share(high, low, "mel")) == (0.0, 1.0)


def test_the_section_has_a_row_per_system_and_the_claims() -> None:
    clips = [Clip("a", "read", "one", np.zeros(16_000, np.float32))]
    names = ("voices", "asterisk-en", "asterisk-es-fr", "dialogue-cs-nl")
    table = {name: {"mine": _judgement(2.0), "theirs": _judgement(1.0)} for name in names}
    text = as_markdown(table, dict.fromkeys(names, clips), [("mine", "theirs")])
    assert text.count("| mine | 2.00 |  | 2.02 | 2.02 | 2.02 | 2.025 | 2.025 | 2.025 | 10.0 |") == 4
    assert "### mine against theirs" in text
    assert as_json(table)["voices"]["mine"]["kbps"] == pytest.approx(2.0)


def test_claims_are_asked_of_three_and_of_eight_codebooks() -> None:
    systems = [System(f"t{count}", lambda audio: Output(audio, 1.0), (1024,) * count) for count in (1, 3, 8)]
    assert claims([systems]) == [("t3", "Codec2 3200 bit/s"), ("t8", "Opus 6 kbit/s")]


def test_judges_are_asked_once_for_equal_sound(tmp_path: Path) -> None:
    asked: list[str] = []

    def judge(name: str) -> Any:
        def call(*audios: Any) -> float | None:
            asked.append(name)
            return None if name == "PESQ-wb" else 3.0

        call.name, call.identity = name, name  # type: ignore[attr-defined]
        return call

    bench = Bench.__new__(Bench)
    bench.cache = Cache(tmp_path / "memory")
    bench.alone, bench.beside = [judge("DNSMOS"), judge("DistillMOS")], [judge("PESQ-wb"), judge("speaker")]
    bench.reader = SimpleNamespace(identity="reader", transcribe=lambda audios: iter(["one two"]))  # type: ignore[assignment]
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    clips = [Clip("a", "read", "one two three", noise)] * 2
    result = bench.judge(original(), clips, read=True)
    assert asked == ["DNSMOS", "DistillMOS", "PESQ-wb", "speaker"]
    assert result.values["DNSMOS"] == [3.0, 3.0]
    assert all(math.isnan(value) for value in result.values["PESQ-wb"])
    assert (result.errors, result.words, result.file_bits) == ([1, 1], [3, 3], None)
    assert bench.judge(original(), clips, read=False).words == []


def test_clips_of_fitting_length_are_taken_evenly(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    package = Package("speech", "1", "", "**/*.ogg")
    root = tmp_path / "speech-1"
    root.mkdir()
    for number, seconds in enumerate((2.0, 1.0, 3.0, 10.0, 2.5, 4.0)):
        # Decoded already, as after a first run.
        soundfile.write(root / f"{number}.flac", np.zeros(int(16_000 * seconds), np.float32), 16_000)
        (root / f"{number}.ogg").touch()
    (root / "complete").touch()
    assert [clip.name for clip in load_package(package, 3, tmp_path)] == ["0.ogg", "2.ogg", "4.ogg"]
    assert [clip.name for clip in load_package(package, 6, tmp_path)] == ["0.ogg", "2.ogg", "4.ogg", "5.ogg"]


def test_another_package_than_the_expected_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "speech_1_all.deb").write_bytes(b"other")
    with pytest.raises(SystemExit, match="not the expected package"):
        load_package(Package("speech", "1", "0" * 64, "*"), 1, tmp_path)
