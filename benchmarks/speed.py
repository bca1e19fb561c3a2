"""How fast is mini-codec, and how much time does the command line take? `python benchmarks/speed.py [NAME_OR_FOLDER]`.

Everything runs on one thread and is timed in seconds of CPU (user and system), the median of several runs: on a busy
machine that moves far less than wall time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import soundfile
import torch
from results import machine_line, write_section

from tokaudio import Tokenizer
from tokaudio.audio import read_audio, resample

RUNS = 7
RATE = 16_000
SPEECH = Path(__file__).parents[1] / "examples" / "audio" / "speech.wav"


def median_cpu(action: Callable[[], object]) -> float:
    """Return the median CPU seconds of an action, after one run to warm up."""
    action()
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        action()
        times.append(time.process_time() - started)
    return statistics.median(times)


def child_cpu(command: list[str]) -> float:
    """Return the CPU seconds that a command uses, start to end."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def speech(seconds: int) -> torch.Tensor:
    """Return the example recording, repeated to so many seconds, `[S]` at 16 kHz."""
    samples, rate = read_audio(SPEECH)
    once = resample(samples[0], rate, RATE)
    return once.repeat(-(-seconds * RATE // len(once)))[: seconds * RATE]


def codec_rows(name: str) -> list[str]:
    """Return table rows: CPU seconds and times real time of encode and decode at several lengths."""
    tokenizer = Tokenizer.from_pretrained(name)
    rows = []
    for seconds in (1, 10, 60, 600):
        audio = speech(seconds)
        tokens = tokenizer.encode(audio, RATE)
        encode = median_cpu(lambda audio=audio: tokenizer.encode(audio, RATE))
        decode = median_cpu(lambda tokens=tokens: tokenizer.decode(tokens))
        times = f"{encode * 1000:.1f} ms | {seconds / encode:.0f} | {decode * 1000:.1f} ms | {seconds / decode:.0f}"
        rows.append(f"| {seconds} s | {times} |")
    return rows


def command_rows(name: str) -> list[str]:
    """Return table rows: CPU seconds of whole commands."""
    with tempfile.TemporaryDirectory() as folder:
        wav, npz = f"{folder}/ten.wav", f"{folder}/ten.npz"
        soundfile.write(wav, speech(10).numpy(), RATE)
        python = [sys.executable, "-m", "tokaudio"]
        commands = {
            "`tokaudio --help`": [*python, "--help"],
            "`tokaudio encode` of a 10 s wav": [*python, "encode", wav, npz, "-f", "-t", name],
            "`tokaudio decode` of it": [*python, "decode", npz, f"{folder}/back.wav", "-f", "-t", name],
        }
        return [
            f"| {label} | {statistics.median(child_cpu(command) for _ in range(RUNS)):.2f} s |"
            for label, command in commands.items()
        ]


def main() -> None:
    """Measure and write the section."""
    torch.set_num_threads(1)
    name = sys.argv[1] if len(sys.argv) > 1 else "mini-codec"
    body = [
        "## Speed",
        "",
        machine_line(("torch", "numpy", "soxr"), threads=1),
        f"CPU seconds (user and system), median of {RUNS} runs.",
        "",
        "| mini-codec, length | encode | x real time | decode | x real time |",
        "|---|---|---|---|---|",
        *codec_rows(name),
        "",
        "| command, all in | CPU |",
        "|---|---|",
        *command_rows(name),
    ]
    print("\n".join(body))
    write_section("speed", "\n".join(body))


if __name__ == "__main__":
    main()
