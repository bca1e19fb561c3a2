"""Swapped codebooks, judged by functions that hear the level as the voice and the tones as the words."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.analysis.tones import HOP, RATE, TONES, ToneTokenizer, melody
from tokaudio.analysis.decoding.swaps import swap_test
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.errors import TokensError

WORDS = ("ba", "de", "gi", "ko")
LOUD = melody([0, 1, 2, 3], [0, 0, 0, 0])
SOFT = melody([3, 3, 0, 1, 2], [2, 2, 2, 2, 2])


def level(samples: np.ndarray, rate: int) -> list[float]:
    assert rate == RATE and samples.ndim == 1
    return [float(np.sqrt(np.mean(samples**2))), 0.3]


def notes(samples: np.ndarray, rate: int) -> str:
    """Say a word for every ten frames."""
    pieces = samples.reshape(-1, 10 * HOP)
    hertz = np.abs(np.fft.rfft(pieces)).argmax(1) * rate / (10 * HOP)
    return " ".join(WORDS[int(np.abs(np.array(TONES) - one).argmin())] for one in hertz)


def test_each_codebook_brings_along_what_it_means() -> None:
    found = swap_test(ToneTokenizer(), [(LOUD, SOFT, RATE)], voice=level, words=notes)
    loudness, tone = found.codebooks
    assert loudness.donor_voice and loudness.host_voice and loudness.donor_nearer and loudness.donor_words
    assert loudness.host_voice
    assert loudness.donor_voice.value == pytest.approx(1, abs=1e-6) and loudness.host_voice.value < 0.95
    assert loudness.donor_nearer.value == 1.0 and loudness.host_words and loudness.host_words.value == 0.0
    assert tone.donor_voice and tone.host_voice and tone.donor_words and tone.host_words and tone.donor_nearer
    assert tone.host_voice.value == pytest.approx(1, abs=1e-6) and tone.donor_voice.value < 0.95
    assert tone.donor_nearer.value == 0.0
    # Four edits, no fewer, lead from "ba de gi ko" to "ko ko ba de".
    assert tone.donor_words.value == 0.0 and tone.host_words.value == loudness.donor_words.value == 1.0
    assert found.voices and found.voices.value == pytest.approx(tone.donor_voice.value, abs=1e-6)


def test_both_directions_of_every_pair_count() -> None:
    heard: list[int] = []

    def count(samples: np.ndarray, rate: int) -> list[float]:
        heard.append(len(samples))
        return [1.0]

    found = swap_test(ToneTokenizer(), [(LOUD, SOFT, RATE), (SOFT, LOUD, RATE)], voice=count)
    # Of each pair: both sounds, and both codebooks in both directions, all as long as the shorter.
    assert heard == [4 * 10 * HOP] * 12 and found.pairs == 2


def test_without_a_judge_there_is_no_figure() -> None:
    found = swap_test(ToneTokenizer(), [(LOUD, SOFT, RATE)], voice=level)
    assert found.codebooks[0].donor_words is found.codebooks[1].host_words is None
    found = swap_test(ToneTokenizer(), [(LOUD, SOFT, RATE)], words=notes)
    assert found.voices is found.codebooks[0].donor_voice is found.codebooks[1].donor_nearer is None
    with pytest.raises(AnalysisError, match="give a judge"):
        swap_test(ToneTokenizer(), [(LOUD, SOFT, RATE)])


def test_sounds_without_words_do_not_count() -> None:
    found = swap_test(ToneTokenizer(), [(LOUD, SOFT, RATE)], words=lambda samples, rate: "")
    assert found.codebooks[0].donor_words and np.isnan(found.codebooks[0].donor_words.value)
    assert found.to_dict()["codebooks"][0]["donor_words"] == {"value": None, "interval": None}


def test_a_silent_voice_has_no_direction() -> None:
    found = swap_test(ToneTokenizer(), [(LOUD, SOFT, RATE)], voice=lambda samples, rate: [0.0, 0.0])
    assert found.voices and found.voices.value == 0.0


def test_all_of_it_is_json() -> None:
    found = swap_test(ToneTokenizer(), [(LOUD, SOFT, RATE)] * 3, voice=level, words=notes)
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["pairs"] == 3 and again["codebooks"][1]["codebook"] == 1
    assert again["codebooks"][0]["off_distribution"] is False
    assert again["codebooks"][0]["donor_nearer"] == {"value": 1.0, "interval": [1.0, 1.0]}


def test_misuse_is_refused() -> None:
    with pytest.raises(AnalysisError, match="give at least one"):
        swap_test(ToneTokenizer(), [], voice=level)
    with pytest.raises(AnalysisError, match="sounds with samples"):
        swap_test(ToneTokenizer(), [(torch.zeros(0), LOUD, RATE)], voice=level)
    codec = ToneTokenizer()
    codec.decodes = False
    with pytest.raises(TokensError, match="turns sound into tokens only"):
        swap_test(codec, [(LOUD, SOFT, RATE)], voice=level)
