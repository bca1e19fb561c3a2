"""Tables of tasks that make sound: every score with its interval, and every reference that any tokenizer has."""

from generative import tables

from tokaudio.probes.evidence import Measure, Sums
from tokaudio.probes.results import ProbeResults, TaskResult


def _measure(metric: str, *scores: float) -> Measure:
    return Measure(metric, (0,), Sums(tuple("abcdef"), [[[score] for score in scores]], [[[1.0]] * 6]))


def _task(name: str, **references: Measure) -> TaskResult:
    return TaskResult(
        task=name,
        axis="generative",
        corpus="quick",
        probe="conformer",
        probe_version="2",
        measure=_measure("mel_distance", 0.4, 0.5, 0.6, 0.4, 0.5, 0.6),
        others=(_measure("dwer", 1, 1, 0, 0, 1, 0),),
        references=references,
        sizes={"test": 6, "test_speakers": 6},
        notes=("a sentence",),
    )


def test_tables_hold_every_score_and_reference() -> None:
    first = _task("enhancement", input_tokens=_measure("mel_distance", *[0.9] * 6))
    other = _task("enhancement", clean_tokens=_measure("mel_distance", *[0.2] * 6))
    results = [ProbeResults(name, "hybrid", "12", "own", (task,)) for name, task in (("one", first), ("two", other))]
    lines = tables(results).splitlines()
    assert lines[0] == "**enhancement**, 6 scenes of 6 speakers"
    assert lines[2].endswith("| of input tokens | of clean tokens |")
    assert lines[4].startswith("| one | 0.500 (0.") and lines[4].endswith(") | 0.900 |  |")
    assert lines[5].endswith("|  | 0.200 |")
    assert "| tokenizer | dwer |" in lines and any(line.startswith("| one | 50.0 % (") for line in lines)
    assert "one, 1 seed. a sentence." in lines
    assert tables([]) == ""
