"""The benchmarks of mini-hybrid and mini-bands: what is counted, and what the tables say of it."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import mini_bands
import mini_hybrid
import numpy as np
import pytest
import torch
from semantic_quality import Labelled

from tokaudio import Tokenizer


def speech(seed: int, seconds: float = 1.0) -> torch.Tensor:
    noise = torch.randn(round(seconds * 16_000), generator=torch.Generator().manual_seed(seed))
    return 0.3 * noise * torch.linspace(-3, 0, len(noise)).exp()


def test_phones_are_counted_where_they_are_known_and_some_recordings_decoded():
    phones = np.where(np.arange(50) < 40, np.arange(50) // 10, -1)
    clips = [Labelled(speech(seed), phones) for seed in range(3)]
    found = mini_hybrid.judged(Tokenizer.from_pretrained("mini-codec"), clips, every=2)
    assert found["frames"] == 3 * 40
    assert list(found["mel"]) == ["1", "3", "8"] and found["mel"]["8"] < found["mel"]["1"]
    assert len(found["used"]) == 8 and all(0 < share <= 150 / 1024 for share in found["used"])
    assert len(found["pnmi"]) == len(found["bits"]) == len(found["share"]) == 2


def test_ratios_are_ours_by_theirs():
    ours = {"bits": [3.0, 0.1], "pnmi": [0.6, 0.1], "mel": {"1": 0.3, "8": 0.21}}
    theirs = {"bits": [1.5, 0.1], "pnmi": [0.4, 0.1], "mel": {"1": 0.2, "8": 0.2}}
    (line,) = mini_hybrid.ratios({"voices": {"a": ours, "b": theirs}}, "a", "b")
    assert "voices: 2.00 times" in line and "PNMI 1.50 times" in line and "1.050 times" in line
    more = {"share": [0.5, 0.1], "used": [0.5, 0.875], "frames": 7}
    told = mini_hybrid.report({"voices": {"a": ours | more, "b": theirs | more}}, "a", "b")
    assert "| voices | a | 7 | 3.000 / 0.100 | 0.500 / 0.100 | 0.600 / 0.100 | 50 % | 0.3000 / 0.2100 |" in told


def test_attribution_is_read_off_the_diagonal():
    row = {"shares": [[0.9, 0.1], [0.25, 0.75]], "used": [0.5, 1.0], "mel": 0.2, "stoi": 0.9, "pesq": 1.5}
    told = mini_bands.report({"ours": row, "theirs": row}, [(0.0, 250.0), (250.0, 8_000.0)], 12)
    assert "| 1 | 0 to 250 Hz | 90.0 % | 90.0 % |" in told and "| 2 | 250 to 8000 Hz | 75.0 % | 75.0 % |" in told
    assert "| theirs | 0.2000 | 0.900 | 1.50 | 50 % |" in told and "12 sentences" in told


def test_a_codec_without_bands_is_judged_in_those_of_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pesq", SimpleNamespace(pesq=lambda rate, sound, made, band: 1.5))
    sounds = [speech(seed).numpy() for seed in range(2)]
    found = mini_bands.judged(Tokenizer.from_pretrained("mini-codec"), sounds, [(0, 1_000), (1_000, 8_001)])
    assert np.array(found["shares"]).sum(1) == pytest.approx(np.ones(8))
    assert found["frames"] == 100 and found["pesq"] == 1.5 and 0 <= found["stoi"] <= 1
