"""Do the probes' statistics keep what they promise? `python benchmarks/probe_statistics.py [--part NAME ...]`.

Parts, each a section of RESULTS.md, on scores that were drawn so that the truth is known (tests/probes/planted.py):

- `coverage`: how many of 500 intervals hold the true score, beside the plain quantiles of the same draws.
- `comparisons`: how often a tokenizer is declared different from itself, and how often a gap of 5 points is found.
- `order`: whether the same one is ahead from five disjoint sets of seeds, where a difference is declared.
- `chance`: how often guessers stay within the band of chance.

Needs nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from results import machine_line, write_section

from tests.probes.planted import Probed, Verified
from tokaudio.probes.chance import chance_band
from tokaudio.probes.resampling import ROUNDS, draw_groups, resampled
from tokaudio.probes.statistics import compare, difference, interval, stable_order

SIMULATIONS, RUNS = 500, 500
PAIR_ROUNDS = 300
"""Draws for scored pairs, which take a hundred times as long as sums."""


def planted() -> dict[str, Probed | Verified]:
    """Return what intervals are tried on."""
    return {
        "accuracy near 80 %, 12 speakers": Probed(),
        "the same, one run: how far runs spread is not seen": Probed(runs=1),
        "accuracy near 95 %, 28 speakers of 10 items": Probed(share=0.95, speakers=28, items=10, speaker_spread=0.7),
        "accuracy near 30 %, 8 speakers, unequal": Probed(
            share=0.3, speakers=8, items=60, run_spread=0.2, unequal=True
        ),
        "accuracy near 80 %, 40 speakers, runs alike": Probed(speakers=40, items=20, run_spread=0.0),
        "word errors near 15 %, 20 speakers, runs unlike": Probed(
            share=0.15, speakers=20, items=100, run_spread=0.3, unequal=True, metric="wer"
        ),
        "equal error rate near 18 %, 24 speakers": Verified(),
    }


def cover(one: Probed | Verified, simulations: int, seed: int = 0) -> tuple[float, float, float, float]:
    """Return truth, mean half width, and coverage of the interval and of the plain quantiles."""
    random, truth = np.random.default_rng(seed), one.truth()
    rows = []
    for _ in range(simulations):
        measure = one.draw(random)[0]
        rounds = ROUNDS if isinstance(one, Probed) else PAIR_ROUNDS
        found = interval(measure, rounds=rounds)
        assert found is not None
        runs = len(measure.seeds)
        drawn = resampled(measure, draw_groups(len(measure.groups), rounds=rounds))
        mixed = np.take_along_axis(drawn, np.random.default_rng(1).integers(0, runs, drawn.shape), axis=1)
        low, high = np.nanquantile(mixed.mean(axis=1), [0.025, 0.975])
        rows.append([(found.high - found.low) / 2, found.low <= truth <= found.high, low <= truth <= high])
    half, held, plain = np.mean(rows, axis=0).tolist()
    return truth, half, held, plain


def coverage_section(simulations: int) -> str:
    """Try all intervals and return their section."""
    body = [
        "## Probes: do intervals hold the truth?",
        "",
        machine_line(("numpy",), threads=1),
        f"{simulations} simulations each, 5 runs where nothing else is said; a coverage near 95 % is uncertain by "
        f"{200 * np.sqrt(0.95 * 0.05 / simulations):.1f} points either way (two standard errors). Plain: quantiles of "
        "as many draws of speakers and of runs, which is the usual bootstrap; "
        f"{ROUNDS:,} draws, {PAIR_ROUNDS} for the equal error rate.",
        "",
        "| planted | truth | half width | holds | plain |",
        "|---|---|---|---|---|",
    ]
    for name, one in planted().items():
        truth, half, held, plain = cover(one, simulations)
        body.append(f"| {name} | {truth:.3f} | {half:.3f} | {100 * held:.1f} % | {100 * plain:.1f} % |")
        print(body[-1], flush=True)
    return "\n".join(body)


def tasks() -> dict[str, Probed]:
    """Return the tasks on which tokenizers are compared."""
    return {
        "28 speakers, runs 1 point apart": Probed(speakers=28, own_spread=0.2, run_spread=0.05),
        "28 speakers, runs 2 points apart": Probed(speakers=28, own_spread=0.2),
        "the same, 10 runs": Probed(speakers=28, own_spread=0.2, runs=10),
        "12 speakers, runs 1 point apart": Probed(own_spread=0.2, run_spread=0.05),
        "12 speakers, runs 6 points apart": Probed(own_spread=0.2, run_spread=0.3),
    }


def declared(one: Probed, gap: float, runs: int, seed: int = 0) -> float:
    """Return how often two tokenizers are declared different whose true scores are `gap` apart."""
    random = np.random.default_rng(seed)
    shares = [one.share_for(0.75), one.share_for(0.75 + gap)]
    return float(np.mean([difference(*one.draw(random, *shares)).significant for _ in range(runs)]))


def any_of_six(one: Probed, runs: int, seed: int = 0) -> float:
    """Return how often, among six equal tokenizers, any of the 15 pairs is declared different."""
    random, share = np.random.default_rng(seed), one.share_for(0.75)
    drawn = ({str(name): measure for name, measure in enumerate(one.draw(random, *[share] * 6))} for _ in range(runs))
    return float(np.mean([any(pair.significant for pair in compare(measures).values()) for measures in drawn]))


def comparisons_section(runs: int) -> str:
    """Compare equal and unequal tokenizers and return the section."""
    body = [
        "## Probes: are equal tokenizers left alone, and unequal ones told apart?",
        "",
        machine_line(("numpy",), threads=1),
        f"{runs} simulations each, 5 runs of a probe on each tokenizer where nothing else is said, 40 items of each "
        "speaker, true accuracy 75 % (and 80 %). Tokenizers share speakers and seeds; each has its own weakness for "
        "some speakers (0.2 of log odds) and its own luck of seeds (a standard deviation of so many points). Share of "
        f"simulations in which a difference is declared at 5 %; 5.0 % is uncertain by "
        f"{200 * np.sqrt(0.95 * 0.05 / runs):.1f} points either way:",
        "",
        "| task | equal, two | equal, any pair of six (Holm) | 5 points apart |",
        "|---|---|---|---|",
    ]
    for name, one in tasks().items():
        shares = [declared(one, 0.0, runs), any_of_six(one, runs), declared(one, 0.05, runs)]
        body.append(f"| {name} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |")
        print(body[-1], flush=True)
    return "\n".join(body)


def order_section(pairs: int) -> str:
    """Compare pairs on five disjoint sets of seeds and return the section."""
    body = [
        "## Probes: is the order the same from other seeds?",
        "",
        machine_line(("numpy",), threads=1),
        f"{pairs} pairs of tokenizers, 0 to 10 points apart, probed with 25 seeds: five sets of 5. Of the pairs that "
        "the first set declares different, in how many is the same one ahead in all five sets?",
        "",
        "| task | declared different | same order from all five sets |",
        "|---|---|---|",
    ]
    for name, spread in (("28 speakers, runs 1 point apart", 0.05), ("28 speakers, runs 2 points apart", 0.1)):
        one, random = Probed(speakers=28, own_spread=0.2, run_spread=spread, runs=25), np.random.default_rng(0)
        same = []
        for gap in random.uniform(0.0, 0.1, pairs):
            first, second = one.draw(random, one.share_for(0.75), one.share_for(0.75 + gap))
            if difference(first.of_runs(range(5)), second.of_runs(range(5))).significant:
                same.append(stable_order(first, second))
        body.append(f"| {name} | {len(same)} | {sum(same)} |")
        print(body[-1], flush=True)
    return "\n".join(body)


def chance_section(batteries: int) -> str:
    """Let guessers guess and return the section."""
    body = [
        "## Probes: do guessers stay within the band of chance?",
        "",
        machine_line(("numpy",), threads=1),
        f"{batteries:,} batteries of 20 guessers each, in the 99.9 % band; a battery passes where all 20 are within.",
        "",
        "| classes, items | band | guessers outside | batteries that pass |",
        "|---|---|---|---|",
    ]
    random = np.random.default_rng(0)
    for classes, items in ((2, 200), (10, 200), (10, 1000), (28, 560)):
        low, high = chance_band(1 / classes, items)
        right = random.binomial(items, 1 / classes, (batteries, 20)) / items
        outside = (right < low) | (right > high)
        body.append(
            f"| {classes}, {items:,} | {100 * low:.1f} to {100 * high:.1f} % | {100 * outside.mean():.3f} % "
            f"| {100 * (~outside.any(axis=1)).mean():.2f} % |"
        )
        print(body[-1], flush=True)
    return "\n".join(body)


def main() -> int:
    """Run the chosen parts and write their sections."""
    parser = argparse.ArgumentParser(description="Try the statistics of probes on scores whose truth is known.")
    parts = {
        "coverage": lambda: coverage_section(SIMULATIONS),
        "comparisons": lambda: comparisons_section(RUNS),
        "order": lambda: order_section(200),
        "chance": lambda: chance_section(10_000),
    }
    parser.add_argument("--part", action="append", choices=sorted(parts), help="only this one (may be repeated)")
    for name in parser.parse_args().part or parts:
        write_section(f"probe-statistics-{name}", parts[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
