"""Do intervals hold what was planted, and what does analysis cost? `python benchmarks/analysis.py [--part NAME ...]`.

Parts, each a section of RESULTS.md:

- `coverage`: how many of 500 intervals of information hold the true figure, which is known because recordings are
  drawn by a rule: labels that last, recordings that differ from each other, codes that stay for a while.
- `again`: the settings whose coverage lay farthest from 95 %, on 2,000 other corpora: chance, or bias?
- `audio`: the same for ever less audio, beside the floor of chance, from which reports tell whether there was enough.
- `speed`: all measures of codes, and what codes say about labels, on one hour of tokens, beside a plain script
  (`analysis_plain.py`) that gives the same figures. Seconds of CPU on one thread.

Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import analysis_plain as plain
import numpy as np
from numpy.typing import NDArray
from results import machine_line, write_section

from tests.analysis.planted import Corpus, bits_and_share, planted_joint, unrelated_joint
from tokaudio.analysis.codes.pieces import PieceSample
from tokaudio.analysis.codes.power_laws import HeapsCounter, zipf
from tokaudio.analysis.codes.predictability import predictability
from tokaudio.analysis.codes.rarefaction import rarefaction
from tokaudio.analysis.codes.redundancy import redundancy
from tokaudio.analysis.codes.runs import RunCounter, temporal_redundancy
from tokaudio.analysis.codes.usage import UsageCounter
from tokaudio.analysis.frames.associations import MOST_FLOOR
from tokaudio.analysis.statistics.contingency import contingency
from tokaudio.analysis.statistics.grouping import GroupedCounts
from tokaudio.analysis.statistics.information import Information, entropy, evaluate, shuffled_floor
from tokaudio.analysis.statistics.intervals import InformationInterval, information_interval
from tokaudio.spec import CodebookSpec, TokenizerSpec

PARTS = ("coverage", "again", "audio", "speed")
SIMULATIONS, MORE = 500, 2000
AGAIN = ("256 codes, 16 labels, 10 min", "1,024 codes, 40 labels, 15 min")
MINUTES, RATE, BOOKS, SIZE = 60, 50, 8, 1024
LABELS = {"phone": 40, "speaker": 12, "pitch": 16, "energy": 16}

Array = NDArray[np.int64]


def planted() -> dict[str, tuple[NDArray[np.float64], Corpus, int]]:
    """Return what intervals are tried on: shares `[codes, labels]`, how recordings are drawn, and groups."""
    random = np.random.default_rng(7)
    short, hour = Corpus(), Corpus(recordings=200, frames=900)
    return {
        "16 codes, 8 labels, 3 min": (planted_joint(random, 16, 8, 0.3), short, 20),
        "the same, 10 groups": (planted_joint(random, 16, 8, 0.3), short, 10),
        "2 codes, 2 labels, 3 min": (np.array([[0.45, 0.05], [0.1, 0.4]]), short, 20),
        "64 codes, 8 labels, 5 min": (planted_joint(random, 64, 8, 0.1), Corpus(frames=150), 20),
        "labels of whole recordings": (planted_joint(random, 16, 4, 1.0), Corpus(lasting=50, evenness=0.01), 20),
        "256 codes, 16 labels, 10 min": (planted_joint(random, 256, 16, 0.1), Corpus(frames=300), 20),
        "1,024 codes, 40 labels, 15 min": (planted_joint(random, 1024, 40, 0.05), Corpus(frames=450), 20),
        "1,024 codes, 40 labels, 1 h": (planted_joint(random, 1024, 40, 0.05), hour, 20),
        "64 codes that say nothing": (unrelated_joint(random, 64, 8), Corpus(frames=150), 20),
    }


def cover(joint: NDArray[np.float64], corpus: Corpus, groups: int, simulations: int, seed: int = 0) -> str:
    """Return the columns of one row: truth, mean estimate, mean half width, coverage."""
    random, true = np.random.default_rng(seed), bits_and_share(joint)
    rows = []
    for _ in range(simulations):
        counts = GroupedCounts(groups)
        for codes, labels in corpus.draw(random, joint):
            counts.add(codes, labels)
        found = information_interval(counts.finish())
        both = list(zip((found.information, found.share), true, strict=True))
        rows.append(
            [x for one, t in both for x in (one.value, (one.high - one.low) / 2, one.low - 1e-9 <= t <= one.high)]
        )
    value, half, held, share, half_share, held_share = np.mean(rows, axis=0).tolist()
    return (
        f"{true[0]:.3f} | {value:.3f} | {half:.3f} | {100 * held:.1f} % "
        f"| {true[1]:.3f} | {share:.3f} | {half_share:.3f} | {100 * held_share:.1f} %"
    )


def coverage_section(simulations: int) -> str:
    """Try all intervals and return their section."""
    body = [
        "## Analysis: do intervals hold what was planted?",
        "",
        machine_line(("numpy",), threads=1),
        f"{simulations} corpora of 100 recordings each (of 200 for the hour); a coverage near 95 % is uncertain by "
        f"{200 * np.sqrt(0.95 * 0.05 / simulations):.1f} points either way.",
        "",
        "| planted | bits | found | +- | holds | share | found | +- | holds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, (joint, corpus, groups) in planted().items():
        body.append(f"| {name} | {cover(joint, corpus, groups, simulations)} |")
        print(body[-1], flush=True)
    return "\n".join(body)


def again_section(simulations: int) -> str:
    """Try those intervals again whose coverage lay farthest from 95 %, and return the section."""
    body = [
        "## Analysis: the settings farthest from 95 %, again",
        "",
        machine_line(("numpy",), threads=1),
        f"{simulations:,} corpora, none of those above; a coverage near 95 % is uncertain by "
        f"{200 * np.sqrt(0.95 * 0.05 / simulations):.1f} points either way.",
        "",
        "| planted | bits hold | shares hold |",
        "|---|---|---|",
    ]
    for name in AGAIN:
        columns = cover(*planted()[name], simulations, seed=1).split(" | ")
        body.append(f"| {name} | {columns[3]} | {columns[7]} |")
        print(body[-1], flush=True)
    return "\n".join(body)


def less_audio(joint: NDArray[np.float64], frames: int, simulations: int) -> str:
    """Return the columns of one row: floor, truth, mean estimate, coverage, and in how many there was a score."""
    random, true, drawn = np.random.default_rng(0), bits_and_share(joint)[1], Corpus(recordings=max(20, frames // 150))
    shape, rows = dataclasses.replace(drawn, frames=round(frames / drawn.recordings)), []
    for _ in range(simulations):
        recordings = list(shape.draw(random, joint))
        codes, labels = (np.concatenate(side) for side in zip(*recordings, strict=True))
        counts = GroupedCounts()
        for pair in recordings:
            counts.add(*pair)
        found = information_interval(counts.finish()).share
        floor = shuffled_floor(codes, labels, runs=True) / entropy(np.bincount(labels))
        rows.append([floor, found.value, found.low - 1e-9 <= true <= found.high, floor <= MOST_FLOOR])
    floor, value, held, enough = np.mean(rows, axis=0).tolist()
    return f"{floor:.2f} | {true:.3f} | {value:.3f} | {100 * held:.0f} % | {100 * enough:.0f} %"


def audio_section(simulations: int) -> str:
    """Try ever less audio and return the section."""
    random = np.random.default_rng(9)
    kinds = {
        "1,024 codes that say nothing, 16 labels": unrelated_joint(random, 1024, 16),
        "1,024 codes, 16 labels": planted_joint(random, 1024, 16, 0.1),
        "1,024 codes, 40 labels": planted_joint(random, 1024, 40, 0.05),
        "64 codes that say nothing, 16 labels": unrelated_joint(random, 64, 16),
    }
    body = [
        "## Analysis: how much audio is enough?",
        "",
        machine_line(("numpy",), threads=1),
        f"{simulations} corpora each. Floor: the share of what there is to know that chance gives; scores are given "
        f"where it is {MOST_FLOOR} at most.",
        "",
        "| planted | frames | floor | share | found | interval holds | scored |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, joint in kinds.items():
        size = len(joint)
        for times in (0.5, 2, 4, 8, 16):
            frames = round(times * size)
            body.append(f"| {name} | {frames:,} | {less_audio(joint, frames, simulations)} |")
            print(body[-1], flush=True)
    return "\n".join(body)


def corpus(minutes: float) -> tuple[list[Array], list[dict[str, Array]]]:
    """Return codes `[K, T]` and labels `[T]` of recordings of 5 s: codes stay, and follow labels, more or less."""
    random = np.random.default_rng(0)
    codes, labels = [], []
    for _ in range(round(minutes * 12)):
        count = 5 * RATE
        starts = np.arange(count)
        held = np.maximum.accumulate(np.where(random.random(count) < 0.2, starts, 0))
        known = {name: random.integers(0, size, count)[held] for name, size in LABELS.items()}
        known["speaker"] = np.full(count, random.integers(0, LABELS["speaker"]))
        drawn = (SIZE * random.random((BOOKS, count)) ** 1.5).astype(np.int64)
        says = np.stack([known[name] * (SIZE // LABELS[name]) + drawn[0] % 20 for name in LABELS] * 2) % SIZE
        codes.append(np.where(random.random((BOOKS, count)) < 0.3, says, drawn))
        labels.append(known)
    return codes, labels


def edges(frames: int) -> list[int]:
    """Return where each of the groups begins, and the end: stretches of recordings that follow each other."""
    recording = 5 * RATE
    return [frames // recording * group // plain.GROUPS * recording for group in range(plain.GROUPS)] + [frames]


def ours(recordings: list[Array], known: list[dict[str, Array]]) -> dict[str, Any]:
    """Return figures of tokaudio, in the order of the plain script's."""
    spec = TokenizerSpec("drawn", "compression", 16_000, 16_000 // RATE, (CodebookSpec(SIZE),) * BOOKS)
    use, growth, lasting = UsageCounter(spec), HeapsCounter(spec), RunCounter(spec)
    sample = PieceSample(spec)
    for codes in recordings:
        for counter in (use, growth, lasting, sample):
            counter.add(codes)
    times = [use.counts(book)[1] for book in range(BOOKS)]
    for one in times:
        zipf(one)
    pieces, laws = sample.finish(), growth.finish()
    told = predictability(pieces).codebooks
    joined = np.concatenate(recordings, axis=1)
    shared = redundancy(joined)
    following = temporal_redundancy(pieces)
    tables, groups = [], [slice(*pair) for pair in pairwise(edges(joined.shape[1]))]
    for name in LABELS:
        labels = np.concatenate([one[name] for one in known])
        for book in range(BOOKS):
            parts = [contingency(joined[book, part], labels[part]) for part in groups]
            tables.append((evaluate(joined[book], labels), information_interval(parts)))
    return {
        "entropy": [one.entropy for one in use.finish().codebooks],
        "rarefied": [rarefaction(one, SIZE, stated=plain.STATED).at_stated for one in times],
        "mean run": [one.mean for one in lasting.finish().codebooks],
        "heaps": [law.exponent for law in laws if law],
        "pairs": [pair.plain for row in shared.pairs for pair in row if pair],
        "temporal": [one.corrected for one in following if one],
        "bits": [one.bits for one in told if one],
        "tables": [table_figures(*pair) for pair in tables],
    }


def table_figures(found: Information, interval: InformationInterval) -> list[float]:
    """Return the figures of one table that are compared with the plain script's."""
    purities = [found.phone_purity, found.cluster_purity]
    return [found.pnmi, found.corrected, *purities, interval.information.value, interval.correction]


def theirs(recordings: list[Array], known: list[dict[str, Array]]) -> dict[str, Any]:
    """Return figures of the plain script."""
    random = np.random.default_rng(0)
    found = plain.usage(recordings, [SIZE] * BOOKS) | plain.shared(recordings, random)
    sides = [[], []]  # type: list[list[Array]]
    for number, codes in enumerate(recordings):
        sides[number % 4 == 1].append(codes)
    found["bits"] = [plain.ngrams(*([c[b].tolist() for c in side] for side in sides), SIZE) for b in range(BOOKS)]
    joined = np.concatenate(recordings, axis=1)
    groups = np.repeat(np.arange(plain.GROUPS), np.diff(edges(joined.shape[1])))
    tables = []
    for name in LABELS:
        labels = np.concatenate([one[name] for one in known])
        tables += [plain.table(joined[book], labels, groups, random) for book in range(BOOKS)]
    wanted = ("pnmi", "corrected", "phone purity", "cluster purity", "value", "correction")
    return found | {"tables": [[one[name] for name in wanted] for one in tables]}


def cpu(action: Callable[[], Any]) -> tuple[Any, float]:
    """Return what an action gives, and its CPU seconds."""
    start = time.process_time()
    result = action()
    return result, time.process_time() - start


def speed_section(minutes: float) -> str:
    """Time both and return their section."""
    from scipy.special import gammaln, stdtrit  # loaded before anything is timed

    assert gammaln(1.0) == 0.0 and stdtrit(1, 0.5) == 0.0
    recordings, known = corpus(minutes)
    (found, own), (wanted, other) = (cpu(lambda f=f: f(recordings, known)) for f in (ours, theirs))
    compared = ("entropy", "rarefied", "mean run", "heaps", "temporal", "bits", "tables")
    worst = max(float(np.abs(np.array(found[name]) - np.array(wanted[name])).max()) for name in compared)
    return "\n".join(
        [
            "## Analysis: what it costs",
            "",
            machine_line(("numpy", "scikit-learn"), threads=1),
            f"{minutes:g} minutes of drawn tokens ({BOOKS} codebooks of {SIZE:,} at {RATE} Hz) in recordings of 5 s: "
            "use, rarefaction, growth, runs, neighbours, all pairs of codebooks, n-grams to order 4, and what each "
            f"codebook says about {len(LABELS)} labels, with floors and intervals from {plain.GROUPS} groups. "
            "Without BPE, which is the same library on both sides. The plain script leaves out Zipf and total "
            "correlation.",
            "",
            "| | CPU |",
            "|---|---|",
            f"| tokaudio | {own:.1f} s |",
            f"| plain script | {other:.1f} s |",
            "",
            f"{other / own:.1f} times less. Figures that nothing random enters differ by {worst:.1e} at most.",
        ]
    )


def main() -> int:
    """Measure the chosen parts and return the exit code."""
    parser = argparse.ArgumentParser(description="Measure intervals and the cost of analysis.")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of tokens, for the part `speed`")
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    options = parser.parse_args()
    sections = {
        "coverage": lambda: coverage_section(options.simulations),
        "again": lambda: again_section(MORE),
        "audio": lambda: audio_section(options.simulations),
        "speed": lambda: speed_section(options.minutes),
    }
    for part in options.part:
        body = sections[part]()
        print(body, flush=True)
        if not options.dry_run:
            write_section(f"analysis-{part}", body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
