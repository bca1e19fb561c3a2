"""Text and sound in one row of ids: before every block of frames, the text that begins within it."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import Integers, as_array, like
from tokaudio.layouts.flat import FlatLayout
from tokaudio.layouts.orders import flatten
from tokaudio.layouts.timed_text import TimedText
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec


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
