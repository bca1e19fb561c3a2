"""Phones of a pool: from label files, and from what a recogniser hears."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.recipes import phone_labels
from tokaudio.training.recipes.phone_labels import write_labels


class Recogniser:
    """Hears one phone in frames 1 to 2, and one that goes on too long from frame 4."""

    def __call__(self, samples: np.ndarray, rate: int) -> int:
        assert samples.dtype == np.float32 and rate == 16_000
        return len(samples)

    def phoneme_spans(self, heard: int) -> list[types.SimpleNamespace]:
        return [
            types.SimpleNamespace(phoneme=name, start_frame=start, end_frame=end)
            for name, start, end in (("AH", 1, 3), ("T", 4, 99))
        ]


def test_each_source_has_phones_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "hama", types.ModuleType("hama"))
    monkeypatch.setitem(sys.modules, "hama.asr", types.SimpleNamespace(ASRModel=Recogniser))
    monkeypatch.setattr(phone_labels, "fetch_packages", lambda folder, packages: [tmp_path / "labs"])
    (tmp_path / "labs" / "lab").mkdir(parents=True)
    (tmp_path / "labs" / "lab" / "ru_0001.lab").write_text("#\n0.03 125 pau\n0.08 125 a\n", encoding="utf-8")
    sound = np.full(2_000, 0.1, np.float32)
    quiet = sound.copy()
    quiet[5 * 320 :] = 1e-4
    clips = [
        ("wav/ru_0001.wav", "festvox-ru", sound[:1_600]),
        ("v", "voices-read", quiet),
        ("k", "voices-keyword", sound[:640]),
        ("s", "voices-intent", sound[:300]),
    ]
    write_pool(tmp_path / "pool", clips, 16_000)
    pool = AudioPool(tmp_path / "pool")
    assert write_labels(pool, tmp_path, 320) == {"festvox-ru": 4, "voices": 6}
    labels = np.load(tmp_path / "labels.npy")
    # 5 frames of festvox, the last after its labels; 7 of the voice, the last incomplete; 2 and 1 without labels.
    assert labels[:, 0].tolist() == [0, 1, 1, 1] + [-1] * 11
    assert labels[5:12, 1].tolist() == [0, 1, 1, 0, 2, 0, -1]
    assert (labels[12:] == -1).all() and (labels[:5, 1] == -1).all()
