"""One process's part of a job: claim a shard, encode it, put it on the disk, note it down; until there is none."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tokaudio.corpus.finishing import Summary, finish
from tokaudio.corpus.inputs import Input, text_of
from tokaudio.corpus.job import Job
from tokaudio.corpus.journal import Failed, ShardRecord
from tokaudio.corpus.ranks import Rank
from tokaudio.corpus.reading import prefetched, read_clip, segment_blocks
from tokaudio.corpus.shards import is_intact, remove_temporaries, shard_name, write_rows
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.errors import HubError, MissingDependencyError, OutputError, TokaudioError, describe, is_out_of_memory
from tokaudio.storage.dataset_info import DatasetInfo
from tokaudio.storage.formats import ShardFormat
from tokaudio.storage.rows import TokenRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tokaudio.tokens import Tokens

Told = Callable[[str, int, float], None]
"""Is told of inputs as they are done: a failure's line (empty for none), inputs, seconds of sound."""

# Longer sound is encoded as a stream, in memory that does not grow with it.
_LONGEST_SECONDS = 300.0
# Batches that are sorted by length together.
_SORTED_TOGETHER = 4
_MOST_CLIPS = 512
_PATIENCE_SECONDS = (0.05, 1.0)


def _silent(line: str, inputs: int, seconds: float) -> None:
    """Take note, and say nothing."""


@dataclass
class Worker:
    """A process's part of a job.

    Args:
        job: opened.
        tokenize: how sound becomes codes.
        form: of the shards.
        rank: where it begins.
        readers: threads that decode ahead of the model.
        tell: is told how it goes on.
        broken: inputs that have broken a process before, with what is to be said of each; they are not tried.
        trying: is told the key of every input before it is touched; inputs are then done one by one.
    """

    job: Job
    tokenize: TokenizeBatch
    form: ShardFormat
    rank: Rank = Rank()  # noqa: RUF009 - frozen
    readers: int = 2
    tell: Told = _silent
    broken: Mapping[str, str] = field(default_factory=dict)
    trying: Callable[[str], None] | None = None

    def run(self) -> Summary:
        """Work until all shards are done, by this process or others, and return the job's numbers.

        Shards that others hold are waited for, and taken over where their holders die.

        Raises:
            CorpusError: if the job was begun with other options.
            OutputError: if the disk takes no more; what is done stays.
        """
        info = self.job.begin(self.tokenize, self.form)
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
        name = shard_name(shard, self.form)
        remove_temporaries(job.folder, name=name)
        inputs = job.plan[shard]
        kept = self._kept(shard)
        rows, failed = self.encode([one for one in inputs if one.key not in kept])
        rows |= kept
        ordered = [rows[one.key] for one in inputs if one.key in rows]
        try:
            files = write_rows(job.folder / name, self.form, ordered, info, step=job.step)
        except OutputError as error:
            raise self._with_need(error) from error
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
        if before is None or not before.files or not is_intact(self.job.folder, before, self.form):
            return {}
        return {row.key: row for row in self.form.read_shard(self.job.folder / shard_name(shard, self.form))}

    def encode(self, inputs: Sequence[Input]) -> tuple[dict[str, TokenRow], dict[str, Failed]]:
        """Return the rows of inputs, and those that failed, by key."""
        rows: dict[str, TokenRow] = {}
        failed: dict[str, Failed] = {}
        for one, result in self._results(inputs):
            if isinstance(result, Exception):
                failed[one.key] = self._failure(one, result)
                self.tell(failed[one.key].reason, 1, 0.0)
                continue
            row = TokenRow.from_tokens(
                result, one.key, source=text_of(one.name), start=one.start, end=one.end, columns=one.columns
            )
            rows[one.key] = row
            self.tell("", 1, row.duration)
        return rows, failed

    def _results(self, inputs: Sequence[Input]) -> Iterator[tuple[Input, Tokens | Exception]]:
        """Yield the tokens of inputs, or what is wrong, in any order."""
        yield from ((one, TokaudioError(self.broken[one.key])) for one in inputs if one.key in self.broken)
        inputs = [one for one in inputs if one.key not in self.broken]
        if self.trying is not None:
            yield from self._one_by_one(inputs, self.trying)
            return
        spec = self.tokenize.load().spec
        budget = int(self.tokenize.batch_seconds * spec.sample_rate) * _SORTED_TOGETHER
        batch: list[tuple[Input, NDArray[np.float32] | Exception]] = []
        held = 0
        for one, clip in prefetched(inputs, self._read, threads=self.readers, size=_samples, budget=budget):
            if clip is None:
                yield one, self._stream(one)
                continue
            batch.append((one, clip))
            held += _samples(clip)
            if held >= budget or len(batch) >= _MOST_CLIPS:
                yield from self._batch(batch)
                batch, held = [], 0
        yield from self._batch(batch)

    def _one_by_one(
        self, inputs: Sequence[Input], trying: Callable[[str], None]
    ) -> Iterator[tuple[Input, Tokens | Exception]]:
        for one in inputs:
            trying(one.key)
            clip = self._read(one)
            yield one, self._stream(one) if clip is None else self.tokenize.tokens([clip])[0]

    def _batch(
        self, batch: Sequence[tuple[Input, NDArray[np.float32] | Exception]]
    ) -> Iterator[tuple[Input, Tokens | Exception]]:
        results = self.tokenize.tokens([clip for _, clip in batch])
        yield from zip((one for one, _ in batch), results, strict=True)

    def _read(self, one: Input) -> NDArray[np.float32] | Exception | None:
        try:
            return read_clip(
                Path(self.job.root, one.name),
                self.tokenize.load().spec,
                start=one.start,
                end=one.end,
                allow_truncated=self.tokenize.allow_truncated,
                longest_seconds=_LONGEST_SECONDS,
            )
        except Exception as error:
            # Its traceback would hold on to the samples.
            return error.with_traceback(None)

    def _stream(self, one: Input) -> Tokens | Exception:
        """Return the tokens of sound that is too long to be held at once."""
        from tokaudio.audio import AudioReader
        from tokaudio.storage.spool import TokenSpool

        spool = TokenSpool()
        try:
            with AudioReader(Path(self.job.root, one.name), allow_truncated=self.tokenize.allow_truncated) as reader:
                blocks = segment_blocks(reader, start=one.start, end=one.end)
                tokenizer, k = self.tokenize.load(), self.tokenize.num_codebooks
                for piece in tokenizer.encode_pieces(blocks, reader.sample_rate, num_codebooks=k):
                    spool.add(piece)
                    self.tell("", 0, 0.0)
            return spool.tokens()
        except Exception as error:
            return error.with_traceback(None)

    def _failure(self, one: Input, error: Exception) -> Failed:
        path = str(Path(self.job.root, one.name))
        environment = (MissingDependencyError, HubError)
        blamed = isinstance(error, environment) or is_out_of_memory(error)
        blamed = blamed or (isinstance(error, OSError) and not isinstance(error, TokaudioError))
        return Failed(one.key, describe(error, path), environment=blamed)


def _samples(clip: NDArray[np.float32] | Exception | None) -> int:
    return 0 if clip is None or isinstance(clip, Exception) else clip.shape[1]
