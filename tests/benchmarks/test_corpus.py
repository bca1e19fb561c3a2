"""The arithmetic of the benchmark of corpora."""

from __future__ import annotations

from pathlib import Path

import corpus
import numpy as np
import pytest
import soundfile

from tokaudio.corpus.finishing import Summary


def soak(memory: float, slowing: float) -> corpus.Soak:
    inputs = np.arange(1, 201) * 500
    seconds = inputs / 100 * (1 + slowing * inputs / inputs[-1])
    kib = 300_000 + inputs / 10_000 * memory * 1e6 / 1024
    return corpus.Soak(100_000, *(tuple(column.tolist()) for column in (inputs, kib, inputs * 0 + 9, seconds)))


def test_slopes_and_paces_are_those_that_were_put_in() -> None:
    assert soak(0.0, 0.0).slope() == pytest.approx(0.0, abs=1e-6)
    assert soak(2.5, 0.0).slope() == pytest.approx(2.5)
    assert soak(0.0, 0.0).pace() == pytest.approx(1.0)
    assert soak(0.0, 0.5).pace() < 0.7


def test_the_costs_of_a_large_corpus_follow_from_those_of_an_hour() -> None:
    summary = Summary(1, 1, 0, 0, 1, 3600 * 16_000, 180_000, 1.0, 3_000_000)
    text = " ".join(corpus.cost_lines(summary, 36.0))
    assert "are 1,000 core hours" in text and "16 hours on one machine of 64 cores" in text
    assert "3 MB an hour 0.3 TB" in text and "(30 MB each)" in text


def test_clips_are_as_many_and_as_long_as_asked_for(tmp_path: Path) -> None:
    clips = corpus.write_clips(tmp_path / "clips", corpus.DISTINCT + 3, 0.1)
    files = sorted(clips.iterdir())
    assert len(files) == corpus.DISTINCT + 3
    assert {soundfile.info(file).frames for file in files[::50]} == {1_600}
    assert files[0].samefile(files[corpus.DISTINCT]) and not files[0].samefile(files[1])
