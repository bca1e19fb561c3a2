"""The benchmark of statistics in small: each part makes its table, and says what it should."""

from __future__ import annotations

import re

import probe_statistics
import pytest

from tests.probes.planted import Probed


def test_a_small_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_statistics, "planted", lambda: {"accuracy": Probed()})
    body = probe_statistics.coverage_section(40)
    row = re.search(r"\| accuracy \| 0\.788 \| 0\.0\d\d \| (\d+\.\d) % \| \d+\.\d % \|", body)
    assert row is not None and float(row[1]) >= 85


def test_small_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_statistics, "tasks", lambda: {"voices": Probed(run_spread=0.0, items=60, shared=0.9)})
    body = probe_statistics.comparisons_section(20)
    row = re.search(r"\| voices \| (\d+\.\d) % \| (\d+\.\d) % \| (\d+\.\d) % \|", body)
    assert row is not None
    equal, any_of_six, apart = map(float, row.groups())
    assert equal <= 20 and any_of_six <= 20 and apart >= 80


def test_a_small_order_and_chance() -> None:
    rows = re.findall(r"apart \| (\d+) \| (\d+) \|", probe_statistics.order_section(6))
    assert len(rows) == 2 and all(int(same) <= int(declared) <= 6 for declared, same in rows)
    passed = re.findall(r"\| (\d+\.\d\d) % \|$", probe_statistics.chance_section(200), flags=re.MULTILINE)
    assert len(passed) == 4 and all(float(share) >= 95 for share in passed)


def test_a_share_is_found_for_a_truth() -> None:
    one = Probed(speaker_spread=1.0)
    assert one.truth(one.share_for(0.75)) == pytest.approx(0.75, abs=1e-6) and one.share_for(0.75) > 0.75
