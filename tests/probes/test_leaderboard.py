"""The leaderboard as an object and as the data of its page; how it looks is in tests/pages."""

from __future__ import annotations

import dataclasses
import html
import re

import pytest

from tests.probes.resulting import pairs, results, task
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.leaderboard import Leaderboard, leaderboard
from tokaudio.probes.results import ProbeResults, TaskResult
from tokaudio.probes.statistics import interval

HOSTILE = '<script>alert("x")</script>'


def tokenizer(name: str, content: float, speaker: float, *, seed: int = 0, bitrate: float = 4000.0) -> ProbeResults:
    tasks = (
        task("ks", content, seed=seed),
        task("asr", 1 - content, metric="wer", seed=seed + 10),
        task("si", speaker, axis="speaker", seed=seed + 20),
    )
    return results(name, tasks, bitrate)


def board() -> Leaderboard:
    """Return two tokenizers of which each is ahead on one axis, and one with a name that wants to be a program."""
    first = dataclasses.replace(tokenizer("words", 0.9, 0.3, bitrate=500.0), kind="semantic")
    return leaderboard([first, tokenizer("voices", 0.5, 0.8, seed=5), tokenizer(HOSTILE, 0.6, 0.5, seed=9)])


def test_entries_are_ordered_by_what_is_better_and_compared() -> None:
    found = board()
    tables = {table.task: table for table in found.tables}
    assert [entry.tokenizer for entry in tables["asr"].entries] == ["words", HOSTILE, "voices"]
    assert [entry.tokenizer for entry in tables["si"].entries] == ["voices", HOSTILE, "words"]
    assert set(tables["ks"].entries[0].ahead_of) == {"voices", HOSTILE}
    assert tables["asr"].entries[0].ahead_of and not tables["asr"].entries[-1].ahead_of
    first = tables["ks"].entries[0]
    assert first.interval == interval(task("ks", 0.9).measure) and first.shuffled == (0.09, 0.11)
    assert set(first.references) == {"majority", "random_tokens", "untrained_encoder", "log_mel", "continuous"}
    assert [one.tokenizer for one in found.results] == list(found.rankings.axes["combined"].ranks)  # type: ignore[union-attr]


def test_lines_tell_ranks_and_what_they_hide() -> None:
    lines = board().lines()
    assert re.split(r"\s{2,}", lines[0]) == ["tokenizer", "content", "speaker", "combined"]
    assert len(lines) == 5 and "disagree" in lines[-1]


def test_scores_without_baselines_are_not_shown() -> None:
    bare = results("a", (TaskResult("ks", "content", "v", "p", "1", task().measure),))
    with pytest.raises(ProbeError, match="a: task ks lacks the baselines majority, random_tokens"):
        leaderboard([bare])
    found = leaderboard([bare], allow_missing=True)
    assert found.tables[0].entries[0].references == {} and not found.tables[0].compared


def test_results_must_be_there_and_be_told_apart() -> None:
    with pytest.raises(ProbeError, match="no results"):
        leaderboard([])
    with pytest.raises(ProbeError, match="mini-codec: has two results"):
        leaderboard([results(), results()])


def test_tasks_that_were_probed_differently_are_not_put_together() -> None:
    other = tokenizer("b", 0.6, 0.5)
    other = dataclasses.replace(other, tasks=tuple(dataclasses.replace(one, probe_version="2") for one in other.tasks))
    found = leaderboard([tokenizer("a", 0.9, 0.3), other])
    assert found.rankings is None and len(found.tables) == 6
    assert "cannot be ranked" in found.lines()[0] and "cannot be ranked" in found.to_html()


def test_results_of_other_seeds_are_shown_but_not_compared() -> None:
    one = tokenizer("a", 0.9, 0.3)
    fewer = dataclasses.replace(
        task("ks", 0.5), measure=dataclasses.replace(task("ks", 0.5).measure, seeds=(9, 8, 7, 6, 5))
    )
    found = leaderboard([one, results("b", (fewer,))])
    assert not found.tables[0].compared and "Differences were not tested" in found.to_html()


def test_a_page_holds_every_score_and_interval() -> None:
    found = board()
    page = html.unescape(found.to_html())
    assert HOSTILE in page and HOSTILE not in found.to_html()
    for table in found.tables:
        for entry in table.entries:
            assert f"{100 * entry.value:.1f}\u00a0%" in page
            assert entry.interval is not None
            assert f"{100 * entry.interval.low:.1f} to {100 * entry.interval.high:.1f}" in page
    for said in ("random tokens", "untrained encoder", "log mel", "381", "better than (5 %, Holm)"):
        assert said in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_verification_task_has_its_bars() -> None:
    voices = pairs(2.0, seeds=2)
    one = dataclasses.replace(task(), task="sv", axis="speaker", measure=voices, references={}, chance=0.5)
    page = leaderboard([results("a", (one,))], allow_missing=True).to_html()
    assert "equal error rate, lower is better" in page and page.count("<rect") == 1


def test_a_note_that_does_not_hold_for_all_says_for_whom_it_does() -> None:
    def noted(name: str, *notes: str) -> ProbeResults:
        return results(name, (dataclasses.replace(task(), notes=notes),))

    several = leaderboard([noted("a", "quiet rooms", "one seed"), noted("b", "quiet rooms"), noted("c", "quiet rooms")])
    assert several.tables[0].notes == ("quiet rooms", "a: one seed")
    assert leaderboard([noted("a", "one seed")]).tables[0].notes == ("a: one seed",)
