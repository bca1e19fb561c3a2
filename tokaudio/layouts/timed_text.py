"""Text and sound in one sequence, each text token before the frames during which it is said; or in a row of its own.

`TimedLayout` writes one row of ids: before every block of frames, the text that begins within it. `text_row` writes a
row with one place per frame, beside the rows of a `GridLayout`, as Moshi's inner monologue (arXiv:2410.00037) does:
padding where no token is, and a mark of the padding's end before a word.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import Integers, as_array, like
from tokaudio.layouts.flat import FlatLayout
from tokaudio.layouts.orders import flatten
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec


@dataclass(frozen=True, eq=False)
class TimedText:
    """Text tokens with the frames at which they begin.

    Args:
        ids: of a text tokenizer, integers [n].
        frames: at which each token begins, integers [n], not decreasing.

    Raises:
        TokensError: different numbers of both, or frames that decrease or are negative.

    Example:
        >>> TimedText([7, 8], [0, 12])
        TimedText(2 tokens, frames 0 to 12)
    """

    ids: Sequence[int] | NDArray[Any] | Tensor
    frames: Sequence[int] | NDArray[Any] | Tensor

    def __post_init__(self) -> None:
        ids, frames = as_array("text ids", self.ids, 1), as_array("frames of the text", self.frames, 1)
        if len(ids) != len(frames):
            raise TokensError(f"{len(ids)} text ids with {len(frames)} frames; give a frame for each")
        if len(frames) and (frames[0] < 0 or (np.diff(frames) < 0).any()):
            raise TokensError("the frames of the text decrease or are negative; sort tokens by time")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "frames", frames)

    @classmethod
    def at_seconds(cls, ids: Sequence[int], starts: Sequence[float], spec: TokenizerSpec) -> TimedText:
        """Return text whose tokens begin at the frames that hold the given times, in seconds.

        Raises:
            TokensError: as for `TimedText`.

        Example:
            >>> from tokaudio.spec import CodebookSpec
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> TimedText.at_seconds([7, 8], [0.0, 0.58], spec).frames.tolist()
            [0, 29]
        """
        # 0.58 s at 50 Hz is 28.999999999999996 frames in float64.
        frames = np.floor(np.asarray(starts, dtype=np.float64) * float(spec.frame_rate) + 1e-6)
        return cls(ids, frames.astype(np.int64))

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TimedText) and all(
            np.array_equal(np.asarray(a), np.asarray(b))
            for a, b in ((self.ids, other.ids), (self.frames, other.frames))
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        span = f", frames {self.frames[0]} to {self.frames[-1]}" if len(self) else ""
        return f"TimedText({len(self)} tokens{span})"


class TimedLayout:
    """Codes [K, T] and timed text as one row of ids: before each block of frames, the text that begins within it.

    Text and sound are told apart by their ids. Frames of the text come back rounded down to the block, exactly where
    a block is one frame; text after the sound comes back at frame T.

    Args:
        spec: of the tokenizer.
        vocabulary: with a text range.
        block: frames per block, a multiple of the period of the strides; the period where None.
        fingerprint: of the tokenizer's weights.

    Raises:
        TokensError: a vocabulary without text, or a block that splits a slow code.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> layout = TimedLayout(spec, Vocabulary.for_spec(spec, text_size=100, specials=[]))
        >>> ids = layout.encode_codes(np.array([[1, 2, 3]]), TimedText([7, 8, 9], [1, 1, 3]))
        >>> ids.tolist()
        [101, 7, 8, 102, 103, 9]
        >>> codes, text = layout.decode_ids(ids)
        >>> codes.tolist(), text.ids.tolist(), text.frames.tolist()
        ([[1, 2, 3]], [7, 8, 9], [1, 1, 3])
    """

    name = "timed"

    def __init__(
        self, spec: TokenizerSpec, vocabulary: Vocabulary, *, block: int | None = None, fingerprint: str = ""
    ) -> None:
        if not vocabulary.text_size:
            raise TokensError("a vocabulary without text; make it with Vocabulary.for_spec(spec, text_size=...)")
        self.sound = FlatLayout(spec, flatten(spec), vocabulary=vocabulary, fingerprint=fingerprint)
        self.spec, self.vocabulary = spec, vocabulary
        self.block = spec.stride_period if block is None else block
        if self.block < 1 or self.block % spec.stride_period:
            raise TokensError(f"a block of {self.block} frames; give a multiple of {spec.stride_period}")

    def encode_codes(self, codes: Integers, text: TimedText) -> Integers:
        """Return the ids [L] of codes [K, T] and text.

        Raises:
            TokensError: text that begins after the sound has ended, text ids out of range, or codes that
                `FlatLayout.encode_codes` refuses.
        """
        sound = as_array("ids", self.sound.encode_codes(codes), 1)
        ids, frames, total = np.asarray(text.ids), np.asarray(text.frames), codes.shape[1]
        wrong = (ids < 0) | (ids >= self.vocabulary.text_size)
        if wrong.any():
            raise TokensError(f"text id {int(ids[wrong][0])}, and the text has {self.vocabulary.text_size}")
        if len(frames) and int(frames[-1]) > total:
            raise TokensError(f"text at frame {int(frames[-1])} of a sound of {total}; give 0 to {total}")
        starts = np.where(frames < total, frames // self.block * self.block, total)
        places = [self.sound.order.length(int(start)) for start in starts]
        return like(np.insert(sound, places, ids), codes)

    def decode_ids(self, ids: Integers) -> tuple[Integers, TimedText]:
        """Return the codes [K, T] and the text of ids [L]: the inverse of `encode_codes`.

        Raises:
            TokensError: ids that cannot stand where they do, or text within a block.
        """
        array = as_array("ids", ids, 1)
        is_text = (array >= 0) & (array < self.vocabulary.text_size)
        codes = as_array("codes", self.sound.decode_ids(array[~is_text]), 2)
        before = np.cumsum(~is_text, dtype=np.int64)[is_text]  # ids of sound before each text token
        total = codes.shape[1]
        starts = np.append(np.arange(0, total, self.block), total)
        lengths = np.array([self.sound.order.length(int(start)) for start in starts])
        block = np.searchsorted(lengths, before)
        wrong = np.flatnonzero(lengths[block] != before)
        if len(wrong):
            place = int(np.flatnonzero(is_text)[wrong[0]])
            raise TokensError(f"position {place} holds text within a block of {self.block} frames; keep blocks whole")
        return like(codes, ids), TimedText(array[is_text], starts[block])

    def decoder(self) -> TimedDecoder:
        """Return the inverse for ids that arrive bit by bit."""
        return TimedDecoder(self)


class TimedDecoder:
    """Gives frames as soon as they are complete, and text with the frame at which it begins.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> layout = TimedLayout(spec, Vocabulary.for_spec(spec, text_size=100, specials=[]))
        >>> layout.decoder().push(np.array([101, 7, 8]))
        (array([[1]]), TimedText(2 tokens, frames 1 to 1))
    """

    def __init__(self, layout: TimedLayout) -> None:
        self._layout = layout
        self._sound = layout.sound.decoder()
        self._ended: int | None = None  # frames after which text was the last thing, where that is within a block
        self._came = 0  # ids of sound

    def push(self, ids: Integers) -> tuple[Integers, TimedText]:
        """Take the next ids [n] and return the frames that they complete, codes [K, frames], and their text.

        Raises:
            TokensError: ids that cannot stand where they do, or text within a block.
        """
        array = as_array("ids", ids, 1)
        is_text: NDArray[np.bool_] = (array >= 0) & (array < self._layout.vocabulary.text_size)
        edges = [0, *(np.flatnonzero(np.diff(is_text)) + 1).tolist(), len(array)]
        parts = [self._sound.push(array[:0])]
        texts: list[int] = []
        frames: list[int] = []
        for start, stop in itertools.pairwise(edges):
            if start == stop:
                continue
            if not is_text[start]:
                self._require_whole()
                parts.append(self._sound.push(array[start:stop]))
                self._came += stop - start
                continue
            frame = self._frame()
            texts += array[start:stop].tolist()
            frames += [frame] * (stop - start)
        return like(np.concatenate(parts, axis=1), ids), TimedText(texts, frames)

    def _frame(self) -> int:
        """Return the frame at which text begins now; within a block it must be the end of the sound."""
        frame = self._layout.sound.order.frames(self._came)
        self._ended = frame if frame % self._layout.block else None
        return frame

    def _require_whole(self) -> None:
        if self._ended is not None:
            block = self._layout.block
            raise TokensError(f"text came at frame {self._ended}, within a block of {block}; keep blocks whole")

    def close(self) -> None:
        """Say that no more ids come.

        Raises:
            TokensError: if the ids end within a frame.
        """
        self._sound.close()


def text_row(text: TimedText, frames: int, *, pad: int, end_of_pad: int | None = None) -> NDArray[np.int64]:
    """Return a row [T] with each text token at its frame, or at the first free one after it.

    Args:
        text: tokens and the frames at which they begin.
        frames: length T of the row.
        pad: what stands where no token does.
        end_of_pad: what stands at the last place before a token that follows padding; `pad` where None.

    Raises:
        TokensError: more text than places, or text ids that are `pad` or `end_of_pad`.

    Example:
        >>> text_row(TimedText([7, 8, 9], [1, 1, 5]), 7, pad=0, end_of_pad=1).tolist()
        [1, 7, 8, 0, 1, 9, 0]
    """
    ids, starts = np.asarray(text.ids), np.asarray(text.frames)
    # The first free place is one after the last token's: places minus their number never decrease.
    counted = np.arange(len(ids))
    places = np.maximum.accumulate(starts - counted) + counted
    if len(places) and int(places[-1]) >= frames:
        raise TokensError(f"text up to frame {int(places[-1])} in a row of {frames}; shorten the text")
    if np.isin(ids, [pad, pad if end_of_pad is None else end_of_pad]).any():
        raise TokensError("the text holds the padding itself; give ids that are no text")
    row = np.full(frames, pad, dtype=np.int64)
    row[places] = ids
    if end_of_pad is not None:
        ends = places[places > 0] - 1
        row[ends[row[ends] == pad]] = end_of_pad
    return row


def row_text(row: Sequence[int] | NDArray[Any] | Tensor, *, pad: int, end_of_pad: int | None = None) -> TimedText:
    """Return the text of a row [T] with the frames of its places: the inverse of `text_row` where none had to wait.

    Example:
        >>> row_text([1, 7, 8, 0, 1, 9, 0], pad=0, end_of_pad=1).frames.tolist()
        [1, 2, 5]
    """
    array = as_array("row", row, 1)
    places = np.flatnonzero(~np.isin(array, [pad, pad if end_of_pad is None else end_of_pad]))
    return TimedText(array[places], places)
