"""What single codes sound like: mean spectrum, places where they occur, phones and pitch.

    meter = PrototypeMeter(tokenizer.spec)
    for number, (tokens, reader) in enumerate(recordings):
        meter.add(codes, reader.blocks(), reader.sample_rate, name=names[number])
    for prototype in meter.finish(top=20).codebooks[0]:
        prototype.code, prototype.examples

Memory grows with how many codes there are, not with hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tokaudio.analysis.frames.observing import frame_times
from tokaudio.analysis.single_codes.code_statistics import CodeStatistics, pitch_bins
from tokaudio.analysis.single_codes.mel_frames import mel_centres, mel_frames
from tokaudio.analysis.single_codes.occurrences import Example
from tokaudio.analysis.single_codes.prototype_results import Prototypes
from tokaudio.analysis.statistics.contingency import AnalysisError, integers
from tokaudio.spec import TokenizerSpec


class PrototypeMeter:
    """Describes the codes of every codebook, recording by recording.

    Args:
        spec: of the tokenizer.
        num_mels: bands of the mean spectrum.
        examples: places of each code that are kept, at random.
        seed: of their choice.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> meter = PrototypeMeter(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),)))
        >>> meter.add([[3, 3, 5]], [np.ones((1, 960))], 16_000, name="a.wav")
        >>> first = meter.finish().codebooks[0][0]
        >>> first.code, first.frames, first.examples[0].stop
        (3, 2, 0.04)
    """

    def __init__(self, spec: TokenizerSpec, *, num_mels: int = 40, examples: int = 4, seed: int = 0) -> None:
        self._spec, self._mels = spec, num_mels
        self._books = [CodeStatistics(num_mels, examples, seed) for _ in spec.codebooks]
        self._names: list[str] = []
        self._frames = 0

    def add(
        self,
        codes: ArrayLike | Tensor,
        blocks: Iterable[Any],
        sample_rate: int,
        *,
        name: str,
        pitch: ArrayLike | None = None,
        phones: ArrayLike | None = None,
    ) -> None:
        """Take a recording.

        Args:
            codes: integers `[K, T]`, -1 where a frame does not have a codebook.
            blocks: its samples `[C, n]`, one after the other.
            sample_rate: of them, in Hz.
            name: by which its segments are told.
            pitch: of each frame in Hz, NaN for none `[T]`.
            phones: of each frame, integers from 0, negative for none `[T]`.

        Raises:
            AnalysisError: if shapes do not fit together.
            AudioError: if a block is unusable.
        """
        rows = integers(codes, "codes")
        if rows.ndim != 2 or len(rows) != len(self._books):
            raise AnalysisError(f"codes are {list(rows.shape)}; give [{len(self._books)}, T]")
        times = frame_times(self._spec, rows.shape[1])
        bins = pitch_bins(_column(pitch, rows.shape[1], "pitch", np.nan))
        labels = _column(phones, rows.shape[1], "phones", -1).astype(np.int64)
        for book, row in zip(self._books, rows, strict=True):
            book.count(row, bins, labels)
            book.places.add(row, len(self._names))
        self._names.append(name)
        self._frames += rows.shape[1]
        grid = np.floor(times * float(self._spec.frame_rate)).astype(np.int64)
        first = 0
        for levels in mel_frames(blocks, sample_rate, self._spec, num_mels=self._mels):
            here = np.flatnonzero((grid >= first) & (grid < first + len(levels)))
            for book, row in zip(self._books, rows[:, here], strict=True):
                book.hear(row, levels[grid[here] - first])
            first += len(levels)

    def finish(self, *, top: int = 20, phone_names: Sequence[str] = (), most_phones: int = 5) -> Prototypes:
        """Return the most frequent codes of each codebook.

        Args:
            top: how many of each.
            phone_names: by number; numbers where there are none.
            most_phones: of a code, that are told.
        """
        books = []
        for index, book in enumerate(self._books):
            examples = {
                code: tuple(self._example(*place) for place in places) for code, places in book.places.finish().items()
            }
            books.append(tuple(book.prototypes(index, top, most_phones, examples, phone_names)))
        centres = tuple(mel_centres(self._spec.sample_rate, self._mels).tolist())
        left = tuple(book.left for book in self._books)
        return Prototypes(tuple(books), centres, self._frames, len(self._names), left)

    def _example(self, recording: int, start: int, length: int) -> Example:
        first, last = int(self._spec.frame_start(start)), int(self._spec.frame_start(start + length - 1))
        rate = self._spec.sample_rate
        return Example(self._names[recording], first / rate, (last + self._spec.hop_length) / rate)


def _column(values: ArrayLike | None, count: int, name: str, absent: float) -> NDArray[Any]:
    column = np.full(count, absent) if values is None else np.asarray(values)
    if column.shape != (count,):
        raise AnalysisError(f"{name} is {list(column.shape)} for {count} frames; give one for each")
    return column
