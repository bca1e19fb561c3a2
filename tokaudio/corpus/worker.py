"""One process's part of a job: claim a shard, encode it, put it on the disk, note it down; until there is none."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tokaudio.corpus.encoding import InputEncoder, Told, silent
from tokaudio.corpus.finishing import Summary, finish
from tokaudio.corpus.job import Job
from tokaudio.corpus.journal import ShardRecord
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.ranks import Rank
from tokaudio.corpus.shards import is_intact, remove_temporaries, shard_name, write_rows
from tokaudio.errors import OutputError
from tokaudio.storage.dataset_info import DatasetInfo
from tokaudio.storage.rows import TokenRow

_PATIENCE_SECONDS = (0.05, 1.0)


@dataclass
class Worker:
    """A process's part of a job.

    Args:
        job: opened.
        options: of the job.
        rank: where it begins.
        tell: is told how it goes on.
        broken: inputs that have broken a process before, with what is to be said of each; they are not tried.
        trying: is told the key of every input before it is touched; inputs are then done one by one.
    """

    job: Job
    options: EncodeOptions
    rank: Rank = Rank()  # noqa: RUF009 - frozen
    tell: Told = silent
    broken: Mapping[str, str] = field(default_factory=dict)
    trying: Callable[[str], None] | None = None

    def run(self) -> Summary:
        """Work until all shards are done, by this process or others, and return the job's numbers.

        Shards that others hold are waited for, and taken over where their holders die.

        Raises:
            CorpusError: if the job was begun with other options.
            OutputError: if the disk takes no more; what is done stays.
        """
        info = self.job.begin(self.options)
        pause = _PATIENCE_SECONDS[0]
        while True:
            left = self._left()
            if not left:
                if (summary := finish(self.job)) is not None:
                    return summary
                continue
            shard = next((shard for shard in left if self.job.locks.claim(shard)), None)
            if shard is None:
                time.sleep(pause)
                pause = min(2 * pause, _PATIENCE_SECONDS[1])
                continue
            pause = _PATIENCE_SECONDS[0]
            try:
                if shard not in self.job.journal.read():
                    self._do(shard, info)
            finally:
                self.job.locks.release(shard)

    def _left(self) -> list[int]:
        done = self.job.journal.read()
        return [shard for shard in self.rank.order(len(self.job.plan)) if shard not in done]

    def _do(self, shard: int, info: DatasetInfo) -> None:
        """Encode a shard, or what failed of it before."""
        job = self.job
        name = shard_name(shard, self.options.form)
        remove_temporaries(job.folder, name=name)
        inputs = job.plan[shard]
        kept = self._kept(shard)
        rows, failed = self._encoder().encode([one for one in inputs if one.key not in kept])
        rows |= kept
        ordered = [rows[one.key] for one in inputs if one.key in rows]
        try:
            files = write_rows(job.folder / name, self.options.form, ordered, info, step=job.step)
            record = ShardRecord(
                shard,
                files,
                len(ordered),
                sum(row.num_frames for row in ordered),
                sum(row.num_samples for row in ordered),
                tuple(failed[one.key] for one in inputs if one.key in failed),
            )
            with job.locks.whole():
                job.journal.add(record)
        except OutputError as error:
            raise self._with_need(error) from error

    def _with_need(self, error: OutputError) -> OutputError:
        """Return the error of a full disk with what the rest of the job will need, by what is done of it."""
        done = self.job.journal.done.values()
        size = sum(size for record in done for _, size, _ in record.files)
        inputs = sum(record.rows + len(record.failed) for record in done)
        if error.errno != errno.ENOSPC or not size:
            return error
        need = size / inputs * (self.job.plan.header["inputs"] - inputs)
        full = OutputError(f"{str(error).partition('; ')[0]}; free about {need / 1e6:,.1f} MB, or write elsewhere")
        full.errno = error.errno
        return full

    def _kept(self, shard: int) -> dict[str, TokenRow]:
        """Return the rows of a shard that is done once more for its failures, if it is as it was written."""
        before = self.job.journal.open_again.get(shard)
        if before is None or not before.files or not is_intact(self.job.folder, before, self.options.form):
            return {}
        return {
            row.key: row for row in self.options.form.read_shard(self.job.folder / shard_name(shard, self.options.form))
        }

    def _encoder(self) -> InputEncoder:
        tokenize, readers = self.options.tokenize, self.options.readers
        return InputEncoder(self.job.root, tokenize, readers, self.tell, self.broken, self.trying)
