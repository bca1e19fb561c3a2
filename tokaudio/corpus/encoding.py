"""Inputs to rows: read ahead, in batches; as a stream where they are long, one by one where one killed a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tokaudio.corpus.inputs import Input, text_of
from tokaudio.corpus.journal import Failed
from tokaudio.corpus.reading import prefetched, read_clip, segment_blocks
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.errors import HubError, MissingDependencyError, TokaudioError, describe, is_out_of_memory
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


def silent(line: str, inputs: int, seconds: float) -> None:
    """Take note, and say nothing."""


@dataclass
class InputEncoder:
    """Encodes inputs.

    Args:
        root: folder that their names are relative to.
        tokenize: how sound becomes codes.
        readers: threads that decode ahead of the model.
        tell: is told how it goes on.
        broken: inputs that have broken a process before, with what is to be said of each; they are not tried.
        trying: is told the key of every input before it is touched; inputs are then done one by one.
    """

    root: str
    tokenize: TokenizeBatch
    readers: int = 2
    tell: Told = silent
    broken: Mapping[str, str] = field(default_factory=dict)
    trying: Callable[[str], None] | None = None

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
                Path(self.root, one.name),
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
            with AudioReader(Path(self.root, one.name), allow_truncated=self.tokenize.allow_truncated) as reader:
                blocks = segment_blocks(reader, start=one.start, end=one.end)
                tokenizer, k = self.tokenize.load(), self.tokenize.num_codebooks
                for piece in tokenizer.encode_pieces(blocks, reader.sample_rate, num_codebooks=k):
                    spool.add(piece)
                    self.tell("", 0, 0.0)
            return spool.tokens()
        except Exception as error:
            return error.with_traceback(None)

    def _failure(self, one: Input, error: Exception) -> Failed:
        path = str(Path(self.root, one.name))
        environment = (MissingDependencyError, HubError)
        blamed = isinstance(error, environment) or is_out_of_memory(error)
        blamed = blamed or (isinstance(error, OSError) and not isinstance(error, TokaudioError))
        return Failed(one.key, describe(error, path), environment=blamed)


def _samples(clip: NDArray[np.float32] | Exception | None) -> int:
    return 0 if clip is None or isinstance(clip, Exception) else clip.shape[1]
