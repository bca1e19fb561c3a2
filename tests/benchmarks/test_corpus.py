"""The arithmetic of the benchmarks of corpora, and the sounds that they are made with."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import corpus
import corpus_clips
import corpus_soak
import numpy as np
import pytest
import soundfile

from tokaudio.corpus.finishing import Summary


def soak(memory: float, slowing: float) -> list[corpus_soak.Sample]:
    inputs = np.arange(1, 201) * 500
    seconds = inputs / 100 * (1 + slowing * inputs / inputs[-1])
    kib = 300_000 + inputs / 10_000 * memory * 1e6 / 1024
    return [corpus_soak.Sample(*row, 9, at) for *row, at in zip(inputs, kib, seconds, strict=True)]


def test_slopes_and_paces_are_those_that_were_put_in() -> None:
    assert corpus_soak.slope(soak(0.0, 0.0)) == pytest.approx(0.0, abs=1e-6)
    assert corpus_soak.slope(soak(2.5, 0.0)) == pytest.approx(2.5)
    assert corpus_soak.pace(soak(0.0, 0.0)) == pytest.approx(1.0)
    assert corpus_soak.pace(soak(0.0, 0.5)) < 0.7


def test_the_costs_of_a_large_corpus_follow_from_those_of_an_hour() -> None:
    summary = Summary(1, 1, 0, 0, 1, 3600 * 16_000, 180_000, 1.0, 3_000_000)
    text = " ".join(corpus.cost_lines(summary, 36.0))
    assert "are 1,000 core hours" in text and "15.6 hours on one machine of 64 cores, 1.56 on ten" in text
    assert "3 MB an hour 0.3 TB" in text and "(30 MB each)" in text


def test_the_ratio_is_that_of_the_median_pair() -> None:
    summary = Summary(1, 1, 0, 0, 1, 3600 * 16_000, 180_000, 1.0, 3_000_000)
    runs = [(corpus.Run(one, 20.0), corpus.Run(10.0, 18.0)) for one in (30.0, 19.0, 18.0)]
    text = corpus.workers_report("any", runs, summary)
    assert "are 1.90 times as fast as one (in pairs: 1.80, 1.90, 3.00)" in text
    assert "| 1 | 19.0 | 189 | 20.0 | 105% |" in text and "| 2 | 10.0 | 360 | 18.0 | 90% |" in text


def test_the_cost_of_the_pipeline_is_told_beside_encode_of_files_and_of_samples() -> None:
    text = corpus.pipeline_report("any", [corpus.Overhead("FLAC, 24 kHz", 10.0, 20.0, 25.0, 26.0)], 5)
    assert "| FLAC, 24 kHz | 10 s | 20.0 | 25.0 | 26.0 | +4.0% | +30.0% |" in text


def test_clips_are_as_many_and_as_long_as_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speech = corpus_clips.voices(1.0)
    assert len(speech) == 24_000 and speech.std() > 0.01
    monkeypatch.setattr(corpus_clips, "voices", lambda seconds: speech)
    clips = corpus_clips.write_clips(tmp_path / "clips", 12, 0.1, rate=16_000, suffix=".wav")
    files = sorted(clips.iterdir())
    assert [file.name for file in files[:2]] == ["000000.wav", "000001.wav"] and len(files) == 12
    assert {(info.frames, info.samplerate) for info in map(soundfile.info, files)} == {(1_600, 16_000)}
    assert files[0].samefile(files[10]) and not files[0].samefile(files[1])


def test_a_soak_is_told_by_its_log(tmp_path: Path) -> None:
    samples = soak(2.5, 0.0)
    log = tmp_path / "toy.jsonl"
    log.write_text("".join(json.dumps(asdict(one), default=float) + "\n" for one in samples))
    assert corpus_soak.read_log(log) == samples
    text = corpus_soak.report({log.stem: samples})
    assert "| toy | 100,000 | 317 | 9 | 1000 |" in text
    assert "+2.50 MB of memory per 10,000 files; 9 to 9 open files; speed of the last tenth 100%" in text
    again = corpus_soak.report({log.stem: samples}, soak(0.0, 0.5)[:11])
    assert "last tenth took 10.0 CPU seconds per 1,000 files; a new process" in again and "had ended, 10.3." in again
