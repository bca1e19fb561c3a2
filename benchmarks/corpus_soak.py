"""Does a process stay small that goes through very many files? `python benchmarks/corpus_soak.py [--files N]`.

Files of one second go through a whole job in this process (`workers=0`), with its memory, its open files and its
seconds of CPU looked at 200 times on the way. `--log FILE` keeps what was seen as lines of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from corpus_clips import write_clips
from results import machine_line, write_section

from tokaudio.corpus.engines.local import encode_corpus
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.tokenize_batch import TokenizeBatch

LOOKS = 200


@dataclass(frozen=True)
class Sample:
    """What the process held at a moment: inputs done, resident KiB, open files, and CPU seconds used so far."""

    inputs: int
    kib: int
    descriptors: int
    seconds: float


def slope(samples: list[Sample]) -> float:
    """Return how many MB of memory 10,000 files add, by a line through the samples after the first tenth."""
    held = [(one.inputs, one.kib * 1024 / 1e6) for one in samples[len(samples) // 10 :]]
    return float(np.polyfit(*zip(*held, strict=True), 1)[0] * 10_000)


def pace(samples: list[Sample]) -> float:
    """Return the speed in the last tenth as a share of that in the second, where everything is loaded."""
    tenth = max(len(samples) // 10, 1)

    def speed(first: Sample, last: Sample) -> float:
        return (last.inputs - first.inputs) / max(last.seconds - first.seconds, 1e-9)

    return speed(samples[-1 - tenth], samples[-1]) / speed(samples[tenth], samples[2 * tenth])


def soak(folder: Path, tokenize: TokenizeBatch, files: int, log: Path | None) -> list[Sample]:
    """Encode so many files, and return what was seen."""
    source = write_clips(folder / "clips", files, 1.0)
    samples: list[Sample] = []
    done, every = 0, max(files // LOOKS, 1)

    def tell(line: str, inputs: int, seconds: float) -> None:
        nonlocal done
        done += inputs
        if done // every > len(samples):
            samples.append(look(done))
            if log is not None:
                with log.open("a") as stream:
                    stream.write(json.dumps(asdict(samples[-1])) + "\n")

    sharding = Sharding(seconds=300.0, items=500)
    summary = encode_corpus(source, folder / "out", EncodeOptions(tokenize, sharding=sharding), workers=0, tell=tell)
    if summary.ok != files:
        raise SystemExit(f"{summary.ok} of {files} files were encoded")
    return samples


def look(inputs: int) -> Sample:
    """Return what this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    held = pages * os.sysconf("SC_PAGE_SIZE") // 1024
    return Sample(inputs, held, len(os.listdir("/proc/self/fd")), time.process_time())  # noqa: PTH208


def report(tokenizer: str, samples: list[Sample]) -> str:
    """Return the section of RESULTS.md."""
    shown = [samples[round(i * (len(samples) - 1) / 10)] for i in range(11)]
    opened = [one.descriptors for one in samples]
    lines = ["## Corpora: very many files", "", machine_line(("torch", "pyarrow"), threads=1), ""]
    lines += [f"Files of one second, {tokenizer}, Parquet shards of 300, in one process.", ""]
    lines += ["| files | resident MiB | open files | CPU seconds |", "|---:|---:|---:|---:|"]
    lines += [f"| {s.inputs:,} | {s.kib / 1024:.0f} | {s.descriptors} | {s.seconds:.0f} |" for s in shown]
    lines += [
        "",
        f"Memory by a line through all {len(samples)} looks after the first tenth: {slope(samples):+.2f} MB per 10,000 "
        f"files; {min(opened)} to {max(opened)} open files; speed of the last tenth {pace(samples):.0%} "
        "of that of the second, by CPU seconds.",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tokenizer", default="mini-codec")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        samples = soak(Path(name), TokenizeBatch(given.tokenizer), given.files, given.log)
    write_section("corpus-soak", report(given.tokenizer, samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
