"""The comparison with references: turns, ratios, rows, and that a failure is told and writes nothing."""

from __future__ import annotations

import doctest
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import codec_measure
import pytest
import torch

from tests.parity.peer import PeerCodes
from tests.parity.test_support_harness import Toy, ToyPeer


@pytest.fixture(scope="module")
def codecs() -> ModuleType:
    """The script, which shares its name with a module of the standard library."""
    path = Path(codec_measure.__file__).with_name("codecs.py")
    found = importlib.util.spec_from_file_location("benchmarks_codecs", path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_examples_hold(codecs: ModuleType) -> None:
    found = doctest.testmod(codecs)
    assert found.attempted > 0
    assert found.failed == 0


def test_sides_take_turns_and_each_round_has_both(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    clock = iter(float(tick) for tick in range(1000))
    monkeypatch.setattr(codec_measure.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(codec_measure, "LEAST_SECONDS", 0.0)
    rounds = codec_measure.paired(lambda: calls.append("theirs"), lambda: calls.append("ours"))
    assert len(rounds) == codec_measure.MOST_ROUNDS
    assert set(rounds) == {(1.0, 1.0)}
    # Two to warm up, then pairs whose order changes.
    assert calls[2:6] == ["theirs", "ours", "ours", "theirs"]
    assert calls.count("theirs") == calls.count("ours") == 1 + len(rounds)


def test_the_side_that_is_slower_is_the_one_that_is_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_measure, "LEAST_SECONDS", 0.005)
    work = torch.randn(300, 300)

    def slow() -> None:
        for _ in range(10):
            work @ work

    rounds = codec_measure.paired(slow, lambda: work @ work)
    assert sum(theirs > ours for theirs, ours in rounds) > len(rounds) / 2


def test_the_median_of_the_ratios_is_told(codecs: ModuleType) -> None:
    rounds = [[4.0, 2.0], [9.0, 3.0], [10.0, 1.0]]
    cell = {"encode": rounds, "decode": rounds, "equality": {"total": 10, "equal": 9, "ties": 0, "others": 1}}
    row = "| 1 s | 2 | 9.000 | 2.000 | 3.00 | 9.000 | 2.000 | 3.00 | 9 of 10, 0 ties, 1 others |"
    assert codecs.time_rows({"lengths": {"1": cell}}, 2) == [row]


def test_a_section_keeps_the_rows_that_a_run_does_not_measure(
    codecs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = {"encode": [[2.0, 1.0]], "equality": {"total": 1, "equal": 1, "ties": 0, "others": 0}}

    def measured(*arguments: str, threads: int = 1) -> dict[str, object]:
        answers: dict[str, dict[str, object]] = {
            "time": {"oracle": "peer 1.0", "lengths": dict.fromkeys(arguments[2:], cell)},
            "peak": {"encode": 100.0 * float(arguments[-2]) if arguments[0] == "peak" else 0},
        }
        return answers.get(arguments[0], {})

    written = {"codecs-mimi": ""}
    monkeypatch.setattr(codecs, "measure", measured)
    monkeypatch.setattr(codecs, "read_section", written.__getitem__)
    written["codecs-mimi"] = codecs.section("mimi", [1.0, 10.0], [1, 2], ours=[10.0], theirs=[60.0])
    cell = {**cell, "encode": [[8.0, 1.0]]}
    second = codecs.section("mimi", [10.0, 60.0], [1], ours=[600.0], theirs=[])
    times = [row.split(" | ")[:2] + row.split(" | ")[4:5] for row in codecs.rows_below(second, codecs.TIMES)]
    assert times == [
        ["| 1 s", "1", "2.00"],
        ["| 10 s", "1", "8.00"],
        ["| 60 s", "1", "8.00"],
        ["| 1 s", "2", "2.00"],
        ["| 10 s", "2", "2.00"],
    ]
    peaks = [row.split(" | ")[0] for row in codecs.rows_below(second, codecs.PEAKS)]
    assert peaks == ["| tokaudio, 10 s", "| tokaudio, 600 s", "| reference, 60 s"]
    assert "Reference: peer 1.0;" in codecs.section("mimi", [], [1], ours=[], theirs=[])


def test_equality_sees_one_wrong_code(tmp_path: Path) -> None:
    peer = ToyPeer()
    audio = codec_measure.benchmark_audio(peer, 2.0)
    assert audio.shape == (1, 1, 4_000)
    theirs = peer.encode(audio)
    right = codec_measure.equality(peer, audio, Toy(peer.save(tmp_path)).encode(audio), theirs)
    assert right.equal == right.total == theirs.codes.numel()
    wrong = PeerCodes(theirs.codes.clone(), theirs.num_samples)
    wrong.codes[0, 1, 3] = (wrong.codes[0, 1, 3] + 1) % 32
    assert codec_measure.equality(peer, audio, wrong, theirs).non_tie_flips == 1


@pytest.mark.parametrize("seconds", [0.5, 10.0, 70.0])
def test_audio_has_the_length_that_is_asked_for(seconds: float) -> None:
    assert codec_measure.benchmark_audio(ToyPeer(), seconds).shape == (1, 1, round(seconds * 2_000))


def test_peaks_count_from_the_reset_on() -> None:
    block = torch.ones(60_000_000)
    del block
    codec_measure.reset_peak()
    before = codec_measure.peak_mb()
    block = torch.ones(30_000_000)
    del block
    assert 100 < codec_measure.peak_mb() - before < 180


def test_a_failure_is_told_and_leaves_the_page_alone(
    codecs: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []

    def measure(*arguments: str, threads: int = 1) -> Any:
        if arguments[1] == "snac-24k":
            raise RuntimeError("CheckpointError: not read yet")
        cell = {"encode": [[2.0, 1.0]], "equality": {"total": 1, "equal": 1, "ties": 0, "others": 0}}
        return {"oracle": "toy 1.0", "lengths": {"1": cell}}

    monkeypatch.setattr(codecs, "measure", measure)
    monkeypatch.setattr(codecs, "write_section", lambda name, body: written.append(name))
    monkeypatch.setattr(sys, "argv", ["codecs.py", "snac-24k", "dac-16k", "--lengths", "1", "--peaks", "--their-peaks"])
    assert codecs.main() == 1
    assert written == ["codecs-dac-16k"]
    assert "snac-24k: not measured: CheckpointError: not read yet" in capsys.readouterr().err


def test_a_process_that_fails_is_quoted(codecs: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'no-such-codec'"):
        codecs.measure("time", "no-such-codec", "1")
