"""`tokaudio leaderboard`: files in, a page and lines out, and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.probes.resulting import results, task
from tokaudio.probes.results import TaskResult, write_results


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    write_results(results("better", (task("ks", 0.9),)), tmp_path / "a.json")
    write_results(results("worse", (task("ks", 0.5, seed=3),)), tmp_path / "b.json")
    return [tmp_path / "a.json", tmp_path / "b.json"]


def test_a_page_is_written_and_ranks_are_told(cli: Cli, files: list[Path], tmp_path: Path) -> None:
    done = cli("leaderboard", *files, "-o", tmp_path / "board.html")
    assert done.code == 0 and done.err == ""
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["tokenizer", "better", "worse"]
    assert lines[-1] == f"2 tokenizers on 1 tasks, 0 failures: {tmp_path / 'board.html'}"
    assert "Leaderboard of 2 audio tokenizers" in (tmp_path / "board.html").read_text(encoding="utf-8")
    again = cli("leaderboard", *files, "-o", tmp_path / "board.html")
    assert again.code == 2 and "exists" in again.err
    assert cli("leaderboard", *files, "-o", tmp_path / "board.html", "-f", "-q").out == ""


def test_without_a_page_ranks_are_told(cli: Cli, files: list[Path]) -> None:
    done = cli("leaderboard", *files)
    assert done.code == 0 and done.out.endswith("2 tokenizers on 1 tasks, 0 failures\n")


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_shown(
    cli: Cli, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "c.json").write_text("{", encoding="utf-8")
    done = cli("leaderboard", *files, tmp_path / "c.json")
    assert done.code == 1 and f"tokaudio: {tmp_path / 'c.json'}: is no JSON" in done.err
    assert "2 tokenizers on 1 tasks, 1 failures" in done.out
    alone = cli("leaderboard", tmp_path / "c.json")
    assert alone.code == 2 and "is no JSON" in alone.err


def test_missing_baselines_are_refused_unless_allowed(cli: Cli, tmp_path: Path) -> None:
    bare = TaskResult("ks", "content", "voices", "linear", "1", task().measure)
    write_results(results("bare", (bare,)), tmp_path / "a.json")
    refused = cli("leaderboard", tmp_path / "a.json")
    assert refused.code == 2 and "lacks the baselines" in refused.err and "--allow-missing" in refused.err
    assert cli("leaderboard", tmp_path / "a.json", "--allow-missing").code == 0
