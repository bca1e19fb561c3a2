"""Processes that are started, interrupted, orphaned, and that die of an input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.corpus.support import RATE, encode_here, tree
from tokaudio.corpus.tokenize_batch import TokenizeBatch

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
SHARD = 25
pytestmark = pytest.mark.usefixtures("interruptible")


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    """A manifest of 500 segments of one minute of noise."""
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", noise, RATE)
    rows = [{"path": "a.wav", "start": i / 10, "end": i / 10 + 1} for i in range(500)]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "all.jsonl"


def command(source: Path, out: Path, tokenize: TokenizeBatch, *options: str) -> list[str]:
    """Return the command line of a job."""
    start = [sys.executable, "-m", "tokaudio", "corpus", "encode", str(source), "-o", str(out)]
    return [*start, "-t", tokenize.tokenizer, "--shard-items", str(SHARD), "--device", "cpu", *options]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def has_begun(out: Path) -> Callable[[], bool]:
    """Return whether a shard is done."""
    journal = out / ".tokaudio/journal.jsonl"
    return lambda: journal.exists() and journal.stat().st_size > 0


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Return whether a process runs, zombies aside."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_orphans_end_and_an_interrupted_job_is_gone_on_with(
    tmp_path: Path, segments: Path, tokenize: TokenizeBatch
) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(command(segments, out, tokenize), env=ENVIRONMENT, stderr=subprocess.PIPE) as parent:
        wait_for(has_begun(out))
        workers = children(parent.pid)
        parent.kill()
    assert len(workers) == 1
    wait_for(lambda: not any(map(alive, workers)))
    before = (out / ".tokaudio/journal.jsonl").stat().st_size
    with subprocess.Popen(command(segments, out, tokenize), env=ENVIRONMENT, stderr=subprocess.PIPE) as parent:
        wait_for(lambda: (out / ".tokaudio/journal.jsonl").stat().st_size > before)
        workers = children(parent.pid)
        parent.send_signal(signal.SIGINT)
        _, said = parent.communicate(timeout=60)
    assert parent.returncode == 130
    assert said.decode().splitlines()[-1] == (
        "tokaudio: interrupted; finished shards are kept, and the same command goes on from there"
    )
    assert not any(map(alive, workers)) and not list(out.glob(".*.tmp-*"))
    assert not (out / "_SUCCESS").exists()
    encode_here(segments, out, tokenize, items=SHARD)
    encode_here(segments, tmp_path / "whole", tokenize, items=SHARD)
    assert tree(out) == tree(tmp_path / "whole")


def test_an_input_that_kills_its_process_costs_itself_alone(
    tmp_path: Path, sounds: Path, reference: Path, tokenize: TokenizeBatch
) -> None:
    # Whoever opens this file dies as of a fault in a decoder.
    deadly = "event == 'open' and '007.wav' in str(given[0])"
    hook = f"sys.addaudithook(lambda event, given: os.kill(os.getpid(), 11) if {deadly} else None)"
    (tmp_path / "sitecustomize.py").write_text(f"import os, sys\n{hook}\n")
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    rows = [json.dumps({"path": str(sounds / f"{i:03}.wav"), "key": f"{i:03}.wav", "duration": 0.1}) for i in range(40)]
    (tmp_path / "all.jsonl").write_text("\n".join(rows))
    arguments = command(tmp_path / "all.jsonl", tmp_path / "out", tokenize, "--shard-items", "5", "--json")
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert (told["ok"], told["failed"]) == (39, 1)
    assert "007.wav: broke the process that worked on it (SIGSEGV); convert the file" in done.stderr
    (failed,) = (tmp_path / "out/.tokaudio/failed.jsonl").read_text().splitlines()
    assert json.loads(failed)["key"] == "007.wav"
