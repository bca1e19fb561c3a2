"""Tasks run by Ray: on the cluster that `ray.init` has joined, or on this machine."""

from __future__ import annotations

import os
from typing import Any

from tokaudio.corpus.engines.task import EncodeShards, run_job
from tokaudio.corpus.finishing import Summary
from tokaudio.corpus.job import Job
from tokaudio.corpus.options import EncodeOptions
from tokaudio.errors import MissingDependencyError, one_line

_RETRIES = 3


def encode_corpus(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    options: EncodeOptions | None = None,
    *,
    workers: int = 1,
    gpus_each: float = 0.0,
) -> Summary:
    """Encode as `tokaudio.corpus.engines.local.encode_corpus` does, by tasks of Ray.

    Ray is started on this machine, and ended, where the program has not joined a cluster before.

    Args:
        source: manifest or folder of audio files, which all machines see.
        folder: for the shards, which all machines see; it holds nothing else.
        options: `EncodeOptions()` if None.
        workers: tasks; each has one CPU and loads the model once.
        gpus_each: GPUs, or the part of one, that each task is given.

    Raises:
        MissingDependencyError: if Ray is not installed.
        CorpusError: if the folder holds something else, or a job of other inputs or options.
    """
    ray, wanted = _ray(), options or EncodeOptions()

    def run(job: Job) -> None:
        step = EncodeShards.of(job, wanted)
        started = not ray.is_initialized()
        if started:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
        try:
            task = ray.remote(num_cpus=1, num_gpus=gpus_each, max_retries=_RETRIES)(_work)
            ray.get([task.remote(step, rank, workers) for rank in range(workers)])
        finally:
            if started:
                ray.shutdown()

    return run_job(source, folder, wanted, run)


def _work(step: EncodeShards, rank: int, count: int) -> None:
    step(None, rank, count)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        problem, remedy = "the package ray is missing", "run: pip install tokaudio[cluster]"
        raise MissingDependencyError(one_line("ray", problem, remedy)) from error
    return ray
