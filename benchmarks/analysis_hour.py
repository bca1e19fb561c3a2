"""What a report of an hour of speech costs: `python benchmarks/analysis_hour.py --audio FOLDER [--labels FOLDER]`.

Takes recordings of a folder by chance until there are 60 minutes, and runs three commands, each as a process of its
own: `tokaudio encode`, `tokaudio analyze` with everything that a report has, and `tokaudio analyze` of ten times as
much, in which each recording is listed ten times. CPU seconds and peak memory are of the whole process, start and
imports with it. festvox-ru (Debian) has 99.5 minutes, and phone labels.

Writes the section `analysis-hour`.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import soundfile
from results import machine_line, write_section

MINUTES, TIMES = 60.0, (1, 10)
TOKENIZERS = ("mini-codec", "mini-semantic")
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


@dataclass(frozen=True)
class Cost:
    """What a process used: CPU seconds of all its threads, and peak resident memory in MB."""

    seconds: float
    memory: float


def chosen(folder: Path, minutes: float) -> list[tuple[Path, float]]:
    """Return recordings of a folder in random order, and their seconds, until there are so many minutes."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    random.Random(0).shuffle(files)
    found, seconds = [], 0.0
    for path in files:
        if seconds >= 60 * minutes:
            break
        found.append((path, soundfile.info(path).duration))
        seconds += found[-1][1]
    if seconds < 60 * minutes:
        raise SystemExit(f"{folder} has {seconds / 60:.1f} minutes; give {minutes:g}")
    return found


def link(files: Sequence[tuple[Path, Path]], target: Path, times: int) -> None:
    """Make a folder in which each file (and its name there) stands so many times, without copying it."""
    for number in range(times):
        for path, name in files:
            place = target / f"{number:02}" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path.resolve())


def cost(arguments: Sequence[str]) -> Cost:
    """Run `tokaudio ARGUMENTS` on one thread and return what it used."""
    command = [sys.executable, "-m", "tokaudio", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def rows(tokenizer: str, audio: Path, labels: Path | None, times: Sequence[int], scratch: Path) -> Iterator[str]:
    """Yield the rows of a tokenizer.

    Args:
        tokenizer: its name.
        audio: folder of folders, named by how often each recording stands there; `1` is the hour.
        labels: folder of labels that have the names of recordings; None for none.
        times: names of folders.
        scratch: where files may be written.
    """
    encode = cost(["encode", str(audio / "1"), "-o", str(scratch / f"tokens-{tokenizer}"), "-t", tokenizer])
    known = [] if labels is None else ["--labels", str(labels)]
    outputs = ["-o", str(scratch / "report.html"), "--json", str(scratch / "report.json"), "-f"]
    for count in times:
        found = cost(["analyze", str(audio / str(count)), "-t", tokenizer, *known, *outputs])
        before = count * encode.seconds
        yield (
            f"| {tokenizer} | {count} | {before:.0f} s | {found.seconds:.0f} s | **{found.seconds - before:.0f} s** | "
            f"{found.memory:.0f} MB |"
        )


def section(
    tokenizers: Sequence[str], audio: Path, labels: Path | None, times: Sequence[int], minutes: float = MINUTES
) -> str:
    """Run everything and return the section."""
    recordings = chosen(audio, minutes)
    seconds = sum(length for _, length in recordings)
    body = [
        "## Analysis: an hour of speech in one run",
        "",
        machine_line(("torch", "numpy"), threads=1),
        f"{len(recordings)} recordings, {seconds / 60:.1f} minutes"
        f"{', with phone labels' if labels is not None else ''}, each listed once or more often: `tokaudio analyze` "
        "with page and JSON, everything on, beside `tokaudio encode` of the same recordings (of the hour, times how "
        "often they are listed). CPU seconds and peak memory of whole processes.",
        "",
        "| | times | encode | analyze | beyond the encode | peak |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        files = [(path, path.relative_to(audio)) for path, _ in recordings]
        for count in {1, *times}:
            link(files, Path(folder, "audio", str(count)), count)
        for name in tokenizers:
            for row in rows(name, Path(folder, "audio"), labels, times, Path(folder)):
                print(row, flush=True)
                body.append(row)
    return "\n".join(body)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description="Measure what a report of an hour of speech costs.")
    parser.add_argument("--audio", type=Path, required=True, help="folder with an hour of recordings or more")
    parser.add_argument("--labels", type=Path, help="folder of their labels, named alike")
    parser.add_argument("--tokenizers", nargs="+", default=TOKENIZERS)
    parser.add_argument("--times", nargs="+", type=int, default=TIMES, help="how often each recording is listed")
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    options = parser.parse_args()
    body = section(options.tokenizers, options.audio, options.labels, options.times)
    if not options.dry_run:
        write_section("analysis-hour", body)


if __name__ == "__main__":
    main()
