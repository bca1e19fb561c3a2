"""STOI, the text normaliser and the word error rate."""

from __future__ import annotations

import sys

import numpy as np
import pystoi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tokaudio.errors import AudioError, MissingDependencyError, TokaudioError
from tokaudio.metrics.intelligibility import (
    WordErrors,
    evaluate,
    normalize_text,
    stoi,
    validate,
    word_error_rate,
    word_errors,
)

RATE = 16_000


def _speech_like(seconds: float = 1.0, seed: int = 0) -> NDArray[np.float64]:
    """Noise under a 4 Hz envelope: has the modulation that STOI correlates."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    noise: NDArray[np.float64] = generator.standard_normal(time.size) * (1.1 + np.sin(2 * np.pi * 4 * time))
    return 0.1 * noise


class TestStoi:
    @pytest.mark.parametrize("extended", [False, True])
    def test_is_what_pystoi_computes(self, extended: bool) -> None:
        clean = _speech_like()
        noisy = clean + 0.1 * np.random.default_rng(1).standard_normal(clean.size)
        expected = pystoi.stoi(clean, noisy, RATE, extended=extended)
        assert stoi(clean, noisy, RATE, extended=extended) == pytest.approx(expected, abs=1e-9)

    def test_is_repeatable_and_leaves_the_global_generator_alone(self) -> None:
        clean, other = _speech_like(), _speech_like(seed=3)
        before = np.random.get_state(legacy=False)  # noqa: NPY002
        scores = evaluate(clean, other, RATE)
        np.testing.assert_equal(np.random.get_state(legacy=False), before)  # noqa: NPY002
        np.random.random(3)  # noqa: NPY002
        assert evaluate(clean, other, RATE) == scores

    def test_falls_with_noise_and_does_not_depend_on_gain(self) -> None:
        clean = _speech_like()
        noise = np.random.default_rng(1).standard_normal(clean.size)
        scores = [stoi(clean, clean + level * noise, RATE) for level in (0.0, 0.03, 0.1, 1.0)]
        assert scores[0] == pytest.approx(1.0)
        assert scores == sorted(scores, reverse=True)
        assert scores[-1] < 0.5
        assert stoi(clean, 0.25 * clean, RATE) == pytest.approx(1.0)

    def test_depends_on_the_rate(self) -> None:
        clean, other = _speech_like(), _speech_like(seed=3)
        assert stoi(clean, other, RATE) != stoi(clean, other, 2 * RATE)

    @pytest.mark.parametrize("seconds", [0.01, 0.1, 0.35])
    def test_too_short_has_no_score(self, seconds: float) -> None:
        clean = _speech_like(seconds)
        with pytest.raises(AudioError, match="undefined"):
            stoi(clean, clean, RATE)

    def test_silence_around_speech_does_not_count(self) -> None:
        quiet = np.zeros(RATE)
        with pytest.raises(AudioError, match="undefined"):
            stoi(quiet, quiet, RATE)
        padded = np.concatenate([quiet, _speech_like(0.2), quiet])
        with pytest.raises(AudioError, match="undefined"):
            stoi(padded, padded, RATE)

    def test_silent_estimate_scores_zero(self) -> None:
        clean = _speech_like()
        assert stoi(clean, np.zeros_like(clean), RATE) == pytest.approx(0.0, abs=1e-6)

    def test_evaluate_returns_every_metric(self) -> None:
        clean, other = _speech_like(), _speech_like(seed=3)
        scores = evaluate(clean, other, RATE)
        assert scores == {"stoi": stoi(clean, other, RATE), "estoi": stoi(clean, other, RATE, extended=True)}
        assert all(type(score) is float for score in scores.values())


class TestValidate:
    def test_lists_and_float32_become_float64(self) -> None:
        reference, estimate = validate([0, 1], np.ones(2, np.float32), RATE)
        assert reference.dtype == estimate.dtype == np.float64

    @pytest.mark.parametrize(
        ("reference", "estimate", "rate", "message"),
        [
            (np.ones((1, 4)), np.ones(4), RATE, r"reference: shape \[1, 4\]"),
            (np.ones(4), np.ones((4, 1)), RATE, r"estimate: shape \[4, 1\]"),
            (np.ones(0), np.ones(0), RATE, "no samples"),
            (np.ones(4), np.ones(5), RATE, "has 5 samples and the reference 4"),
            (np.array([0.0, np.nan]), np.ones(2), RATE, "reference: holds NaN"),
            (np.ones(2), np.array([0.0, np.inf]), RATE, "estimate: holds NaN or Inf"),
            (np.ones(2), np.ones(2), 0, "sample_rate 0"),
        ],
    )
    def test_refuses(
        self, reference: NDArray[np.float64], estimate: NDArray[np.float64], rate: int, message: str
    ) -> None:
        with pytest.raises(AudioError, match=message):
            validate(reference, estimate, rate)
        with pytest.raises(AudioError, match=message):
            stoi(reference, estimate, rate)


class TestNormalizeText:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Press 5, then #.", "press five then pound"),
            ("A.M. and p.m.", "am and pm"),
            ("It\u2019s o'clock", "its oclock"),
            ("space [ ] (note: x) <beep up>", "space"),
            ("Un-mute...yourself!", "un mute yourself"),
            ("H.323 & 50%", "h three hundred twenty three and fifty percent"),
            ("  \n", ""),
            ("caf\u00e9_bar", "caf\u00e9 bar"),
        ],
    )
    def test_cases(self, text: str, expected: str) -> None:
        assert normalize_text(text) == expected

    @given(st.text(max_size=60))
    def test_is_idempotent(self, text: str) -> None:
        once = normalize_text(text)
        assert normalize_text(once) == once

    @given(st.text(alphabet='abc XYZ.,!?;-"', max_size=40))
    def test_yields_only_words(self, text: str) -> None:
        assert all(word.isalpha() and word == word.lower() for word in normalize_text(text).split())


def _distance(said: list[str], read: list[str]) -> int:
    """Levenshtein distance, by the textbook recurrence."""
    row = list(range(len(read) + 1))
    for i, a in enumerate(said, start=1):
        previous, row = row, [i]
        for j, b in enumerate(read, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (a != b)))
    return row[-1]


_words = st.lists(st.sampled_from(["red", "green", "blue", "up", "down"]), max_size=6)


class TestWordErrors:
    def test_counts_each_kind(self) -> None:
        errors = word_errors(["turn the light on now", "go"], ["turn a light on", "go go"])
        assert errors == WordErrors(words=6, substitutions=1, deletions=1, insertions=1)
        assert errors.errors == 3
        assert errors.rate == word_error_rate(["turn the light on now", "go"], ["turn a light on", "go go"]) == 0.5

    def test_numerals_and_punctuation_are_no_errors(self) -> None:
        assert word_error_rate(["press one for the twenty first"], ["Press 1, for the 21st!"]) == 0.0

    def test_an_empty_hypothesis_is_all_deletions(self) -> None:
        assert word_errors(["one two"], ["..."]) == WordErrors(words=2, substitutions=0, deletions=2, insertions=0)

    def test_words_read_from_wordless_sound_are_insertions(self) -> None:
        assert word_errors(["[beep]", "go"], ["oh no", "go"]) == WordErrors(1, 0, 0, 2)

    @given(st.lists(st.tuples(_words, _words), min_size=1, max_size=5))
    def test_agrees_with_the_textbook(self, pairs: list[tuple[list[str], list[str]]]) -> None:
        pairs = [*pairs, (["red"], ["red"])]
        errors = word_errors([" ".join(said) for said, _ in pairs], [" ".join(read) for _, read in pairs])
        assert errors.words == sum(len(said) for said, _ in pairs)
        assert errors.errors == sum(_distance(said, read) for said, read in pairs)

    def test_refuses_what_has_no_rate(self) -> None:
        with pytest.raises(TokaudioError, match="1 texts for 2 references"):
            word_errors(["a", "b"], ["a"])
        for references in ([], ["[beep]"]):
            with pytest.raises(TokaudioError, match="no word"):
                word_errors(references, ["x"] * len(references))


@pytest.mark.parametrize("name", ["pystoi", "jiwer"])
def test_a_missing_package_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=rf"{name}: is not installed; .*tokaudio\[metrics\]"):
        stoi(_speech_like(), _speech_like(), RATE) if name == "pystoi" else word_errors(["a"], ["a"])
