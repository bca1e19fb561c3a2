"""The leaderboard shows tasks that make sound: their own references, and an axis of their own."""

from tokaudio.probes.evidence import Measure, Sums
from tokaudio.probes.leaderboard import leaderboard
from tokaudio.probes.pages.leaderboard_page import way
from tokaudio.probes.results import ProbeResults, TaskResult


def _measure(mean: float) -> Measure:
    spread = [[[mean * (1 + place / 50)] for place in range(6)]]
    return Measure("mel_distance", (0,), Sums(tuple("abcdef"), spread, [[[1.0]] * 6]))


def _results(name: str, score: float) -> ProbeResults:
    references = {"input": _measure(0.9), "input_tokens": _measure(0.8), "clean_tokens": _measure(0.2)}
    task = TaskResult("enhancement", "generative", "quick", "conformer", "2", _measure(score), references=references)
    return ProbeResults(name, "hybrid", "12", "generative", (task,))


def test_references_of_generative_tasks_are_columns_and_marks() -> None:
    board = leaderboard([_results("one", 0.5), _results("two", 0.4)])
    assert list(board.rankings.axes["generative"].ranks) == ["two", "one"]
    page = board.to_html()
    for words in ("<th", "input tokens", "clean tokens", "wanted sound through the tokenizer"):
        assert words in page
    assert "untrained encoder" not in page
    table = board.tables[0]
    ways = [way(entry, table) for entry in table.entries]
    assert ways[0] is not None and 0.6 < ways[0] < 0.7 and 0.45 < ways[1] < 0.55
