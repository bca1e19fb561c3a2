"""Corpora and the processes that encode them, as a user starts them: `python -m tests.nightly.processes [PART ...]`.

- signals: 20 jobs of two processes with a shipped tokenizer, interrupted in the middle of their work; who is left, and
  how long it took;
- apart: two and eight commands on one output, started by themselves;
- torchrun: two processes of `torchrun`;
- slurm: two processes with the variables that Slurm sets (no Slurm is asked);
- full: an output on a disk of 4 MiB, which is then given room. Needs the right to mount.

It prints one line of JSON per part, and ends with 1 where anything is not as it should be. Ten minutes of CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.corpus.disks import read_only_disk, small_disk
from tests.corpus.engines.test_local import ENVIRONMENT, alive, children, command, wait_for
from tests.corpus.support import encode_here, tree, write_sounds, write_tokenizer
from tokaudio.corpus.tokenize_batch import TokenizeBatch

SIGNALS, LONGEST_SECONDS = 20, 15.0
ANSWER_SECONDS = 5.0
FILES, ITEMS = 120, 10


def encode(sounds: Path, out: Path, tokenize: TokenizeBatch, *options: str) -> list[str]:
    """Return the command of a job of 12 shards."""
    return command(sounds, out, tokenize, "--shard-items", str(ITEMS), *options)


def start(arguments: list[str], **names: str) -> subprocess.Popen[bytes]:
    """Start a command, with further names in its environment."""
    return subprocess.Popen(arguments, env=ENVIRONMENT | names, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def signals(folder: Path, sounds: Path, tokenize: TokenizeBatch) -> dict[str, object]:
    """Interrupt jobs of a shipped tokenizer at random moments after both of their processes have begun."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000 * 60).astype(np.float32)
    (folder / "in").mkdir()
    for index in range(240):
        soundfile.write(folder / "in" / f"{index:03}.wav", noise[index:], 16_000)
    moments, answers, wrong, out = random.Random(3), [], [], folder / "out"
    for number in [signal.SIGINT, signal.SIGTERM] * (SIGNALS // 2):
        shutil.rmtree(out, ignore_errors=True)
        with start(encode(folder / "in", out, TokenizeBatch("mini-codec"), "--workers", "2")) as parent:
            wait_for(lambda parent=parent: len(children(parent.pid)) == 2)  # type: ignore[misc]
            workers = children(parent.pid)
            # While torch is loaded, in batches, and while shards are written.
            time.sleep(moments.uniform(0, LONGEST_SECONDS))
            began = time.monotonic()
            parent.send_signal(number)
            _, said = parent.communicate()
            answers.append(time.monotonic() - began)
        left = sum(map(alive, workers)) + len(list(out.glob(".*tmp-*")))
        if parent.returncode != 128 + number or left or b"Traceback" in said:
            wrong.append(f"exit code {parent.returncode}, {left} left")
    wrong += [f"{answer:.1f} s" for answer in answers if answer > ANSWER_SECONDS]
    told = {"median": round(sorted(answers)[len(answers) // 2], 2), "longest": round(max(answers), 2)}
    return {"signals": len(answers), "seconds until gone": told, "wrong": wrong}


def apart(folder: Path, sounds: Path, tokenize: TokenizeBatch) -> dict[str, object]:
    """Start two and eight commands on one output, and kill one of them in the middle."""
    wrong = []
    for count in (2, 8):
        out = folder / str(count)
        commands = [start(encode(sounds, out, tokenize)) for _ in range(count)]
        wait_for((out / "_SUCCESS").exists if count == 2 else lambda out=out: any(out.glob("part-*")))  # type: ignore[misc]
        commands[0].kill()
        ends = [one.wait() for one in commands[1:]]
        commands[0].wait()
        if set(ends) != {0} or tree(out) != wanted(folder, sounds, tokenize):
            wrong.append(f"{count} commands: {ends}")
    return {"commands": [2, 8], "wrong": wrong}


def torchrun(folder: Path, sounds: Path, tokenize: TokenizeBatch) -> dict[str, object]:
    """Start two processes by torchrun."""
    python = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with start([*python, *encode(sounds, folder / "out", tokenize)[1:]]) as parent:
        _, said = parent.communicate()
    right = parent.returncode == 0 and tree(folder / "out") == wanted(folder, sounds, tokenize)
    return {"processes": 2, "wrong": [] if right else [f"{parent.returncode}: {said.decode()[-400:]}"]}


def slurm(folder: Path, sounds: Path, tokenize: TokenizeBatch) -> dict[str, object]:
    """Start two processes with the variables of two Slurm tasks."""
    names = [{"SLURM_PROCID": str(rank), "SLURM_NTASKS": "2"} for rank in range(2)]
    tasks = [start(encode(sounds, folder / "out", tokenize), **task) for task in names]
    ends = [task.wait() for task in tasks]
    right = ends == [0, 0] and tree(folder / "out") == wanted(folder, sounds, tokenize)
    return {"processes": 2, "wrong": [] if right else [str(ends)]}


def full(folder: Path, sounds: Path, tokenize: TokenizeBatch) -> dict[str, object]:
    """Encode to a disk of 4 MiB with room for the plan and a few shards, make room, and go on."""
    wrong = []
    with small_disk(folder / "disk"):
        if not os.path.ismount(folder / "disk"):
            return {"wrong": ["nothing can be mounted here"]}
        out, ballast = folder / "disk" / "out", folder / "disk" / "ballast"
        free = 160 * 1024
        ballast.write_bytes(bytes(4 * 2**20 - free))
        with start(encode(sounds, out, tokenize, "--format", "npz")) as parent:
            _, said = parent.communicate()
        line = said.decode().strip().splitlines()[-1]
        if parent.returncode != 3 or "the disk is full; free about" not in line or list(out.glob(".*tmp-*")):
            wrong.append(f"{parent.returncode}: {line}")
        done = len(list(out.glob("part-*")))
        ballast.unlink()
        with start(encode(sounds, out, tokenize, "--format", "npz")) as parent:
            parent.communicate()
        encode_here(sounds, folder / "whole", tokenize, ITEMS, "npz")
        if parent.returncode or tree(out) != tree(folder / "whole"):
            wrong.append(f"gone on: {parent.returncode}")
        return {"shards before it was full": done, "said": line.partition("tokaudio: ")[2], "wrong": wrong}


def read_only(folder: Path, sounds: Path, tokenize: TokenizeBatch) -> dict[str, object]:
    """Encode to where nothing can be written, and take the time until that is said."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with (
        read_only_disk(folder / "disk"),
        start(encode(sounds, folder / "disk/out", TokenizeBatch("mini-codec"))) as parent,
    ):
        _, said = parent.communicate()
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    wrong = [] if parent.returncode == 3 and said.count(b"\n") == 1 and wall < ANSWER_SECONDS else [said.decode()]
    return {"wall": round(wall, 2), "cpu": round(after.ru_utime - before.ru_utime, 2), "wrong": wrong}


def wanted(folder: Path, sounds: Path, tokenize: TokenizeBatch) -> dict[str, bytes]:
    """Return what one process makes of it."""
    if not (folder / "one").exists():
        encode_here(sounds, folder / "one", tokenize, ITEMS)
    return tree(folder / "one")


Part = Callable[[Path, Path, TokenizeBatch], dict[str, object]]
PARTS: dict[str, Part] = {part.__name__: part for part in (signals, apart, torchrun, slurm, full, read_only)}


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
    names = parser.parse_args().parts or list(PARTS)
    right = True
    with tempfile.TemporaryDirectory() as place:
        sounds, tokenize = write_sounds(Path(place, "in"), FILES), write_tokenizer(Path(place, "tiny"))
        for name in names:
            folder = Path(place, name)
            folder.mkdir()
            told = PARTS[name](folder, sounds, tokenize)
            print(json.dumps({"part": name, **told}), flush=True)
            right = right and not told["wrong"]
    return 0 if right else 1


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
