"""The bookkeeping of the quality benchmark, with a stand-in recogniser and tokenizer."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_sets import Clip, every_nth, parse_texts
from intelligibility import as_json, as_markdown, score
from numpy.typing import NDArray
from scores import Cache, SetScores, mean_interval, run_system, wer_difference
from systems import Output, System, original, tokenizer

Audio = NDArray[np.float32]


class Judge:
    """Reads "one two" from anything, and counts how often it was asked."""

    identity = "stand-in"

    def __init__(self) -> None:
        self.calls = 0

    def transcribe(self, audios: Sequence[Audio]) -> Iterator[str]:
        for _ in audios:
            self.calls += 1
            yield "one two"


def _clip(text: str, seconds: float = 1.0, seed: int = 0, task: str = "read") -> Clip:
    noise = 0.1 * np.random.default_rng(seed).standard_normal(int(16_000 * seconds))
    return Clip(f"{text}{seed}", task, text, noise.astype(np.float32))


CLIPS = [_clip("one two"), _clip("one too three", seed=1), _clip("two", 0.2), _clip("[beep]")]


def _noisy(audio: Audio) -> Output:
    return Output(audio + np.float32(0.05) * np.roll(audio, 999), 4_000.0 * len(audio) / 16_000)


def test_a_set_is_scored_clip_by_clip(tmp_path: Path) -> None:
    judge: Any = Judge()
    scores = run_system(original(), CLIPS, judge=judge, cache=Cache(None))
    assert scores.stois[:2] == pytest.approx([1.0, 1.0])
    assert math.isnan(scores.stois[2])
    assert (scores.errors, scores.words) == ([0, 2, 1], [2, 3, 1])
    assert scores.wer == 0.5
    assert scores.kbps == pytest.approx(256.0)
    assert run_system(original(), CLIPS, judge=None, cache=Cache(None)).wer is None


def test_a_second_run_reads_everything_from_the_cache(tmp_path: Path) -> None:
    judge: Any = Judge()
    system = System("noisy", _noisy)
    first = run_system(system, CLIPS, judge=judge, cache=Cache(tmp_path / "new" / "scores.sqlite"))
    assert judge.calls == 3
    again = run_system(system, CLIPS, judge=judge, cache=Cache(tmp_path / "new" / "scores.sqlite"))
    assert judge.calls == 3
    assert repr(again) == repr(first)
    louder = System("louder", lambda audio: Output(audio * 2, 0.0))
    run_system(louder, CLIPS, judge=judge, cache=Cache(tmp_path / "new" / "scores.sqlite"))
    assert judge.calls == 6


def test_codebook_usage_counts_wordless_clips_too() -> None:
    def run(audio: Audio) -> Output:
        return Output(audio, 1.0, np.array([[0, 1, 1], [2, 2, 2]]) + (len(audio) == 3_200))

    scores = run_system(System("t", run, (4, 8)), CLIPS[1:], judge=None, cache=Cache(None))
    assert scores.usage == [3 / 4, 2 / 8]


def test_intervals_shrink_with_the_number_of_files_and_skip_undefined() -> None:
    values = np.random.default_rng(0).normal(0.9, 0.1, 400)
    mean, half = mean_interval([*values, math.nan])
    assert mean == pytest.approx(values.mean())
    assert half == pytest.approx(1.96 * 0.1 / 20, rel=0.15)
    assert mean_interval(values[:100])[1] > 1.5 * half


def test_word_error_difference_is_paired() -> None:
    errors = list(np.random.default_rng(0).integers(0, 5, 200))
    reference = SetScores(errors=errors, words=[10] * 200)
    system = SetScores(errors=[count + 1 for count in errors], words=[10] * 200)
    difference, half = wer_difference(system, reference)
    assert difference == pytest.approx(0.1)
    assert half == pytest.approx(0.0, abs=1e-12)


def test_limits_and_listings() -> None:
    assert every_nth(list(range(10)), 3) == [0, 3, 6]  # type: ignore[arg-type, comparison-overlap]
    assert every_nth(CLIPS, None) == every_nth(CLIPS, 99) == CLIPS
    listing = "; comment: no\n\nvm-no:  no: way\nsilence/1: (1 second of silence)\n"
    assert parse_texts(listing) == {"vm-no": "no: way"}


def test_tables_hold_every_system_and_set() -> None:
    judge: Any = Judge()
    coded = System("coded", lambda audio: Output(audio, 1.0, np.zeros((2, 3), int)), (4, 4))
    sets = {"voices": CLIPS[:2], "keywords": CLIPS[:1], "asterisk-en": CLIPS}
    table = {
        name: {s.name: run_system(s, clips, judge=judge, cache=Cache(None)) for s in (original(), coded)}
        for name, clips in sets.items()
    }
    text = as_markdown(table, sets)
    assert "| coded | 0.00 | 1.000 ± 0.000 | 1.000 ± 0.000 | 40.0 | +0.0 ± 0.0 |" in text
    assert "| coded | asterisk-en | 25.0 | 25.0 |" in text
    assert "1 of them are beeps" in text
    assert as_json(table)["asterisk-en"]["coded"]["stoi_count"] == 2


def test_score_pools_pairs() -> None:
    judge: Any = Judge()
    pairs = [(clip.audio, clip.audio, clip.text) for clip in CLIPS[:3]]
    assert score(pairs, judge=judge) == {"stoi": pytest.approx(1.0), "wer": 0.5}


class _Tokens:
    """As much of a `Tokens` as the benchmark uses."""

    def __init__(self, codes: torch.Tensor, rate: int) -> None:
        self.codes = codes
        books = [SimpleNamespace(stride=1 + k, bits=10.0) for k in range(codes.shape[1])]
        self.spec = SimpleNamespace(output_sample_rate=rate, codebooks=books)

    def select_codebooks(self, count: int) -> _Tokens:
        return _Tokens(self.codes[:, :count], self.spec.output_sample_rate)


class _Tokenizer:
    spec = SimpleNamespace(name="fake", codebook_sizes=(1024,) * 8)

    @classmethod
    def from_pretrained(cls, name: str) -> _Tokenizer:
        assert name == "some/folder"
        return cls()

    def encode(self, audio: torch.Tensor, sample_rate: int) -> _Tokens:
        assert (audio.ndim, sample_rate) == (1, 16_000)
        return _Tokens(torch.zeros(1, 8, 50, dtype=torch.long), 24_000)

    def decode(self, tokens: _Tokens) -> torch.Tensor:
        return torch.linspace(0, 0.1 * tokens.codes.shape[1], 24_001)[None, None]


def test_tokenizer_rows_keep_fewer_and_fewer_codebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokaudio", SimpleNamespace(Tokenizer=_Tokenizer))
    systems = tokenizer("some/folder")
    assert [system.name for system in systems] == [f"folder, {k} of 8 codebooks" for k in (8, 4, 2)]
    assert systems[1].codebook_sizes == (1024,) * 4
    output = systems[2].run(np.zeros(16_000, np.float32))
    assert output.audio.shape == (16_000,)
    assert output.audio[8_000] == pytest.approx(0.1, rel=1e-3)
    assert output.codes is not None and output.codes.shape == (2, 50)
    assert output.bits == 10 * (50 + 25)
    with pytest.raises(SystemExit, match="--codebooks 9"):
        tokenizer("some/folder", [9])
