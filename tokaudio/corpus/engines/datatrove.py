"""Tasks run by datatrove, on this machine; its executors for Slurm and Ray take the same step.

encode_corpus(manifest, "out", tasks=8, workers=4)

    SlurmPipelineExecutor([step], tasks=64, time="12:00:00", partition="gpu", logging_dir=logs)

where `step` is `EncodeShards.of` a prepared job. Only the local executor is tested.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import nullcontext
from typing import Any

from tokaudio.corpus.engines.task import EncodeShards, run_job
from tokaudio.corpus.finishing import Summary
from tokaudio.corpus.job import Job
from tokaudio.corpus.options import EncodeOptions
from tokaudio.errors import MissingDependencyError, one_line


def encode_corpus(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    options: EncodeOptions | None = None,
    *,
    tasks: int = 1,
    workers: int = -1,
    logs: str | os.PathLike[str] | None = None,
) -> Summary:
    """Encode as `tokaudio.corpus.engines.local.encode_corpus` does, by datatrove's `LocalPipelineExecutor`.

    Args:
        source: manifest or folder of audio files.
        folder: for the shards; it holds nothing else.
        options: `EncodeOptions()` if None.
        tasks: of datatrove; each loads the model once.
        workers: tasks that run at a time; all of them if -1.
        logs: folder for datatrove's logs, outside of `folder`; a temporary one if None.

    Raises:
        MissingDependencyError: if datatrove is not installed.
        CorpusError: if the folder holds something else, or a job of other inputs or options.
    """
    wanted = options or EncodeOptions()

    def run(job: Job) -> None:
        with nullcontext(os.fspath(logs)) if logs is not None else tempfile.TemporaryDirectory() as place:
            local_executor(EncodeShards.of(job, wanted), tasks=tasks, workers=workers, logs=place).run()

    return run_job(source, folder, wanted, run)


def local_executor(step: EncodeShards, *, tasks: int, workers: int, logs: str) -> Any:
    """Return datatrove's executor of processes on this machine, with the step as its pipeline.

    What is done is read from the job's journal, so that datatrove's own marks are not asked.

    Raises:
        MissingDependencyError: if datatrove is not installed.
    """
    try:
        from datatrove.executor import LocalPipelineExecutor
    except ImportError as error:
        problem, remedy = "the package datatrove is missing", "run: pip install tokaudio[cluster]"
        raise MissingDependencyError(one_line("datatrove", problem, remedy)) from error
    return LocalPipelineExecutor([step], tasks=tasks, workers=workers, logging_dir=logs, skip_completed=False)
