"""Is the order of real tokenizers the same from other seeds? `python benchmarks/probe_order.py --out results`.

Each tokenizer is probed with 25 seeds, on its tokens alone: five sets of five, none of which shares a seed with
another. Writes `order/TASK-NAME.json` of each below `--out`, where what is there is not probed again, and a section of
RESULTS.md on all that are there.

Needs: as `benchmarks/leaderboard.py`, whose `--cache` it can share.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from leaderboard import COMPARED, entrants
from results import machine_line, write_section

from tokaudio.probes.data.caching import default_cache
from tokaudio.probes.data.quick_data import read_data
from tokaudio.probes.evidence import Measure
from tokaudio.probes.results import read_results, write_results
from tokaudio.probes.statistics import compare, stable_order
from tokaudio.probes.suite import QUICK_TASKS, ProbeOptions, cores, probe
from tokaudio.probes.tasks import TaskOptions

SETS, EACH = 5, 5
PARTS = tuple(range(EACH * number, EACH * (number + 1)) for number in range(SETS))


def probe_all(out: Path, cache: Path, names: Sequence[str], task: str) -> None:
    """Probe what has no results yet."""
    options = TaskOptions(seeds=tuple(range(SETS * EACH)), reference_seeds=0, permutations=0)
    made = entrants(out)
    for name in names:
        path = out / "order" / f"{task}-{name}.json"
        if path.exists():
            continue
        cpu = sum(os.times()[:4])
        asked = ProbeOptions(task=options, cache=cache, jobs=cores())
        path.parent.mkdir(parents=True, exist_ok=True)
        write_results(probe(made[name](), read_data("quick"), [task], options=asked), path)
        print(f"{task}, {name}: {(sum(os.times()[:4]) - cpu) / 60:.1f} min of processor time", flush=True)


def section(by_task: Mapping[str, Mapping[str, Measure]]) -> str:
    """Return the section on measures of 25 seeds, by task and tokenizer."""
    body = [
        "## Probes: is the order of real tokenizers the same from other seeds?",
        "",
        machine_line(("torch",), threads=1),
        f"{SETS} sets of {EACH} seeds that share none; scores in %. Pairs are declared different by a set where p, "
        "corrected for all pairs of the task (Holm), is at most 5 %.",
    ]
    for task, measures in by_task.items():
        first = next(iter(measures.values())).about
        body += ["", f"**{task}**, {first.title}", ""]
        body += ["| tokenizer | " + " | ".join(f"set {number + 1}" for number in range(SETS)) + " |"]
        body += ["|---|" + "---|" * SETS]
        for name, measure in measures.items():
            cells = [f"{first.scale * measure.of_runs(part).mean:.1f}" for part in PARTS]
            body.append(f"| {name} | {' | '.join(cells)} |")
        body += ["", verdict(measures)]
    return "\n".join(body)


def verdict(measures: Mapping[str, Measure]) -> str:
    """Return how many pairs are declared different, and which of them are not in the same order in every set."""
    declared = dict.fromkeys(combinations(measures, 2), 0)
    for part in PARTS:
        found = compare({name: measure.of_runs(part) for name, measure in measures.items()})
        for pair, told in found.items():
            declared[pair] += told.significant
    same = {pair: stable_order(*(measures[name] for name in pair), sets=SETS) for pair in declared}
    sure = [pair for pair, count in declared.items() if count]
    told = [
        f"{len(sure)} of {len(declared)} pairs are declared different by one set or more, "
        f"{sum(count == SETS for count in declared.values())} by all; "
        f"{sum(same[pair] for pair in sure)} of the {len(sure)} are in the same order in all sets."
    ]
    for pair, count in declared.items():
        if not same[pair]:
            told.append(f"{' and '.join(pair)} change places, and are declared different by {count or 'no'} set(s).")
    return " ".join(told)


def main() -> int:
    """Probe, and write what was found."""
    parser = argparse.ArgumentParser(description="Probe tokenizers with five sets of seeds, and compare their order.")
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--only", action="append", help="tokenizer to probe (may be repeated)")
    parser.add_argument("--task", default=",".join(QUICK_TASKS), help="tasks, or nothing to write the section only")
    options = parser.parse_args()
    started = time.monotonic()
    for task in filter(None, options.task.split(",")):
        probe_all(options.out, options.cache, options.only or COMPARED, task)
    print(f"{(time.monotonic() - started) / 60:.1f} min")
    by_task: dict[str, dict[str, Measure]] = {}
    for path in sorted((options.out / "order").glob("*.json")):
        results = read_results(path)
        by_task.setdefault(results.tasks[0].task, {})[results.tokenizer] = results.tasks[0].measure
    write_section("probes-order", section(by_task))
    return 0


if __name__ == "__main__":
    sys.exit(main())
