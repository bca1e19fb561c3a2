"""The cards of mini-hybrid and mini-bands: data with licences, what was trained, and figures as they were measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.recipes.data_card import data_section
from tokaudio.training.recipes.mini_bands_card import about_mini_bands
from tokaudio.training.recipes.mini_hybrid_card import about_mini_hybrid

STEPS = {"codec": 21_600, "distilled": 2_000, "hybrid": 4_000}


@pytest.fixture
def pool(tmp_path: Path) -> AudioPool:
    minute = np.zeros(16_000 * 60, np.float32)
    write_pool(tmp_path, [("a", "festvox-ru", minute), ("b", "hibari", minute), ("c", "hibari", minute)], 16_000)
    return AudioPool(tmp_path)


def test_the_data_are_told_by_source_with_minutes_and_licence(pool: AudioPool) -> None:
    rows = [line for line in data_section(pool) if line.startswith("| `")]
    assert [row.split("|")[1].strip() for row in rows] == ["`festvox-ru`", "`hibari`"]
    assert "| 1.0 | BSD-like |" in rows[0] and "| 2.0 | Apache-2.0" in rows[1]
    assert "0.05 hours in all" in "\n".join(data_section(pool))


def test_the_card_of_mini_hybrid_says_what_was_trained_and_found(pool: AudioPool) -> None:
    row = {"share": [0.75, 0.1], "mel": {"1": 0.3, "8": 0.1625}, "used": [0.875, 1.0]}
    card = about_mini_hybrid(pool, STEPS, {"voices": {"mini-hybrid": row}})
    assert (
        "21,600 steps of mini-codec" in card and "2,000 steps of the encoder" in card and "4,000 steps of all" in card
    )
    assert "| voices | mini-hybrid | 0.750 | 0.1625 | 88 % |" in card
    assert card.index("## Data") < card.index("## Quality") < card.index("## Limits")
    assert "## Quality" not in about_mini_hybrid(pool, STEPS, None)


def test_the_card_of_mini_bands_names_the_worst_codebook(pool: AudioPool) -> None:
    row = {"shares": [[0.9, 0.1], [0.15, 0.85]], "mel": 0.25, "stoi": 0.875, "pesq": 1.5, "used": [1.0, 0.9]}
    card = about_mini_bands(pool, 5_000, {"mini-bands": row})
    assert "| mini-bands | 85 % | 0.2500 | 0.875 | 1.50 | 90 % |" in card
    assert "5,000 steps" in card and "## Quality" not in about_mini_bands(pool, 5_000, None)
