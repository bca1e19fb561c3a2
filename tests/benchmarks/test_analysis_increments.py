"""Intervals of increments, tried on little."""

from __future__ import annotations

import analysis_increments as increments
import numpy as np
import pytest

from tests.analysis.planted import Corpus


def test_what_says_nothing_is_near_nothing() -> None:
    joint = np.full((16, 2), 1 / 32)
    row = increments.cover(joint, Corpus(recordings=40, frames=40), 3).split(" | ")
    assert len(row) == 8 and abs(float(row[0])) < 0.02 and abs(float(row[1])) < 0.05
    assert float(row[3].removesuffix(" %")) > 30


def test_the_section_has_a_row_for_each_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(increments, "cover", lambda joint, corpus, simulations: f"{joint.shape[0]} x {simulations}")
    body = increments.section(2)
    assert body.startswith("## Analysis: ") and "| codes that say nothing | 16 x 2 |" in body
    assert body.count("\n| ") == 1 + len(increments.planted())
