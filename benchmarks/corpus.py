"""How fast is a corpus encoded, what does the pipeline cost, and does it stay small? `python benchmarks/corpus.py`.

- workers: the same job with one process and with two, in seconds of wall time, so on a machine with nothing else to do;
- pipeline: seconds of CPU of a whole job in one process beside bare `Tokenizer.encode` on samples in memory;
- soak: files of one second, one after the other, with the memory and open files of the process as they go by.

`--hours`, `--minutes`, `--files` and `--tokenizer` make it smaller or larger; `--only NAME` runs one part and leaves
RESULTS.md alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile
from results import machine_line, write_section
from speed import RATE, speech

from tokaudio.corpus.engines.local import encode_corpus
from tokaudio.corpus.finishing import Summary
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.tokenize_batch import TokenizeBatch

CLIP_SECONDS = 10
DISTINCT = 200
TOTAL_HOURS = 100_000


@dataclass(frozen=True)
class Soak:
    """What a process held while it went through many files.

    Attributes:
        files: number of them.
        inputs: done at each sample.
        kib: resident memory at each sample.
        descriptors: open files at each sample.
        seconds: wall time at each sample.
    """

    files: int
    inputs: tuple[int, ...]
    kib: tuple[int, ...]
    descriptors: tuple[int, ...]
    seconds: tuple[float, ...]

    def slope(self) -> float:
        """Return how many MB of memory 10,000 files add, by a line through the samples after the first tenth."""
        start = len(self.inputs) // 10
        return float(np.polyfit(self.inputs[start:], np.array(self.kib[start:]) * 1024 / 1e6, 1)[0] * 10_000)

    def pace(self) -> float:
        """Return the speed in the last tenth as a share of that in the second, where everything is loaded."""
        tenth = max(len(self.inputs) // 10, 1)

        def speed(first: int, last: int) -> float:
            return (self.inputs[last] - self.inputs[first]) / max(self.seconds[last] - self.seconds[first], 1e-9)

        return speed(len(self.inputs) - 1 - tenth, len(self.inputs) - 1) / speed(tenth, 2 * tenth)


def write_clips(folder: Path, count: int, seconds: float) -> Path:
    """Write so many files of speech, of which many may be links to one."""
    folder.mkdir(parents=True)
    sound = speech(int(DISTINCT + seconds)).numpy()
    size = int(seconds * RATE)
    for index in range(min(count, DISTINCT)):
        start = index * (len(sound) - size) // DISTINCT
        soundfile.write(folder / f"{index:06}.wav", sound[start : start + size], RATE)
    for index in range(DISTINCT, count):
        os.link(folder / f"{index % DISTINCT:06}.wav", folder / f"{index:06}.wav")
    return folder


def job(
    source: Path, out: Path, tokenize: TokenizeBatch, workers: int, tell: Callable[..., None] | None = None
) -> Summary:
    """Encode a folder to an output that is not there."""
    shutil.rmtree(out, ignore_errors=True)
    return encode_corpus(
        source, out, tokenize=tokenize, sharding=Sharding(seconds=300.0, items=500), workers=workers, tell=tell
    )


def workers_part(folder: Path, tokenize: TokenizeBatch, hours: float) -> tuple[dict[int, float], Summary]:
    """Return wall seconds by number of processes, and what the job gave."""
    source = write_clips(folder / "clips", int(hours * 3600 / CLIP_SECONDS), CLIP_SECONDS)
    taken = {}
    for workers in (1, 2):
        started = time.perf_counter()
        summary = job(source, folder / "out", tokenize, workers)
        taken[workers] = time.perf_counter() - started
    return taken, summary


def pipeline_part(folder: Path, tokenize: TokenizeBatch, minutes: float) -> list[tuple[float, float, float]]:
    """Return for clips of several lengths: their seconds, and CPU seconds per hour of bare encoding and of a job."""
    tokenizer = tokenize.load()
    rows = []
    for seconds in (1.0, 10.0, 60.0):
        count = max(1, round(minutes * 60 / seconds))
        source = write_clips(folder / f"clips{seconds:g}", count, seconds)
        sounds = [soundfile.read(path, dtype="float32")[0] for path in sorted(source.iterdir())]
        best = [np.inf, np.inf]
        for _ in range(3):
            started = time.process_time()
            for sound in sounds:
                tokenizer.encode(sound)
            best[0] = min(best[0], time.process_time() - started)
            started = time.process_time()
            job(source, folder / "out", tokenize, 0)
            best[1] = min(best[1], time.process_time() - started)
        hours = seconds * count / 3600
        rows.append((seconds, best[0] / hours, best[1] / hours))
    return rows


def soak_part(folder: Path, tokenize: TokenizeBatch, files: int) -> Soak:
    """Encode files of one second in this process, and look at it 200 times."""
    source = write_clips(folder / "many", files, 1.0)
    samples: list[tuple[int, int, int, float]] = []
    done, began, every = 0, time.perf_counter(), max(files // 200, 1)

    def tell(line: str, inputs: int, seconds: float) -> None:
        nonlocal done
        done += inputs
        if done // every > len(samples):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            held = pages * os.sysconf("SC_PAGE_SIZE") // 1024
            samples.append((done, held, len(os.listdir("/proc/self/fd")), time.perf_counter() - began))  # noqa: PTH208

    summary = job(source, folder / "out", tokenize, 0, tell)
    assert summary.ok == files, summary
    columns = list(zip(*samples, strict=True))
    return Soak(files, *(tuple(column) for column in columns))


def cost_lines(summary: Summary, cpu_per_hour: float) -> list[str]:
    """Return the arithmetic of a large corpus, from what was measured here."""
    size = summary.bytes / summary.hours
    core_hours = TOTAL_HOURS * cpu_per_hour / 3600
    return [
        f"{TOTAL_HOURS:,} hours at {cpu_per_hour:.1f} CPU seconds an hour are {core_hours:,.0f} core hours:",
        f"{core_hours / 64:,.0f} hours on one machine of 64 cores, {core_hours / 640:,.1f} on ten; and at",
        f"{size / 1e6:.3g} MB an hour {TOTAL_HOURS * size / 1e12:.3g} TB, in 10,000 shards of 10 hours",
        f"({10 * size / 1e6:.3g} MB each).",
    ]


def report(
    tokenize: TokenizeBatch,
    taken: dict[int, float],
    summary: Summary,
    rows: list[tuple[float, float, float]],
    soak: Soak,
) -> str:
    """Return the section of RESULTS.md."""
    lines = ["## Corpora", "", machine_line(("torch", "pyarrow"), threads=1), ""]
    lines += [f"Tokenizer {tokenize.tokenizer}; Parquet shards; WAV at 16 kHz.", ""]
    lines += ["| processes | wall seconds | times real time |", "|---:|---:|---:|"]
    lines += [f"| {n} | {wall:.1f} | {summary.hours * 3600 / wall:.0f} |" for n, wall in taken.items()]
    lines += ["", f"Two processes are {taken[1] / taken[2]:.2f} times as fast as one, start and end included.", ""]
    lines += ["| clips | bare `encode`, CPU s per hour | whole job | overhead |", "|---:|---:|---:|---:|"]
    lines += [f"| {s:g} s | {bare:.1f} | {whole:.1f} | {whole / bare - 1:.1%} |" for s, bare, whole in rows]
    lines += [
        "",
        f"{soak.files:,} files of one second in one process: {soak.kib[0] / 1024:.0f} MiB after the first "
        f"{soak.inputs[0]:,}, {soak.kib[-1] / 1024:.0f} MiB at the end ({soak.slope():+.2f} MB per 10,000 files), "
        f"{min(soak.descriptors)} to {max(soak.descriptors)} open files, pace of the last tenth {soak.pace():.0%}.",
        "",
        *cost_lines(summary, rows[1][2]),
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure, and write the section unless only a part was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tokenizer", default="mini-codec")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--minutes", type=float, default=20.0, help="of sound in each row of the pipeline")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--only", choices=("workers", "pipeline", "soak"))
    given = parser.parse_args()
    tokenize = TokenizeBatch(given.tokenizer)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.only == "soak":
            soak = soak_part(folder, tokenize, given.files)
            held = [soak.kib[0], soak.kib[-1]]
            print(json.dumps({"kib": held, "slope": soak.slope(), "pace": soak.pace(), "fds": max(soak.descriptors)}))
        elif given.only == "workers":
            print(workers_part(folder, tokenize, given.hours))
        elif given.only == "pipeline":
            print(pipeline_part(folder, tokenize, given.minutes))
        else:
            taken, summary = workers_part(folder / "workers", tokenize, given.hours)
            rows = pipeline_part(folder / "pipeline", tokenize, given.minutes)
            soak = soak_part(folder / "soak", tokenize, given.files)
            write_section("corpus", report(tokenize, taken, summary, rows, soak))
    return 0


if __name__ == "__main__":
    sys.exit(main())
