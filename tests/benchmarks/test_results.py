"""The sections of RESULTS.md and the machine line."""

from __future__ import annotations

from pathlib import Path

import pytest
from results import HEADER, machine_line, replace_section, write_section


def test_each_script_rewrites_only_its_own_section(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    write_section("speed", "fast", path=path)
    write_section("memory", "small", path=path)
    before = path.read_text()
    assert before.startswith(HEADER)
    write_section("speed", "faster", path=path)
    assert path.read_text() == before.replace("fast", "faster")
    write_section("speed", "fast", path=path)
    assert path.read_text() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["RESULTS.md"]


@pytest.mark.parametrize(
    "text",
    ["<!-- a:begin -->", "<!-- a:end -->", "<!-- a:end --><!-- a:begin -->", "<!-- a:begin --><!-- a:end -->" * 2],
)
def test_damaged_markers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="markers of section 'a' are damaged"):
        replace_section(text, "a", "new")


def test_machine_line_names_threads_and_versions() -> None:
    line = machine_line(("numpy", "no-such-package"), threads=1)
    assert line.startswith("Machine: ")
    assert ", 1 thread used, " in line
    assert "numpy 2." in line
    assert line.endswith("no-such-package not installed.")
    assert "thread" not in machine_line()
