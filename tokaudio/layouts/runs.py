"""Runs of equal frames as codes and a duration: what is left of slow units when they are not repeated."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import Integers, as_array, like
from tokaudio.layouts.base import Layout, LayoutDecoder
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec


class RunsLayout(Layout):
    """Codes [K, T] as one row of ids: for every run of equal frames its K codes, then its duration in frames.

    A run that is longer than the vocabulary's greatest duration is written as several.

    Args:
        spec: of the tokenizer.
        vocabulary: with durations and one range per codebook; 64 durations where None.
        fingerprint: of the tokenizer's weights.

    Raises:
        TokensError: a vocabulary without durations, or with ranges per phase.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
        >>> layout = RunsLayout(spec, vocabulary=Vocabulary.for_spec(spec, specials=[], durations=4))
        >>> ids = layout.encode_codes(np.array([[5, 5, 5, 2, 5, 5, 5, 5, 5]]))
        >>> ids.tolist(), layout.decode_ids(ids).tolist()
        ([9, 2, 6, 0, 9, 3, 9, 0], [[5, 5, 5, 2, 5, 5, 5, 5, 5]])
    """

    name = "runs"

    def __init__(self, spec: TokenizerSpec, *, vocabulary: Vocabulary | None = None, fingerprint: str = "") -> None:
        super().__init__(spec, vocabulary or Vocabulary.for_spec(spec, durations=64), fingerprint)
        if self.vocabulary.durations is None or any(one.phase is not None for one in self.vocabulary.ranges):
            raise TokensError("runs need durations and one range per codebook; Vocabulary.for_spec(spec, durations=64)")
        self._first, self.longest = self.vocabulary.durations
        self._firsts = np.array([int(self.vocabulary.firsts(k)[0]) for k in range(spec.num_codebooks)])

    def options(self) -> dict[str, Any]:
        """Return nothing: the vocabulary says all."""
        return {}

    def encode_codes(self, codes: Integers) -> Integers:
        """Return the ids [L] of codes [K, T]; see `Layout`."""
        array = self.checked(codes)
        frames = array.shape[1]
        begins = np.ones(frames, dtype=bool)
        begins[1:] = (array[:, 1:] != array[:, :-1]).any(axis=0)
        starts = np.flatnonzero(begins)
        lengths = np.diff(np.append(starts, frames))
        # A run of n frames is written as n // longest full ones and what is left.
        parts = -(-lengths // self.longest)
        columns = np.repeat(array[:, starts].T + self._firsts, parts, axis=0)
        durations = np.full(len(columns), self.longest, dtype=np.int64)
        last = np.cumsum(parts) - 1
        durations[last] = lengths - (parts - 1) * self.longest
        return like(np.column_stack([columns, self._first + durations - 1]).ravel(), codes)

    def decode_ids(self, ids: Integers) -> Integers:
        """Return the codes [K, T] of ids [L]; see `Layout`."""
        array = as_array("ids", ids, 1)
        width = self.spec.num_codebooks + 1
        books, _, codes = self.vocabulary.lookup(array)
        found = np.where((array >= self._first) & (array < self._first + self.longest), width - 1, books)
        wrong = np.flatnonzero(found != np.arange(len(array)) % width)
        if len(wrong):
            place, number = int(wrong[0]), int(array[wrong[0]])
            wanted = "a duration" if place % width == width - 1 else f"one of codebook {place % width}"
            name = self.vocabulary.name_of(number)
            raise TokensError(f"position {place} holds id {number}, {name}; {wanted} belongs there")
        if len(array) % width:
            raise TokensError(f"{len(array)} ids are no whole number of runs of {width}; cut after a duration")
        rows = codes.reshape(-1, width)[:, :-1].T
        durations = array.reshape(-1, width)[:, -1] - self._first + 1
        return like(self.checked(np.repeat(rows, durations, axis=1)), ids)

    def decoder(self) -> RunsDecoder:
        """Return the inverse for ids that arrive bit by bit: a run comes out with its duration."""
        return RunsDecoder(self)


class RunsDecoder(LayoutDecoder):
    """Holds the ids of the run that is being written; see `RunsLayout.decoder`.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
        >>> decoder = RunsLayout(spec, vocabulary=Vocabulary.for_spec(spec, specials=[], durations=4)).decoder()
        >>> decoder.push(np.array([9])).tolist(), decoder.push(np.array([2, 6])).tolist()
        ([[]], [[5, 5, 5]])
    """

    def __init__(self, layout: RunsLayout) -> None:
        self._layout = layout
        self._seen = np.zeros(0, dtype=np.int64)  # ids of runs since slow codes began together
        self._out = 0  # frames of them that have come out

    def push(self, ids: Integers) -> Integers:
        """Take the next ids [n] and return the frames of the runs that they complete; see `LayoutDecoder`."""
        layout, width = self._layout, self._layout.spec.num_codebooks + 1
        seen = np.concatenate([self._seen, as_array("ids", ids, 1)])
        whole = len(seen) // width * width
        codes = layout.decode_ids(seen[:whole])
        fresh = codes[:, self._out :]
        self._out = codes.shape[1]
        self._seen = seen
        if self._out % layout.spec.stride_period == 0:
            self._seen, self._out = seen[whole:], 0
        return like(fresh, ids)

    def close(self) -> None:
        """Say that no more ids come; see `LayoutDecoder`."""
        width = self._layout.spec.num_codebooks + 1
        if len(self._seen) % width:
            raise TokensError(f"the ids end {width - len(self._seen) % width} before a run does; cut after a duration")
