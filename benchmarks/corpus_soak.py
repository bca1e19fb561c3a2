"""Does a process stay small that goes through very many files? `python benchmarks/corpus_soak.py [--files N]`.

Files of one second go through a whole job in this process (`workers=0`), with its memory, its open files and its
seconds of CPU looked at every 500 files. With `--tokenizer loudness`, a toy takes the place of the model, so that what
is left is the pipeline. `--report LOG ...` writes the section from logs, also of a run that was cut off; `--fresh` is
the log of a short job begun when the long one ended: it tells a process that slows down from a machine that does.
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

from tests.corpus.toy import loudness
from tokaudio.corpus.engines.local import encode_corpus
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.tokenize_batch import TokenizeBatch

EVERY = 500


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


def cost(samples: list[Sample]) -> float:
    """Return the CPU seconds of 1,000 files, the start left out."""
    return (samples[-1].seconds - samples[0].seconds) / (samples[-1].inputs - samples[0].inputs) * 1000


def soak(folder: Path, tokenize: TokenizeBatch, files: int, log: Path) -> None:
    """Encode so many files, and log what is seen."""
    source = write_clips(folder / "clips", files, 1.0)
    done = looked = 0

    def tell(line: str, inputs: int, seconds: float) -> None:
        nonlocal done, looked
        done += inputs
        if done >= looked + EVERY:
            looked = done
            with log.open("a") as stream:
                stream.write(json.dumps(asdict(look(done))) + "\n")

    options = EncodeOptions(tokenize, sharding=Sharding(seconds=300.0, items=500))
    summary = encode_corpus(source, folder / "out", options, workers=0, tell=tell)
    if summary.ok != files:
        raise SystemExit(f"{summary.ok} of {files} files were encoded")


def look(inputs: int) -> Sample:
    """Return what this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    held = pages * os.sysconf("SC_PAGE_SIZE") // 1024
    return Sample(inputs, held, len(os.listdir("/proc/self/fd")), time.process_time())  # noqa: PTH208


def report(runs: dict[str, list[Sample]], fresh: list[Sample] | None = None) -> str:
    """Return the section of RESULTS.md, of runs by the name of their tokenizer, and a short run after the last."""
    lines = ["## Corpora: very many files", "", machine_line(("torch", "pyarrow"), threads=1), ""]
    lines += ["Files of one second, in Parquet shards of 300, by one process.", ""]
    lines += ["| tokenizer | files | resident MiB | open files | CPU seconds |", "|---|---:|---:|---:|---:|"]
    for name, samples in runs.items():
        for one in [samples[round(i * (len(samples) - 1) / 5)] for i in range(6)]:
            cells = (name, f"{one.inputs:,}", f"{one.kib / 1024:.0f}", str(one.descriptors), f"{one.seconds:.0f}")
            lines.append(f"| {' | '.join(cells)} |")
    for name, samples in runs.items():
        opened = [one.descriptors for one in samples]
        lines += [
            "",
            f"{name}: by a line through all {len(samples)} looks after the first tenth, {slope(samples):+.2f} MB of "
            f"memory per 10,000 files; {min(opened)} to {max(opened)} open files; speed of the last tenth "
            f"{pace(samples):.0%} of that of the second, by CPU seconds.",
        ]
        if fresh is not None:
            lines += [
                f"Its last tenth took {cost(samples[-1 - len(samples) // 10 :]):.1f} CPU seconds per 1,000 files; "
                f"a new process on the same machine, begun when it had ended, {cost(fresh):.1f}.",
            ]
    return "\n".join(lines)


def read_log(log: Path) -> list[Sample]:
    """Return what was seen."""
    return [Sample(**json.loads(line)) for line in log.read_text().splitlines()]


def main() -> int:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tokenizer", default="mini-codec")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--log", type=Path, help="default: TOKENIZER.jsonl in a temporary folder")
    parser.add_argument("--report", type=Path, nargs="*", metavar="LOG", help="named after their tokenizers")
    parser.add_argument("--fresh", type=Path, metavar="LOG", help="of a short run after that of --report")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        logs = given.report
        if logs is None:
            logs = [given.log or Path(name, f"{given.tokenizer}.jsonl")]
            tokenize = loudness() if given.tokenizer == "loudness" else TokenizeBatch(given.tokenizer)
            soak(Path(name), tokenize, given.files, logs[0])
        write_section(
            "corpus-soak", report({log.stem: read_log(log) for log in logs}, given.fresh and read_log(given.fresh))
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
