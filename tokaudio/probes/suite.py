"""A tokenizer through all tasks of a suite, to results in one record.

results = probe(Tokenizer.from_pretrained("mini-codec"), read_data("quick"), QUICK_TASKS, options=ProbeOptions())
write_results(results, "mini-codec.json")
"""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import tokaudio
from tokaudio.audio.manifest import Recording
from tokaudio.probes import PROBE_VERSION
from tokaudio.probes.data.extraction import Extraction, parameter_count, peak_memory_bytes
from tokaudio.probes.results import Costs, ProbeResults, TaskResult
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks import TaskOptions, find_task
from tokaudio.probes.tasks.base import Task, data_hash
from tokaudio.tokenizers.base import Tokenizer

QUICK_TASKS = ("ks", "ic", "sid", "sv")
"""Tasks of the quick suite."""
GENERATIVE_TASKS = ("enhancement", "separation", "tts")
"""Tasks whose answer is sound."""
SUITES = {"quick": QUICK_TASKS, "generative": GENERATIVE_TASKS, "all": (*QUICK_TASKS, *GENERATIVE_TASKS)}
"""Tasks of each suite, by its name."""


class Listener:
    """Is told how far a suite is; does nothing, and is there to be derived from."""

    def extracted(self, what: str, done: int, total: int) -> None:
        """Another recording has been read or encoded."""

    def ran(self, task: str, done: int, total: int) -> None:
        """Another run of a task is done."""

    def scored(self, result: TaskResult) -> None:
        """A task is done."""


@dataclass(frozen=True)
class ProbeOptions:
    """How a suite is run.

    Attributes:
        suite: its name, for the record.
        task: how much is run of each task.
        num_codebooks: use only the first so many; None for all.
        minutes: in all; tasks leave out seeds and floors beyond that, and say so. None for no limit.
        cache: folder where tokens and runs are kept; None for nowhere.
        jobs: runs that are done side by side, each on one thread; scores are the same.
    """

    suite: str = "quick"
    task: TaskOptions = field(default_factory=TaskOptions)
    num_codebooks: int | None = None
    minutes: float | None = None
    cache: Path | None = None
    jobs: int = 1


def probe(
    tokenizer: Tokenizer,
    recordings: Sequence[Recording],
    tasks: Sequence[str] = QUICK_TASKS,
    *,
    options: ProbeOptions | None = None,
    listener: Listener | None = None,
    kept: Callable[[ProbeResults], None] = lambda _: None,
) -> ProbeResults:
    """Score a tokenizer on tasks.

    Args:
        tokenizer: to be scored.
        recordings: labelled ones, of which each task takes what it can use.
        tasks: their names.
        options: how much is run.
        listener: is told how far it is.
        kept: is given the results so far after each task.

    Raises:
        UnknownNameError: if there is no such task.
        ProbeError: the recordings do not do for a task, or its split leaks.
        AudioError: a recording cannot be read.
    """
    options, listener = options or ProbeOptions(), listener or Listener()
    found = [find_task(name) for name in tasks]
    began, started = datetime.datetime.now(datetime.UTC), time.monotonic()
    used = sorted({number for task in found for number in task.select(recordings)})
    source = Extraction(
        tokenizer,
        [recordings[number] for number in used],
        num_codebooks=options.num_codebooks,
        cache=options.cache,
        listener=listener.extracted,
    )
    source.codes()
    left = None if options.minutes is None else max(0.0, options.minutes - (time.monotonic() - started) / 60)
    runner = Runner(cache=options.cache, minutes=left, jobs=options.jobs, listener=listener.ran)
    done = list[TaskResult]()
    for place, task in enumerate(found):
        runner.begin(task.name, task.runs(options.task), tasks_left=len(found) - place)
        done.append(task.run(source, options.task, runner))
        listener.scored(done[-1])
        results = _record(source, done, options, began, time.monotonic() - started)
        kept(results)
    return results


def _record(
    source: Extraction, done: Sequence[TaskResult], options: ProbeOptions, began: datetime.datetime, seconds: float
) -> ProbeResults:
    spec = source.spec
    costs = Costs(
        parameters=parameter_count(source.tokenizer),
        encode_real_time_factor=source.encode_real_time_factor(),
        peak_memory_bytes=peak_memory_bytes(),
        bitrate_bps=spec.bitrate_bps,
        token_rate=float(spec.token_rate),
    )
    task = options.task
    return ProbeResults(
        tokenizer=spec.name,
        kind=spec.kind,
        fingerprint=source.tokenizer.fingerprint,
        suite=options.suite,
        tasks=tuple(done),
        settings={
            "num_codebooks": source.num_codebooks,
            "fusion": task.fusion,
            "initial": task.initial,
            "trainable": task.trainable,
            "reads": task.reads,
        },
        costs=costs,
        machine=machine(),
        versions=versions(),
        hashes={"weights": source.tokenizer.fingerprint, "data": data_hash([[one] for one in source.contents])},
        started=began.isoformat(timespec="seconds"),
        seconds=seconds,
    )


def cores() -> int:
    """Return how many cores this process may use.

    Example:
        >>> cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, str | int]:
    """Return what the machine is.

    Example:
        >>> sorted(machine())
        ['cores', 'processor', 'system']
    """
    processor = platform.processor() or platform.machine()
    return {"processor": processor, "cores": cores(), "system": f"{platform.system()} {platform.machine()}"}


def versions() -> dict[str, str]:
    """Return the versions of what scores depend on.

    Example:
        >>> versions()["probes"] == PROBE_VERSION
        True
    """
    return {
        "tokaudio": tokaudio.__version__,
        "probes": PROBE_VERSION,
        "torch": str(torch.__version__),
        "numpy": str(np.__version__),
        "soxr": version("soxr"),
        "python": platform.python_version(),
    }


def estimate_runs(tasks: Sequence[Task], options: TaskOptions) -> int:
    """Return how many runs tasks have in all.

    Example:
        >>> estimate_runs([find_task("ks")], TaskOptions(seeds=(0,), permutations=0))
        6
    """
    return sum(task.runs(options) for task in tasks)
