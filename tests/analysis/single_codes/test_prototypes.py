"""What is said of single codes, of sounds in which it is known."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.tones import HOP, RATE, TONES, ToneTokenizer, melody, random_melody
from tokaudio.analysis.single_codes import code_statistics
from tokaudio.analysis.single_codes.code_statistics import CodeStatistics, pitch_bins
from tokaudio.analysis.single_codes.occurrences import Occurrences
from tokaudio.analysis.single_codes.prototype_results import Prototypes
from tokaudio.analysis.single_codes.prototypes import PrototypeMeter
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.spec import CodebookSpec, TokenizerSpec


def described(sounds: list[torch.Tensor], **options: int) -> Prototypes:
    codec = ToneTokenizer()
    meter = PrototypeMeter(codec.spec, **options)
    for number, sound in enumerate(sounds):
        meter.add(codec.encode(sound).codes[0], [sound[None]], RATE, name=f"{number}.wav")
    return meter.finish()


def test_a_code_that_means_a_tone_has_its_spectrum() -> None:
    found = described([random_melody(seed, notes=20) for seed in range(3)])
    assert [len(book) for book in found.codebooks] == [4, 4]
    for one in found.codebooks[1]:
        loudest = found.mel_centres[int(np.argmax(one.levels))]
        assert loudest == pytest.approx(TONES[one.code], rel=0.1)


def test_a_code_that_means_a_level_has_it() -> None:
    found = described([melody([1] * 4, [0, 1, 2, 3], frames=40)])
    levels = {one.code: max(one.levels) for one in found.codebooks[0]}
    steps = [levels[code] - levels[code + 1] for code in range(3)]
    assert steps == pytest.approx([6.02] * 3, abs=0.6)
    [tone] = found.codebooks[1]
    # The spread of four levels, 6 dB apart.
    assert tone.spread[int(np.argmax(tone.levels))] == pytest.approx(6.02 * np.std([0, 1, 2, 3]), abs=0.5)


def test_frames_shares_and_order() -> None:
    found = described([melody([0, 1, 0, 2], [0, 0, 0, 0])])
    assert [(one.code, one.frames, one.share) for one in found.codebooks[1]] == [
        (0, 20, 0.5),
        (1, 10, 0.25),
        (2, 10, 0.25),
    ]
    assert (found.frames, found.recordings, found.left) == (40, 1, (0, 0))


def test_examples_are_where_the_code_is() -> None:
    codec, sounds = ToneTokenizer(), [random_melody(seed) for seed in range(5)]
    for one in described(sounds, examples=3).codebooks[1]:
        assert 1 <= len(one.examples) <= 3
        for example in one.examples:
            cut = slice(round(example.start * RATE), round(example.stop * RATE))
            codes = codec.encode(sounds[int(example.recording[0])][cut]).codes[0, 1]
            assert set(codes.tolist()) == {one.code}


def test_phones_and_pitch_are_of_the_frames_of_the_code() -> None:
    spec = TokenizerSpec("toy", "semantic", RATE, HOP, (CodebookSpec(9),))
    meter = PrototypeMeter(spec)
    silence = [np.zeros((1, 6 * HOP))]
    meter.add(
        [[3, 3, 3, 3, 5, -1]],
        silence,
        RATE,
        name="a",
        pitch=[100, 110, 220, np.nan, 50, 99],
        phones=[0, 0, 1, -1, 1, 1],
    )
    meter.add([[5] * 6], silence, RATE, name="b")
    most, other = meter.finish(phone_names=["s"]).codebooks[0]
    assert (most.code, most.frames, most.phones, most.voiced) == (5, 7, (("1", 1.0),), pytest.approx(1 / 7))
    assert other.phones == (("s", pytest.approx(2 / 3)), ("1", pytest.approx(1 / 3)))
    assert other.voiced == 0.75 and other.pitch == pytest.approx(110, rel=0.01)
    assert most.share == pytest.approx(7 / 11)


def test_a_code_without_pitch_has_none_and_all_is_json() -> None:
    found = described([random_melody(1)])
    assert found.codebooks[0][0].pitch is None and found.codebooks[0][0].voiced == 0
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["codebooks"][1][0]["examples"][0]["recording"] == "0.wav"
    assert len(again["codebooks"][0][0]["levels"]) == len(again["mel_centres"]) == 40


def test_sums_of_pieces_equal_those_of_all_at_once() -> None:
    random = np.random.default_rng(0)
    codes, levels = random.integers(-1, 30, 500), random.normal(size=(500, 3)).astype(np.float32)
    book = CodeStatistics(3, 1, 0)
    for part in np.array_split(np.arange(500), 7):
        nothing = np.full(len(part), -1)
        book.count(codes[part], nothing, nothing)
        book.hear(codes[part], levels[part])
    for one in book.prototypes(0, 99, 5, {}, []):
        own = levels[codes == one.code].astype(np.float64)
        assert one.frames == len(own)
        assert one.levels == pytest.approx(own.mean(0).tolist()) and one.spread == pytest.approx(own.std(0).tolist())


def test_codes_beyond_the_limit_are_counted_and_not_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_statistics, "MOST_CODES", 2)
    found = described([melody([3, 2, 1, 0], [0, 0, 0, 0])])
    assert len(found.codebooks[1]) == 2 and found.left == (0, 20)
    assert {one.share for one in found.codebooks[1]} == {0.25}


@given(st.floats(33, 1_000))
def test_the_median_of_one_pitch_is_that_pitch(hertz: float) -> None:
    book = CodeStatistics(1, 0, 0)
    book.count(np.array([0]), pitch_bins(np.array([hertz])), np.array([-1]))
    [one] = book.prototypes(0, 1, 0, {}, [])
    assert one.pitch == pytest.approx(hertz, rel=0.01)


def test_pitches_out_of_range_go_to_the_ends() -> None:
    assert pitch_bins(np.array([1.0, 9_000.0, 0.0, np.nan])).tolist() == [0, 239, -1, -1]


def test_places_are_runs_drawn_evenly() -> None:
    drawn: Counter[int] = Counter()
    for seed in range(300):
        places = Occurrences(2, seed=seed)
        places.add(np.array([1, 1, 0, 1, -1, 1, 0]), 4)
        places.add(np.array([1]), 9)
        found = places.finish()
        assert found[0] == [(4, 2, 1), (4, 6, 1)] and len(found[1]) == 2
        assert set(found[1]) <= {(4, 0, 2), (4, 3, 1), (4, 5, 1), (9, 0, 1)}
        drawn.update(start + 100 * recording for recording, start, _ in found[1])
    assert all(100 < count < 200 for count in drawn.values()) and len(drawn) == 4


def test_choosing_often_keeps_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokaudio.analysis.single_codes.occurrences._WAITING", 1)
    places = Occurrences(3)
    for recording in range(50):
        places.add(np.array([recording % 7, 7]), recording)
    found = places.finish()
    assert [len(found[code]) for code in range(8)] == [3] * 8
    assert all(recording % 7 == code for code in range(7) for recording, _, _ in found[code])


def test_misuse_is_refused() -> None:
    spec = ToneTokenizer().spec
    with pytest.raises(AnalysisError, match=r"give \[2, T\]"):
        PrototypeMeter(spec).add([[1, 2]], [], RATE, name="a")
    with pytest.raises(AnalysisError, match=r"pitch is \[1\] for 2 frames"):
        PrototypeMeter(spec).add([[1, 2], [1, 2]], [], RATE, name="a", pitch=[1.0])
    with pytest.raises(AnalysisError, match="0 or more"):
        Occurrences(-1)
