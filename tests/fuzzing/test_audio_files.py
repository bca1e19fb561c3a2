"""Damaged and lying audio through the command line, with its stderr at the level of descriptors, in a limited child."""

from __future__ import annotations

from pathlib import Path

from tests.nightly.audio_files import forged, mutants
from tests.nightly.limited import Limited


def test_damaged_and_lying_files_are_encoded_or_refused_in_one_line(tmp_path: Path) -> None:
    child = Limited("tests.nightly.audio_files")
    (tmp_path / "in").mkdir()
    told = [mutants(tmp_path / "in", child, 84), forged(tmp_path / "in", child, 40)]
    child.close()
    assert [one["wrong"] for one in told] == [[], []]
    assert child.started == 1 and child.peak_bytes < 2**30
    assert all(one["refused"] > one["encoded"] > 5 for one in told)
