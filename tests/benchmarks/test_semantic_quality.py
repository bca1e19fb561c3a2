"""The comparison of units by what they know about phones."""

from pathlib import Path

import numpy as np
import pytest
import semantic_quality
import torch
from semantic_quality import Labelled, fitted, measured, mfcc, report

from tokaudio.training.pool import AudioPool, write_pool


def tones(count: int, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """Tones of 0.1 s, and which of four pitches each frame has."""
    which = np.random.default_rng(seed).integers(0, 4, count)
    time = np.arange(1_600) / 16_000
    sound = np.concatenate([0.3 * np.sin(2 * np.pi * 300 * 2**k * time) for k in which])
    return torch.from_numpy(sound.astype(np.float32)), which.repeat(5)


@pytest.mark.parametrize("length", [640, 1_600, 1_700])
def test_mfccs_lie_at_the_middle_of_each_hop(length: int):
    assert mfcc(torch.randn(length)).shape == (-(-length // 320) - (length % 320 > 0), 39)
    click = torch.zeros(3_200)
    click[7 * 320 + 160] = 1.0
    assert int(mfcc(click)[:, 0].argmax()) == 7


def test_clusters_of_mfccs_know_which_tone_is_heard(tmp_path: Path):
    sound, _ = tones(60, 0)
    write_pool(tmp_path, [("a", "s", sound.numpy()), ("left out", "s", np.zeros(2_000, np.float32))], 16_000)
    for even in (False, True):
        units = fitted(mfcc, AudioPool(tmp_path), 2, 8, even=even)
        known = measured(units, [Labelled(*tones(20, 1)), Labelled(*tones(30, 2))])
        assert known.pnmi > 0.6 and known.frames > 240
        chance = measured(units, [Labelled(tones(50, 1)[0], tones(50, 2)[1])])
        assert chance.pnmi < 0.3


def test_the_report_names_every_system_and_set():
    known = measured(lambda samples: torch.arange(10) % 2, [Labelled(torch.zeros(3_200), np.arange(10) % 2)])
    text = report({"one": {"units": known}, "two": {"units": known, "others": known}}, 7)
    assert text.count("| 10 | 1.000 | 1.000 |") == 3 and "one in 7 clips" in text


def test_sentences_that_were_trained_on_can_be_left_out(tmp_path: Path):
    import soundfile

    for folder in ("lab", "wav"):
        (tmp_path / "festvox-ru" / folder).mkdir(parents=True)
    for number in (10, 11):
        soundfile.write(tmp_path / "festvox-ru" / "wav" / f"ru_00{number}.wav", np.zeros(1_000), 16_000)
        lab = f"#\n0.03 125 pau\n0.06 125 {number}\n"
        (tmp_path / "festvox-ru" / "lab" / f"ru_00{number}.lab").write_text(lab, encoding="utf-8")
    (held,) = semantic_quality.festvox(tmp_path, only_held_out=True)
    assert held.phones.tolist() == [0, 1, 1, -1]
    assert [clip.phones.max() for clip in semantic_quality.festvox(tmp_path, only_held_out=False)] == [1, 2]
