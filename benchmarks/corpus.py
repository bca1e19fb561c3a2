"""How fast is a corpus encoded, and what does the pipeline cost? `python benchmarks/corpus.py [--only PART]`.

- workers: the same job by one process and by two, in turns, in seconds of wall time; so on a machine that does nothing
  else. CPU seconds stand beside it: what is missing between the two is what others took.
- pipeline: CPU seconds of a whole job in one process beside `Tokenizer.encode` of lists of the same files, and of the
  same sound read and resampled before, both in batches of the job's size.

The sections are `corpus-workers`, with the arithmetic of 100,000 hours, and `corpus-pipeline`.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from corpus_clips import write_clips
from results import machine_line, write_section
from torch import Tensor

from tokaudio.audio import read_audio, resample
from tokaudio.corpus.engines.local import encode_corpus
from tokaudio.corpus.finishing import Summary
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.tokenize_batch import TokenizeBatch

CLIP_SECONDS = 10.0
LENGTHS = (1.0, 10.0, 60.0)
FILES = ((16_000, ".wav"), (24_000, ".flac"))
SHARDING = Sharding(seconds=300.0, items=500)
TOTAL_HOURS = 100_000


@dataclass(frozen=True)
class Run:
    """A job's seconds: of wall time, and of CPU in all its processes."""

    wall: float
    cpu: float


def run(source: Path, out: Path, tokenize: TokenizeBatch, workers: int) -> tuple[Run, Summary]:
    """Encode a folder to an output that is not there."""
    shutil.rmtree(out, ignore_errors=True)
    began, used = time.perf_counter(), cpu_seconds()
    summary = encode_corpus(source, out, EncodeOptions(tokenize, sharding=SHARDING), workers=workers)
    return Run(time.perf_counter() - began, cpu_seconds() - used), summary


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def in_turns(source: Path, out: Path, tokenize: TokenizeBatch, pairs: int) -> tuple[list[tuple[Run, Run]], Summary]:
    """Return the runs of one process and of two, in pairs, and what the job gave."""
    found = []
    for _ in range(pairs):
        (one, summary), (two, _) = run(source, out, tokenize, 1), run(source, out, tokenize, 2)
        found.append((one, two))
    return found, summary


def workers_report(tokenizer: str, pairs: list[tuple[Run, Run]], summary: Summary) -> str:
    """Return the section about one process and two, and what a large corpus takes."""
    lines = ["## Corpora: one process and two", "", machine_line(("torch", "pyarrow"), threads=1), ""]
    lines += [
        f"{summary.listed:,} FLAC files of {CLIP_SECONDS:g} s at 24 kHz ({summary.hours:.3g} h) with {tokenizer} to"
    ]
    lines += [f"{summary.shards} Parquet shards, start and end of all processes included; medians of pairs.", ""]
    lines += [
        "| processes | wall seconds | times real time | CPU seconds | share of the CPUs |",
        "|---:|---:|---:|---:|---:|",
    ]
    for count, runs in enumerate(zip(*pairs, strict=True), 1):
        wall, cpu = (statistics.median(getattr(one, name) for one in runs) for name in ("wall", "cpu"))
        lines.append(
            f"| {count} | {wall:.1f} | {summary.hours * 3600 / wall:.0f} | {cpu:.1f} | {cpu / count / wall:.0%} |"
        )
    ratios = sorted(one.wall / two.wall for one, two in pairs)
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    lines += ["", f"Two processes are {statistics.median(ratios):.2f} times as fast as one (in pairs: {each}).", ""]
    cpu = statistics.median(one.cpu for one, _ in pairs)
    return "\n".join(lines + cost_lines(summary, cpu / summary.hours))


def cost_lines(summary: Summary, cpu_per_hour: float) -> list[str]:
    """Return the arithmetic of a large corpus, from what was measured here."""
    size = summary.bytes / summary.hours
    core_hours = TOTAL_HOURS * cpu_per_hour / 3600
    return [
        f"{TOTAL_HOURS:,} hours at {cpu_per_hour:.1f} CPU seconds an hour are {core_hours:,.0f} core hours:",
        f"{core_hours / 64:,.1f} hours on one machine of 64 cores, {core_hours / 640:,.2f} on ten; and at",
        f"{size / 1e6:.3g} MB an hour {TOTAL_HOURS * size / 1e12:.3g} TB, in 10,000 shards of 10 hours",
        f"({10 * size / 1e6:.3g} MB each).",
    ]


@dataclass(frozen=True)
class Overhead:
    """CPU seconds per hour of clips of one length and kind: encoding samples, encoding files, and a whole job."""

    clips: str
    clip_seconds: float
    samples: float
    files: float
    job: float


def overhead(source: Path, out: Path, tokenize: TokenizeBatch, runs: int) -> tuple[float, float, float]:
    """Return the CPU seconds of samples, files and a job; the best of several in turns, as others only ever add."""
    tokenizer = tokenize.load()
    paths = sorted(source.iterdir())
    sounds = [resample(*read_audio(path), tokenizer.spec.sample_rate) for path in paths]
    size = max(1, int(tokenize.batch_seconds * tokenizer.spec.sample_rate / sounds[0].shape[-1]))

    def encoding(clips: Sequence[Tensor] | Sequence[Path]) -> float:
        began = cpu_seconds()
        for start in range(0, len(clips), size):
            tokenizer.encode(clips[start : start + size])
        return cpu_seconds() - began

    found = [(encoding(sounds), encoding(paths), run(source, out, tokenize, 0)[0].cpu) for _ in range(runs)]
    samples, files, job = (min(column) for column in zip(*found, strict=True))
    return samples, files, job


def overheads(folder: Path, tokenize: TokenizeBatch, minutes: float, runs: int) -> list[Overhead]:
    """Measure clips of all lengths and kinds."""
    rows = []
    for rate, suffix in FILES:
        for seconds in LENGTHS:
            count = max(1, round(minutes * 60 / seconds))
            source = write_clips(folder / f"{seconds:g}{suffix}", count, seconds, rate=rate, suffix=suffix)
            used = overhead(source, folder / "out", tokenize, runs)
            hours = seconds * count / 3600
            rows.append(Overhead(f"{suffix[1:].upper()}, {rate // 1000} kHz", seconds, *(one / hours for one in used)))
    return rows


def pipeline_report(tokenizer: str, rows: list[Overhead], minutes: float) -> str:
    """Return the section about the cost of the pipeline."""
    lines = ["## Corpora: cost of the pipeline", "", machine_line(("torch", "pyarrow"), threads=1), ""]
    lines += [
        f"{minutes:g} minutes with {tokenizer} in one process, CPU seconds per hour of sound. `encode` of files and of",
        "their samples (in memory, at the tokenizer's rate) takes batches of the job's size; the job lists, plans,",
        "checks that files are whole, writes and syncs as well.",
        "",
        "| clips | of | `encode` of samples | `encode` of files | whole job | beyond `encode` of files | of samples |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        used = (f"{row.samples:.1f}", f"{row.files:.1f}", f"{row.job:.1f}")
        beyond = (f"{row.job / row.files - 1:+.1%}", f"{row.job / row.samples - 1:+.1%}")
        lines.append(f"| {' | '.join((row.clips, f'{row.clip_seconds:g} s', *used, *beyond))} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, and write the sections."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tokenizer", default="mini-codec")
    parser.add_argument("--hours", type=float, default=2.0, help="of sound for the processes")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=20.0, help="of sound in each row of the pipeline")
    parser.add_argument("--only", choices=("workers", "pipeline"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    tokenize = TokenizeBatch(given.tokenizer)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.only != "pipeline":
            source = write_clips(folder / "clips", int(given.hours * 3600 / CLIP_SECONDS), CLIP_SECONDS)
            pairs, summary = in_turns(source, folder / "out", tokenize, given.pairs)
            write_section("corpus-workers", workers_report(given.tokenizer, pairs, summary))
        if given.only != "workers":
            rows = overheads(folder, tokenize, given.minutes, given.pairs)
            write_section("corpus-pipeline", pipeline_report(given.tokenizer, rows, given.minutes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
