"""The recipe of mini-codec: what it takes in, and what it exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tokaudio import Tokenizer
from tokaudio.tokenizers.self_check import run_self_check
from tokaudio.training.loop import Loop, Schedule
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.recipes import mini_codec
from tokaudio.training.recipes.mini_codec_card import about_mini_codec
from tokaudio.training.recipes.speech_pool import voice_clips

RESULTS = {
    "voices": {
        "original": {"stoi": 1.0, "wer_above_original": 0.0, "kbps": 256.0, "usage": []},
        "mini-codec": {"stoi": 0.912, "wer_above_original": 0.031, "kbps": 4.01, "usage": [0.83, 0.99]},
    }
}


@pytest.fixture
def pool(tmp_path: Path) -> AudioPool:
    noise = np.random.default_rng(0).normal(scale=0.1, size=48_000).astype(np.float32)
    write_pool(tmp_path / "pool", [("a", "festvox-ru", noise), ("b", "voices-read", noise[:24_000])], 16_000)
    return AudioPool(tmp_path / "pool")


def test_card_says_data_and_quality(pool: AudioPool) -> None:
    about = about_mini_codec(pool, ["123 steps of a.", "9 steps of b."], RESULTS)
    assert "| `festvox-ru` | Russian, one speaker, Debian package | 0.1 | BSD-like |" in about
    assert "in 2 stages:\n\n1. 123 steps of a.\n2. 9 steps of b.\n" in about
    assert "| voices | mini-codec | 4.01 | 0.912 | +3.1 | 83 % |" in about
    assert "original |" not in about.split("## Quality")[1].split("## Limits")[0].split("---:|\n")[1]
    assert "## Quality" not in about_mini_codec(pool, ["123 steps."], None)


def test_export_is_a_tokenizer_with_its_self_check(pool: AudioPool, tmp_path: Path) -> None:
    training = mini_codec.training(pool)
    Loop(tmp_path / "run", training, Schedule(10)).save()
    exported = mini_codec.export(
        tmp_path / "run", tmp_path / "out", about=about_mini_codec(pool, ["0 steps."], RESULTS)
    )
    loaded = Tokenizer.from_pretrained(tmp_path / "out")
    assert loaded.fingerprint == exported.fingerprint
    assert loaded.spec == mini_codec.SPEC
    assert run_self_check(loaded, tmp_path / "out").passed
    assert exported.fingerprint in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert sum(value.numel() for value in loaded.state_dict().values()) <= 4_000_000
    assert (tmp_path / "out" / "model.safetensors").stat().st_size <= 10_000_000


def test_weights_are_the_averaged_ones(pool: AudioPool, tmp_path: Path) -> None:
    training = mini_codec.training(pool)
    name = "encoder.out.bias"
    training.averaged[name] += 0.25
    Loop(tmp_path / "run", training, Schedule(10)).save()
    exported = mini_codec.export(tmp_path / "run", tmp_path / "out")
    torch.testing.assert_close(exported.state_dict()[name], training.averaged[name].half().float())


def test_voices_held_out_for_evaluation_stay_out(tmp_path: Path) -> None:
    rows = [
        {"id": name, "path": f"{name}.flac", "split": split, "task": "read"}
        for name, split in (("kept", "train"), ("held-out", "eval"))
    ]
    for row in rows:
        soundfile.write(tmp_path / row["path"], np.zeros(2_400), 24_000)
    (tmp_path / "manifest.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    clips = list(voice_clips(tmp_path))
    assert [(name, source, len(samples)) for name, source, samples in clips] == [("kept", "voices-read", 1_600)]
