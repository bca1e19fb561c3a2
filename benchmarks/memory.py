"""Does memory grow with length, and are the codes of long files exact? `python benchmarks/memory.py [--hours 3]`.

Writes 48 kHz stereo files of 10 minutes and of 3 hours (2.1 GB of disk) to a temporary folder, encodes and decodes them
with the command line, each in a process of its own, and compares peak memory. Then a 30-minute file is encoded by
the command line (streamed) and as one array in memory, and the codes are compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile
import torch
from results import machine_line, write_section

from tokaudio import Tokenizer, Tokens
from tokaudio.audio import read_audio

RATE = 48_000
SPEECH = Path(__file__).parents[1] / "examples" / "audio" / "speech.wav"


def write_long(path: Path, minutes: float) -> None:
    """Write a stereo file of speech under slowly drifting gain and a little noise, so that no two minutes are alike."""
    speech, rate = soundfile.read(SPEECH, dtype="float32")
    once = np.repeat(speech, RATE // rate)
    generator = np.random.default_rng(0)
    left = int(minutes * 60 * RATE)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        while left > 0:
            block = once[: min(left, len(once))]
            noise = generator.normal(scale=0.003, size=(len(block), 2)).astype(np.float32)
            gains = generator.uniform(0.2, 1.0, size=2).astype(np.float32)
            file.write(block[:, None] * gains + noise)
            left -= len(block)


def peak_mb(arguments: list[str]) -> float:
    """Run `tokaudio ARGUMENTS` and return its peak resident memory in MB."""
    command = [sys.executable, "-m", "tokaudio", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return usage.ru_maxrss / 1024


def long_rows(folder: Path, hours: float) -> list[str]:
    """Return table rows: peak memory at 10 minutes and at `hours`, and their ratio."""
    peaks: dict[str, dict[str, float]] = {"encode": {}, "decode": {}}
    for label, minutes in (("short", 10.0), ("long", hours * 60)):
        wav, npz, back = folder / f"{label}.wav", folder / f"{label}.npz", folder / f"{label}-back.wav"
        write_long(wav, minutes)
        peaks["encode"][label] = peak_mb(["encode", str(wav), str(npz)])
        wav.unlink()
        peaks["decode"][label] = peak_mb(["decode", str(npz), str(back)])
        back.unlink()
    return [
        f"| {verb} | {peak['short']:.0f} MB | {peak['long']:.0f} MB | {peak['long'] / peak['short']:.3f} |"
        for verb, peak in peaks.items()
    ]


def exact_line(folder: Path) -> str:
    """Return a line that says whether streamed codes of 30 minutes equal those of the whole signal in memory."""
    wav, npz = folder / "half-hour.wav", folder / "half-hour.npz"
    write_long(wav, 30)
    peak_mb(["encode", str(wav), str(npz)])
    samples, rate = read_audio(wav)
    whole = Tokenizer.from_pretrained("mini-codec").encode(samples, rate)
    streamed = Tokens.load(npz)
    if whole.codes.shape != streamed.codes.shape:
        raise SystemExit(f"shapes differ: {list(whole.codes.shape)} and {list(streamed.codes.shape)}")
    differing = int((whole.codes != streamed.codes).sum())
    return (
        f"30 minutes, 48 kHz stereo, streamed by the command line against one array in memory: {differing} of "
        f"{whole.codes.numel()} codes differ."
    )


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description="Measure peak memory against length.")
    parser.add_argument("--hours", type=float, default=3.0)
    hours = parser.parse_args().hours
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        body = [
            "## Memory and exactness on long files",
            "",
            machine_line(("torch", "soundfile", "soxr"), threads=1),
            "Peak resident memory of the whole command, 48 kHz stereo WAV.",
            "",
            f"| command | 10 minutes | {hours:g} hours | ratio |",
            "|---|---|---|---|",
            *long_rows(Path(folder), hours),
            "",
            exact_line(Path(folder)),
        ]
    print("\n".join(body))
    if hours >= 3:
        write_section("memory", "\n".join(body))


if __name__ == "__main__":
    main()
