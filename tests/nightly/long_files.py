"""Long recordings in flat memory: `python -m tests.nightly.long_files [--folder FOLDER]`.

Ten minutes, three hours of stereo at 48 kHz and six hours of mono go through `tokaudio encode`, each in a process of
its own. Right is: peak memory within 10 % of that of ten minutes of the same kind, and the codes of the first minute
are those of the first minute alone. It prints one line of JSON per recording, and ends with 1 where anything is not as
it should be. Needs 2.1 GB in the folder, and eight minutes of CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch

from tests.nightly.limited import ROOT
from tokaudio import Tokenizer, Tokens
from tokaudio.audio import read_audio

KINDS = {"stereo at 48 kHz": (48_000, 2, 3 * 3_600), "mono at 16 kHz": (16_000, 1, 6 * 3_600)}
SHORT_SECONDS, CHECKED_SECONDS, MOST_GROWTH = 600, 60, 1.10


def write(path: Path, rate: int, channels: int, seconds: int) -> Path:
    """Write a sound that changes all the time, a minute at once."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.08, (rate * 60, channels)).astype(np.float32)
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_16", format="W64") as file:
        for minute in range(seconds // 60):
            tone = 0.2 * np.sin(2 * np.pi * (90 + minute) * np.arange(rate * 60) / rate)
            file.write(noise + tone[:, None].astype(np.float32))
    return path


def encoded(path: Path, out: Path) -> tuple[int, float]:
    """Encode a file in a process of its own, and return its peak memory in bytes and the CPU seconds it took."""
    pid = os.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "tokaudio", "encode", str(path), str(out), "-f", "-q"])
    _, status, used = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return 1024 * used.ru_maxrss, used.ru_utime + used.ru_stime


def compared(folder: Path, kind: str) -> dict[str, object]:
    """Encode ten minutes and hours of one kind."""
    rate, channels, seconds = KINDS[kind]
    short, _ = encoded(write(folder / "short.w64", rate, channels, SHORT_SECONDS), folder / "short.npz")
    path = write(folder / "long.w64", rate, channels, seconds)
    peak, cpu = encoded(path, folder / "long.npz")
    tokens = Tokens.load(folder / "long.npz")
    alone = Tokenizer.from_pretrained("mini-codec").encode(*read_audio(path, frames=CHECKED_SECONDS * rate))
    path.unlink()
    # The last frames of the minute alone hear its end.
    same = alone.codes.shape[2] - 10
    wrong = [] if torch.equal(tokens.codes[..., :same], alone.codes[..., :same]) else ["other codes"]
    wrong += [] if peak <= MOST_GROWTH * short else [f"{peak / short:.2f} times the memory"]
    wrong += [] if abs(tokens.duration - seconds) < 0.1 else [f"{tokens.duration} s"]
    return {
        "hours": seconds / 3600,
        "MiB": peak >> 20,
        "MiB of ten minutes": short >> 20,
        "cpu": round(cpu),
        "wrong": wrong,
    }


def main() -> int:
    """Try both kinds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, help="with room for the recordings")
    given, right = parser.parse_args(), True
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        for kind in KINDS:
            told = compared(Path(place), kind)
            print(json.dumps({"kind": kind, **told}), flush=True)
            right = right and not told["wrong"]
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
