"""The comparison of analysis: both sides give the same figures, and planted information is held."""

from __future__ import annotations

import math

import analysis
import analysis_plain as plain
import numpy as np
import pytest

from tests.analysis.planted import Corpus


def test_both_sides_give_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "BOOKS", 4)
    monkeypatch.setattr(analysis, "SIZE", 60)
    monkeypatch.setattr(analysis, "LABELS", {"phone": 6, "speaker": 3})
    monkeypatch.setattr(plain, "STATED", 500)
    monkeypatch.setattr(plain, "GROUPS", 8)
    recordings, known = analysis.corpus(2)
    assert len(recordings) == 24 and recordings[0].shape == (4, 250) and set(known[0]) == {"phone", "speaker"}
    found, wanted = analysis.ours(recordings, known), analysis.theirs(recordings, known)
    for name in ("entropy", "rarefied", "mean run", "heaps", "temporal", "bits", "tables"):
        assert np.allclose(np.array(found[name]), np.array(wanted[name]), atol=1e-8), name
    assert len(found["tables"]) == 8
    assert np.allclose(sorted(found["pairs"])[::2], sorted(wanted["pairs"])), "each pair stands in two places"


def test_plain_figures_are_right() -> None:
    labels = np.repeat(np.arange(4), 500)
    told = plain.table(labels * 2, labels, np.arange(2000) % 20, np.random.default_rng(0))
    assert told["pnmi"] == pytest.approx(1.0) and told["phone purity"] == told["cluster purity"] == 1.0
    assert told["corrected"] == pytest.approx(2.0, abs=0.01) and told["floor"] < 0.01
    assert plain.entropy(np.array([5, 5, 0])) == 1.0
    assert plain.corrected(np.array([1, 1, 2])) == pytest.approx(1.5 + 2 / 8 / math.log(2))


def test_a_small_coverage() -> None:
    joint = np.array([[0.45, 0.05], [0.1, 0.4]])
    row = analysis.cover(joint, Corpus(recordings=24, frames=60), 8, 6).split(" | ")
    assert len(row) == 8 and row[0] == "0.397" and float(row[1]) == pytest.approx(0.397, abs=0.06)
    assert float(row[3].removesuffix(" %")) >= 50


def test_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    few = dict(list(analysis.planted().items())[:1])
    assert len(analysis.planted()) == 9
    monkeypatch.setattr(analysis, "planted", lambda: few)
    body = analysis.coverage_section(2)
    assert body.startswith("## Analysis: do intervals hold") and body.count("\n| 16 codes, 8 labels, 3 min |") == 1
    for name in ("ours", "theirs"):
        figures = {key: [1.0] for key in ("entropy", "rarefied", "mean run", "heaps", "temporal", "bits", "tables")}
        monkeypatch.setattr(analysis, name, lambda *_, figures=figures: figures)
    assert "differ by 0.0e+00 at most" in analysis.speed_section(0.5)
