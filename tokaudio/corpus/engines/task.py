"""What all engines share: a job is prepared, something runs it, and its numbers are read.

Where processes are started elsewhere, each runs `EncodeShards`: it claims shards of a prepared job by locks, until
there are none. Any number may run, anywhere that sees the folder, and whoever comes late finds nothing left to do. So
engines differ in where work is done, and not in what comes out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tokaudio.corpus.finishing import Summary, finished
from tokaudio.corpus.job import Job
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.ranks import Rank
from tokaudio.corpus.record import read_record
from tokaudio.errors import CorpusError, one_line


@dataclass(frozen=True)
class EncodeShards:
    """A task, as a function that can be sent anywhere; datatrove takes it as a step of a pipeline.

    Args:
        folder: of the job, which `Job.prepare` has prepared.
        root: folder that names of inputs are relative to.
        source: manifest or folder that lists them.
        options: of the job.
    """

    folder: str
    root: str
    source: str
    options: EncodeOptions

    @classmethod
    def of(cls, job: Job, options: EncodeOptions) -> EncodeShards:
        """Return the task of a prepared job."""
        return cls(str(job.folder.absolute()), job.root, job.source, options)

    def __call__(self, data: Iterable[Any] | None = None, rank: int = 0, world_size: int = 1) -> Iterable[Any]:
        """Work until all shards of the job are done, and return `data` as it is.

        Raises:
            CorpusError: if the job was begun with other options.
            OutputError: if the disk takes no more.
        """
        from tokaudio.corpus.worker import Worker

        with Job.open(self.folder, root=self.root, source=self.source) as job:
            Worker(job, self.options, Rank(rank, world_size)).run()
        return data or ()


def run_job(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    options: EncodeOptions,
    run: Callable[[Job], object],
    *,
    prepared: Callable[[Job], None] | None = None,
) -> Summary:
    """Prepare a job, let an engine run it unless it is finished, and return its numbers.

    Args:
        source: manifest or folder of audio files.
        folder: for the shards.
        options: of the job.
        run: returns when all shards are done.
        prepared: is told the job before the work begins.

    Raises:
        CorpusError: if `run` returns before the job is done; and as `Job.prepare` does.
    """
    with Job.prepare(source, folder, sharding=options.sharding) as job:
        if options.retry_failed:
            job.retry()
        if prepared is not None:
            prepared(job)
        summary = finished(job)
        if summary is not None and read_record(job.folder)["options"] == options.to_document():
            return summary
        run(job)
        summary = finished(job)
    if summary is None:
        raise CorpusError(one_line(folder, "is not finished, though its tasks are", "encode again, which goes on"))
    return summary
