"""Parts of a report that need the tokenizer: budgets, what cannot be measured, and what is too large to draw."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile
import torch

from tests.analysis.tones import LEVELS, ToneTokenizer
from tokaudio import Tokenizer
from tokaudio.analysis import sound_measures
from tokaudio.analysis.codes import code_measures
from tokaudio.analysis.codes.code_measures import CodeMeasures
from tokaudio.analysis.decoding.swap_pairs import SwapMeter
from tokaudio.analysis.robustness.robustness import Robustness, RobustnessMeter
from tokaudio.analysis.robustness.transforms import Gain
from tokaudio.analysis.sound_measures import SoundMeasures
from tokaudio.analysis.sounds import Clip
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio.manifest import Recording
from tokaudio.errors import AudioError
from tokaudio.spec import CodebookSpec, TokenizerSpec

NOISE = 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)


@pytest.fixture(scope="module")
def codec() -> Tokenizer:
    return Tokenizer.from_pretrained("mini-codec")


@pytest.fixture(autouse=True)
def few_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_measures, "RobustnessMeter", partial(RobustnessMeter, transforms=[Gain(-6.0)]))


def codes_of(codec: Tokenizer) -> Any:
    return codec.encode(torch.from_numpy(NOISE)).numpy()[0]


def test_files_and_clips_say_the_same(tmp_path: Path) -> None:
    codec = ToneTokenizer()
    soundfile.write(tmp_path / "a.wav", NOISE, 16_000, subtype="FLOAT")
    found = []
    for sound in (Recording(tmp_path / "a.wav", "a"), Clip(NOISE, 16_000, "a")):
        measures = SoundMeasures(codec, seconds=5)
        measures.add(sound, codes_of(codec), pitch=np.full(100, 120.0), phones=np.arange(100) % 2)
        sections, notes = measures.finish(["a", "b"])
        assert not notes and [name for name, one in sections.items() if one is None] == ["swaps"]
        found.append({name: section.to_dict() for name, section in sections.items() if section})
    assert found[0] == found[1]
    first = found[0]["prototypes"]["codebooks"][0][0]
    assert first["pitch"] == pytest.approx(120, rel=0.01) and first["phones"][0][0] in "ab"
    assert len(found[0]["maps"]["rows"][0]["points"]) == LEVELS
    assert found[0]["neighbours"]["rows"][0]["of"][0] == first["code"]


def test_a_budget_of_seconds_ends_what_takes_long() -> None:
    codec = ToneTokenizer()
    measures = SoundMeasures(codec, seconds=1.5)
    for _ in range(4):
        measures.add(Clip(NOISE, 16_000, "a"), codes_of(codec))
    sections, _ = measures.finish()
    robustness = sections["robustness"]
    assert isinstance(robustness, Robustness) and robustness.seconds == 2.0
    assert sections["prototypes"].to_dict()["recordings"] == 4  # type: ignore[union-attr]
    assert SoundMeasures(codec, seconds=0).finish()[0]["ablation"] is None


def test_what_cannot_be_measured_is_left_out_with_a_reason(codec: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, audio: object, sample_rate: object = None) -> None:
        raise AudioError("a.wav: is odd; leave it out")

    monkeypatch.setattr(sound_measures.AblationMeter, "add", refuse)
    monkeypatch.setattr(type(codec), "codebooks", lambda self: [torch.zeros(1, 3)] * 8)
    measures = SoundMeasures(codec, seconds=1)
    measures.add(Clip(NOISE, 16_000, "a"), codes_of(codec))
    sections, notes = measures.finish()
    assert sections["ablation"] is None and sections["robustness"] is not None
    assert notes[0] == "Nothing is said about ablation: a.wav: is odd; leave it out."
    assert notes[1].startswith("A codebook is no map: ") and sections["maps"].rows == (None,) * 8  # type: ignore[union-attr]
    assert notes[-1].startswith("No code is held on: 8 tables and 8 counts for 8 codebooks")
    # Nothing was heard for robustness.
    sections, notes = SoundMeasures(codec, seconds=1).finish()
    assert sections["ablation"] is None and "Nothing is said about ablation: no recording was given" in notes[0]


def test_large_and_unlike_codebooks_are_not_drawn(codec: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_measures, "MOST_MAPPED", 100)
    measures = SoundMeasures(codec, seconds=0)
    measures.add(Clip(NOISE, 16_000, "a"), codes_of(codec))
    assert measures.finish()[0]["maps"].rows == (None,) * 8  # type: ignore[union-attr]
    monkeypatch.setattr(type(codec), "codebooks", lambda self: [torch.zeros(9, 3)])
    sections, notes = measures.finish()
    assert sections["maps"] is None and "there is not one table for each of them" in notes[-1]


def test_swaps_and_held_codes_stand_beside() -> None:
    codec = ToneTokenizer()
    swaps = SwapMeter(codec, pairs=1, voice=lambda sound, rate: [float(np.abs(sound).mean()), 0.01])
    measures = SoundMeasures(codec, seconds=0.5, swaps=swaps)
    long = np.concatenate([NOISE, NOISE])
    for peak, speaker in ((1.0, "ann"), (0.1, None)):
        sound = Clip(peak * long, 16_000, "a")
        measures.add(sound, codec.encode(sound.samples).numpy()[0], speaker=speaker)
    sections, notes = measures.finish()
    assert sections["swaps"].to_dict()["pairs"] == 1  # type: ignore[union-attr]
    assert notes == ["Who speaks is not known: codebooks may have been swapped between sounds of one voice."]
    # Of all four tones, and of the two levels that there are.
    assert measures.held is not None and {book for book, _ in measures.held.sounds} == {0, 1}
    assert len(measures.held.sounds) == 2 + 4
    # Nothing to swap, and nothing to hold on to.
    lonely = SoundMeasures(codec, seconds=0, swaps=SwapMeter(codec, voice=lambda sound, rate: [1.0]))
    sections, notes = lonely.finish()
    assert sections["swaps"] is None and lonely.held is None and notes[0].startswith("Nothing is said about swaps: ")


def measured(codes: Any, size: int = 8) -> tuple[dict[str, Any], list[str]]:
    spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(size),))
    measures = CodeMeasures(spec)
    for one in codes:
        measures.add(one)
    sections, notes = measures.finish(np.concatenate(codes, axis=1))
    return cast(dict[str, Any], sections), notes


def test_codes_alone_say_all_that_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = [np.arange(number, number + 400)[None] % 8 for number in range(8)]
    sections, notes = measured(recordings)
    assert not notes and all(sections.values())
    assert sections["usage"].codebooks[0].utilisation == 1.0
    assert sections["rarefaction"].rows[0].used == 8
    assert sections["temporal_redundancy"].rows[0].to_dict()["share"] == pytest.approx(1.0, abs=0.01)
    assert sections["predictability"].codebooks[0].bpe > 4
    monkeypatch.setattr(code_measures.importlib.util, "find_spec", lambda name: None)
    sections, notes = measured(recordings)
    assert sections["predictability"].codebooks[0].bpe is None
    assert notes == ["Nothing is said about BPE: the package tokenizers is missing (pip install 'tokaudio[bpe]')."]


def test_little_says_little() -> None:
    sections, notes = measured([np.zeros((1, 3), dtype=np.int64)])
    assert sections["temporal_redundancy"].rows == (None,) and sections["power_laws"].zipf == (None,)
    assert not notes and sections["predictability"].codebooks[0].bpe is None
    sections, notes = measured([np.zeros((1, 1), dtype=np.int64)])
    assert sections["predictability"] is None
    assert notes == ["Nothing is said about predictability: no frame is left to be foretold."]
    with pytest.raises(AnalysisError, match="there is no frame"):
        measured([np.zeros((1, 0), dtype=np.int64)])
