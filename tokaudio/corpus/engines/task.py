"""One task of an engine that is not ours: claims shards of a prepared job, and encodes them until there are none.

Any number of tasks may run, anywhere that sees the folder: shards are claimed by locks, and whoever comes late finds
nothing left to do. So engines differ in where tasks run, and not in what comes out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tokaudio.corpus.finishing import Summary, finished
from tokaudio.corpus.job import Job, options_of, read_job
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.ranks import Rank
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.errors import CorpusError, one_line
from tokaudio.storage.formats import ShardFormat, shard_format


@dataclass(frozen=True)
class EncodeShards:
    """A task, as a function that can be sent anywhere; datatrove takes it as a step of a pipeline.

    Args:
        folder: of the job, which `Job.prepare` has prepared.
        root: folder that names of inputs are relative to.
        source: manifest or folder that lists them.
        tokenize: how sound becomes codes.
        form: name of the format.
        readers: threads that decode ahead of the model.
    """

    folder: str
    root: str
    source: str
    tokenize: TokenizeBatch
    form: str = "parquet"
    readers: int = 2

    def __call__(self, data: Iterable[Any] | None = None, rank: int = 0, world_size: int = 1) -> Iterable[Any]:
        """Work until all shards of the job are done, and return `data` as it is.

        Raises:
            CorpusError: if the job was begun with other options.
            OutputError: if the disk takes no more.
        """
        from tokaudio.corpus.worker import Worker

        with Job.open(self.folder, root=self.root, source=self.source) as job:
            Worker(job, self.tokenize, shard_format(self.form), Rank(rank, world_size), self.readers).run()
        return data or ()


def run_job(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    run: Callable[[EncodeShards], None],
    *,
    tokenize: TokenizeBatch,
    form: ShardFormat,
    sharding: Sharding | None,
    readers: int,
    retry_failed: bool,
) -> Summary:
    """Prepare a job, let an engine run its tasks, and return its numbers.

    Raises:
        CorpusError: if tasks have ended before the job has; and as `Job.prepare` does.
    """
    with Job.prepare(source, folder, sharding=sharding) as job:
        if retry_failed:
            job.retry()
        summary = finished(job)
        if summary is not None and read_job(job.folder)["options"] == options_of(tokenize, form):
            return summary
        run(EncodeShards(str(job.folder.absolute()), job.root, job.source, tokenize, form.name, readers))
        summary = finished(job)
    if summary is None:
        raise CorpusError(one_line(folder, "is not finished, though its tasks are", "encode again, which goes on"))
    return summary
