"""Do intervals of what codebooks add hold what they should? `python benchmarks/analysis_increments.py`.

Recordings are drawn by a rule, a model is fitted to three in four groups of them, and what it tells of the fourth has
an interval. True is what the same model tells of very many recordings more.

Writes the section `analysis-increments`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray
from results import machine_line, write_section

from tests.analysis.planted import Corpus, planted_joint, unrelated_joint
from tokaudio.analysis.frames.incremental import IncrementalInformation, incremental_information

SIMULATIONS = 500
GROUPS, FOLDS, MORE = 20, 4, 8

Array = NDArray[np.int64]


def planted() -> dict[str, tuple[NDArray[np.float64], Corpus]]:
    """Return what intervals are tried on: shares `[codes, labels]`, and how recordings are drawn."""
    random = np.random.default_rng(8)
    return {
        "4 and 4 codes, 8 labels, 3 min": (planted_joint(random, 16, 8, 0.3), Corpus()),
        "16 and 4 codes, 8 labels, 3 min": (planted_joint(random, 64, 8, 0.1), Corpus()),
        "codes that say nothing": (unrelated_joint(random, 16, 8), Corpus()),
    }


def cover(joint: NDArray[np.float64], corpus: Corpus, simulations: int) -> str:
    """Return the columns of one row: bits of two codebooks and the gain of the second, each with its coverage."""
    random, rows = np.random.default_rng(1), []
    books = np.stack([np.arange(len(joint)) // 4, np.arange(len(joint)) % 4])
    for _ in range(simulations):
        drawn = [(*one, number % GROUPS) for number, one in enumerate(corpus.draw(random, joint))]
        fresh = [(*one, 0) for _ in range(MORE) for one in corpus.draw(random, joint)]
        found = told(drawn, books)
        true = told([*(one for one in drawn if one[2] % FOLDS), *fresh], books)
        for value, ends, wanted in (
            (found.bits[1], found.intervals[1], true.bits[1]),
            (found.gains[1], found.gain_intervals[1], true.gains[1]),
        ):
            assert ends is not None
            rows.append([wanted, value, (ends[1] - ends[0]) / 2, ends[0] <= wanted <= ends[1]])
    means = np.mean(np.array(rows).reshape(simulations, 2, 4), axis=0).tolist()
    return " | ".join(f"{t:.3f} | {value:.3f} | {half:.3f} | {100 * held:.1f} %" for t, value, half, held in means)


def told(recordings: list[tuple[Array, Array, int]], books: Array) -> IncrementalInformation:
    """Return what two codebooks, of which each code is made, tell of recordings: codes, labels, and group."""
    codes, labels = (np.concatenate([one[side] for one in recordings]) for side in (0, 1))
    groups = np.repeat([one[2] for one in recordings], [len(one[0]) for one in recordings])
    found = incremental_information(books[:, codes], labels, groups % FOLDS, groups=groups, most=len(labels))
    assert found is not None
    return found


def section(simulations: int) -> str:
    """Try all intervals and return the section."""
    body = [
        "## Analysis: do intervals of increments hold what they should?",
        "",
        machine_line(("numpy",), threads=1),
        f"{simulations} corpora of 100 recordings in {GROUPS} groups, of which {GROUPS // FOLDS} are held out, and "
        f"{MORE * 100} recordings more for what is true of the model that was fitted. Coverage near 95 % is uncertain "
        f"by {200 * np.sqrt(0.95 * 0.05 / simulations):.1f} points either way.",
        "",
        "| planted | bits of both codebooks | found | +- | holds | gain of the second | found | +- | holds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, (joint, corpus) in planted().items():
        body.append(f"| {name} | {cover(joint, corpus, simulations)} |")
        print(body[-1], flush=True)
    return "\n".join(body)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description="Measure intervals of what codebooks add.")
    parser.add_argument("--simulations", type=int, default=SIMULATIONS)
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    options = parser.parse_args()
    body = section(options.simulations)
    if not options.dry_run:
        write_section("analysis-increments", body)


if __name__ == "__main__":
    main()
