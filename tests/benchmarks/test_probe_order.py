"""The benchmark of order: which pairs are declared different, and which of them change places."""

from __future__ import annotations

import numpy as np
import probe_order

from tokaudio.probes.evidence import Measure, Sums

SPEAKERS = tuple("abcdefghijkl")


def of_sets(*right: float) -> Measure:
    """Return an accuracy that each set of seeds has its own value of, near-alike for all speakers."""
    items = np.full((25, len(SPEAKERS), 1), 100.0)
    wobble = np.random.default_rng(0).uniform(-1, 1, (1, len(SPEAKERS), 1))
    return Measure("accuracy", tuple(range(25)), Sums(SPEAKERS, np.repeat(right, 5)[:, None, None] + wobble, items))


def test_what_is_ahead_everywhere_is_told_from_what_changes_places() -> None:
    high, low, turning = of_sets(90, 90, 90, 90, 90), of_sets(50, 50, 50, 50, 50), of_sets(91, 91, 91, 91, 40)
    assert probe_order.verdict({"high": high, "low": low}) == (
        "1 of 1 pairs are declared different by one set or more, 1 by all; "
        "1 of the 1 are in the same order in all sets."
    )
    told = probe_order.verdict({"high": high, "turning": turning})
    assert "0 of the 1 are in the same order" in told
    assert "high and turning change places, and are declared different by 5 set(s)." in told


def test_the_section_has_a_table_for_each_task() -> None:
    found = probe_order.section({"ks": {"one": of_sets(90, 91, 92, 93, 94), "two": of_sets(50, 50, 50, 50, 50)}})
    assert "**ks**, accuracy" in found and found.count("| set 5 |") == 1
    row = next(line for line in found.splitlines() if line.startswith("| one |"))
    scores = [float(cell) for cell in row.split("|")[2:-1]]
    assert len(scores) == 5 and np.allclose(np.diff(scores), 1.0)
