"""Pairs for swaps: of two speakers as far as they are known, of one rate, long enough, and no more than are wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.analysis.tones import RATE, ToneTokenizer, melody
from tokaudio.analysis.decoding.swap_pairs import SwapMeter
from tokaudio.analysis.sounds import Clip
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio.manifest import Recording
from tokaudio.errors import TokensError

SOUNDS = {
    "ann": melody([0, 1], [0, 0], frames=100),
    "bob": melody([2, 3], [3, 3], frames=100),
    "eve": melody([1, 0], [1, 1], frames=100),
}


def level(samples: np.ndarray, rate: int) -> list[float]:
    return [float(np.sqrt(np.mean(samples**2))), 0.3]


def meter(**options: int) -> SwapMeter:
    return SwapMeter(ToneTokenizer(), voice=level, **options)


def clip(name: str, rate: int = RATE) -> Clip:
    return Clip(SOUNDS[name], rate, name)


def pairs(found: SwapMeter) -> int:
    return found.finish().pairs


def test_pairs_are_of_two_speakers() -> None:
    found = meter()
    for name in ("ann", "ann", "ann"):
        found.add(clip(name), 2.0, name)
    with pytest.raises(AnalysisError, match=r"no two recordings of 1\.5 s or more by different speakers"):
        found.finish()
    found.add(clip("bob"), 2.0, "bob")
    found.add(clip("eve"), 2.0, "eve")
    assert pairs(found) == 1 and found.speakers_known
    found.add(clip("ann"), 2.0, "ann")
    assert pairs(found) == 2


def test_unknown_speakers_are_paired_and_that_is_told() -> None:
    found = meter()
    found.add(clip("ann"), 2.0)
    found.add(clip("bob"), 2.0)
    assert pairs(found) == 1 and not found.speakers_known


def test_short_sounds_other_rates_and_more_than_wanted_are_left_out() -> None:
    found = meter(pairs=1)
    found.add(clip("ann"), 1.0, "ann")
    found.add(clip("ann", 8000), 2.0, "ann")
    found.add(clip("bob"), 2.0, "bob")
    with pytest.raises(AnalysisError):
        found.finish()
    for name in ("eve", "ann", "bob", "eve"):
        found.add(clip(name), 2.0, name)
    assert pairs(found) == 1


def test_files_are_opened_at_the_end(tmp_path: Path) -> None:
    found = meter()
    for name in ("ann", "bob"):
        soundfile.write(tmp_path / f"{name}.wav", SOUNDS[name].numpy(), RATE, subtype="FLOAT")
        found.add(Recording(tmp_path / f"{name}.wav", name), 2.0, name)
    book = found.finish().codebooks[0]
    assert book.donor_nearer is not None and book.donor_nearer.value == 1.0


def test_misuse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnalysisError, match="nobody judges"):
        SwapMeter(ToneTokenizer())
    with pytest.raises(AnalysisError, match="give 1 or more"):
        meter(pairs=0)
    monkeypatch.setattr(ToneTokenizer, "decodes", False)
    with pytest.raises(TokensError, match="decode"):
        meter()
