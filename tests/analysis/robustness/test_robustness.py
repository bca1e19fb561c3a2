"""Robustness: what each change does to each codebook of a tokenizer that is understood."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.analysis.tones import HOP, RATE, ToneTokenizer, melody, random_melody
from tokaudio.analysis.robustness.results import Robustness
from tokaudio.analysis.robustness.robustness import STANDARD, RobustnessMeter, present, robustness
from tokaudio.analysis.robustness.timing import PitchShift, Shift, Slice, TimeStretch
from tokaudio.analysis.robustness.transforms import Changed, Gain, Noise, Setting, Sound, Transform
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.errors import MissingDependencyError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokens import Tokens

SOUNDS = [(random_melody(seed), RATE) for seed in range(4)]


def measured(*transforms: Transform) -> Robustness:
    return robustness(ToneTokenizer(), SOUNDS, transforms=transforms)


def figures(found: Robustness, name: str, kind: str) -> list[float]:
    return [getattr(book, kind).value for book in found.find(name).codebooks]


def test_a_gain_is_heard_by_the_level_alone() -> None:
    found = measured(Gain(-6.0206))
    assert figures(found, "gain -6.0206 dB", "agreement") == [0.0, 1.0]
    level, tone = figures(found, "gain -6.0206 dB", "edit_distance")
    assert level > 0.3 and tone == 0.0


def test_a_pitch_is_heard_by_the_tone_alone() -> None:
    found = measured(PitchShift(12.0))
    level, tone = figures(found, "pitch +12 semitones", "agreement")
    assert level > 0.6 and tone < 0.4


class _Slower(Transform):
    """Every frame twice."""

    name = "slower"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        return Changed(sound.reshape(1, -1, HOP).repeat(2, axis=1).reshape(1, -1), speed=0.5)


def test_durations_do_not_count() -> None:
    found = measured(_Slower())
    assert figures(found, "slower", "agreement") == [1.0, 1.0]
    assert figures(found, "slower", "edit_distance") == [0.0, 0.0]
    assert found.transforms[0].codebooks[0].frames == 960


def test_a_stretched_tone_is_the_same_tone() -> None:
    found = robustness(ToneTokenizer(), [(melody([1, 3], [1, 1], frames=100), RATE)], transforms=[TimeStretch(0.8)])
    assert found.transforms[0].codebooks[1].agreement.value > 0.9


def test_slices_and_no_change_agree_wholly() -> None:
    found = measured(Slice(0.5), Gain(0.0))
    for name in ("slice of 50 %", "gain +0 dB"):
        assert figures(found, name, "agreement") == [1.0, 1.0]
        assert figures(found, name, "edit_distance") == [0.0, 0.0]
    assert [one.codebooks[0].frames for one in found.transforms] == [240, 480]


def test_more_noise_does_more() -> None:
    found = measured(Noise(60.0), Noise(0.0))
    assert figures(found, "noise 60 dB", "agreement") == [1.0, 1.0]
    assert figures(found, "noise 0 dB", "agreement")[0] < 0.6


def test_intervals_end_where_figures_do() -> None:
    sounds = [(sound * (1 if number else 0.1), RATE) for number, (sound, _) in enumerate(SOUNDS)]
    found = robustness(ToneTokenizer(), sounds, transforms=[Noise(14.0)]).transforms[0]
    for book in found.codebooks:
        for figure, most in ((book.edit_distance, np.inf), (book.agreement, 1.0)):
            assert figure.interval and 0.0 <= figure.interval[0] <= figure.value <= figure.interval[1] <= most


def test_chance_is_what_other_frames_would_have() -> None:
    found = robustness(ToneTokenizer(), [(melody([0, 1], [0, 1]), RATE)], transforms=[Gain(0.0)])
    assert [book.chance for book in found.transforms[0].codebooks] == [0.5, 0.5]


def test_everything_is_counted_and_is_json() -> None:
    found = robustness(ToneTokenizer(), SOUNDS, transforms=STANDARD)
    assert not found.not_measured and found.seconds == pytest.approx(4 * 1.2)
    assert [one.name for one in found.transforms] == [transform.name for transform in STANDARD]
    assert {one.recordings for one in found.transforms} == {4}
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["transforms"][0]["codebooks"][1]["agreement"]["value"] == 1.0


def test_the_same_seed_gives_the_same_figures() -> None:
    one, two = (robustness(ToneTokenizer(), SOUNDS, transforms=[Noise(0.0)], seed=3) for _ in range(2))
    other = robustness(ToneTokenizer(), SOUNDS, transforms=[Noise(0.0)], seed=4)
    assert one == two and one != other


class _Broken(Transform):
    def __init__(self, error: Exception) -> None:
        self.error, self.calls = error, 0

    @property
    def name(self) -> str:
        return "broken"

    def __call__(self, sound: Sound, setting: Setting) -> Changed:
        self.calls += 1
        raise self.error


def test_what_cannot_be_made_here_is_tried_once_and_said() -> None:
    broken = _Broken(MissingDependencyError("opus: is missing; install it"))
    found = measured(Gain(0.0), broken)
    assert broken.calls == 1
    assert found.not_measured == {"broken": "opus: is missing; install it"}
    with pytest.raises(AnalysisError, match=r"broken was not measured; there are gain \+0 dB"):
        found.find("broken")


def test_recordings_too_short_for_a_change_are_counted() -> None:
    sounds = [*SOUNDS, (torch.full((100,), 0.1), RATE)]
    found = robustness(ToneTokenizer(), sounds, transforms=[Slice(0.5)])
    assert (found.transforms[0].recordings, found.transforms[0].left_out) == (4, 1)
    alone = robustness(ToneTokenizer(), sounds[-1:], transforms=[Shift(100)])
    assert "give longer recordings" in alone.not_measured["shift by 100 samples"]


def test_files_other_rates_and_only_the_first_seconds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full((44_100, 2), 0.1, np.float32), 44_100)
    meter = RobustnessMeter(ToneTokenizer(), transforms=[Gain(0.0)], max_seconds=0.5)
    meter.add(tmp_path / "a.wav")
    meter.add(torch.full((2, 4_000), 0.1), 8_000)
    meter.add(torch.zeros(0), RATE)
    found = meter.finish()
    assert found.seconds == 1.0 and found.transforms[0].codebooks[0].frames == 100


@pytest.mark.parametrize("transforms", [[], [Gain(1.0), Gain(1.0)]])
def test_no_change_or_one_twice_is_refused(transforms: list[Transform]) -> None:
    with pytest.raises(AnalysisError, match="give at least one, each once"):
        RobustnessMeter(ToneTokenizer(), transforms=transforms)


@pytest.mark.parametrize(("seconds", "audio", "words"), [(0.0, (8,), "above 0"), (1.0, (2, 1, 8), "2 items")])
def test_excerpts_are_judged(seconds: float, audio: tuple[int, ...], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        RobustnessMeter(ToneTokenizer(), max_seconds=seconds).add(torch.zeros(audio), RATE)


def test_codes_beyond_the_depth_are_absent() -> None:
    spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
    tokens = Tokens(
        torch.tensor([[[1, 2], [3, 4]]]), torch.tensor([2]), torch.tensor([640]), spec, depth=torch.tensor([[2, 1]])
    )
    assert present(tokens).tolist() == [[1, 2], [3, -1]]
