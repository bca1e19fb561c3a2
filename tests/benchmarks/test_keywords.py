"""The reading of keywords: its parts, and all of it with tones for words and a small random model."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path

import keywords
import numpy as np
import pytest
import soundfile
import torch

from tokaudio.nn.ssl import WhisperSizes
from tokaudio.tokenizers.backbones import make_backbone

TONES = {"low": 200.0, "high": 2500.0}
SIZES = WhisperSizes(width=16, layers=2, heads=2, inner=16, positions=60)


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """A folder of 24 clips: two words by three voices, one of them held out."""
    rows = []
    for voice, loud in (("a", 0.1), ("b", 0.3), ("c", 0.2)):
        for word, tone in TONES.items():
            for take in range(4):
                name = f"{word}-{voice}-{take}"
                at = np.arange(8_000 + 400 * take) / 24_000
                noise = 0.01 * np.random.default_rng(take).standard_normal(len(at))
                soundfile.write(tmp_path / f"{name}.flac", loud * np.sin(2 * np.pi * tone * at) + noise, 24_000)
                facts = {"id": name, "path": f"{name}.flac", "voice": voice, "label": word, "task": "keyword"}
                rows.append({**facts, "split": "eval" if voice == "c" else "train"})
    rows.append({**rows[0], "task": "read", "id": "other"})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def test_its_examples_hold() -> None:
    assert doctest.testmod(keywords).failed == 0


def test_counts_of_clips_shorter_than_their_parts() -> None:
    assert keywords.counts(np.array([1]), 2).reshape(4, 2).tolist() == [[0, 1], [0, 0], [0, 0], [0, 0]]


def test_a_probe_reads_what_the_codes_say() -> None:
    codes = [np.array([n % 3] * 9) for n in range(12)]
    read = keywords.read_by_probe(codes, ["x", "y", "z"] * 4, codes[:3], 3)
    assert read.tolist() == ["x", "y", "z"]


def test_all_of_it(voices: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = make_backbone(SIZES).eval().requires_grad_(False)
    written: dict[str, str] = {}
    monkeypatch.setattr(keywords, "load_backbone", lambda name: model)
    monkeypatch.setattr(keywords, "LAYERS", 2)
    monkeypatch.setattr(keywords, "MAIN", 2)
    monkeypatch.setattr(keywords, "write_section", written.__setitem__)
    options = ["--voices", str(voices), "--clusters", "8", "--seeds", "2", "--cache", str(tmp_path / "kept")]
    monkeypatch.setattr("sys.argv", ["keywords.py", *options])
    assert keywords.main() == 0
    lines = written["keywords"].splitlines()
    assert [line.split("|")[1].strip() for line in lines[-5:]] == [
        *("MFCC, k = 8", "layer 0, k = 8", "layer 1, k = 8", "layer 2, k = 8"),
        "layer 2, words of the training clips shuffled",
    ]
    assert "| MFCC, k = 8 | 100.0 | 100.0 to 100.0 | 67.6 to 100.0 | 100 |" in lines
    assert "fitted to 16 keyword clips of 2 synthetic voices" in written["keywords"]
    assert "reads 8 clips of 1 other voices" in written["keywords"] and "chance 50" in written["keywords"]
    assert len(list((tmp_path / "kept").glob("*.npy"))) == 24
    found = re.search(r"(\d+) of (\d+) codes of the folder's tokenizer differ", written["keywords"])
    assert found and int(found[1]) <= 0.05 * int(found[2]) and int(found[2]) > 100
