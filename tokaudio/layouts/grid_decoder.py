"""The inverse of a grid layout for columns that arrive one by one, as from a language model that is writing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import Integers, like
from tokaudio.layouts.base import LayoutDecoder
from tokaudio.layouts.grid import GridLayout


class GridDecoder(LayoutDecoder):
    """Frames come out as soon as the row with the greatest delay has them; see `GridLayout.decoder`."""

    def __init__(self, layout: GridLayout) -> None:
        self._layout = layout
        self._held = np.zeros((layout.num_rows, 0), dtype=np.int64)  # columns from `_done` on
        self._done = 0  # steps of frames that have come out
        self._last = np.zeros((layout.spec.num_codebooks, 1), dtype=np.int64)  # the last frame that came out

    def push(self, ids: Integers) -> Integers:
        """Take the next columns [R, n] and return the frames that they complete; see `LayoutDecoder`."""
        layout = self._layout
        begun = self._done + self._held.shape[1]
        columns = layout.rows_of(ids)
        self._check(columns, begun)
        self._held = np.concatenate([self._held, columns], axis=1)
        steps = max(0, self._held.shape[1] - layout.overhead)
        body = np.stack([self._held[r, layout.lead + d :][:steps] for r, d in enumerate(layout.delays)])
        codes = layout.frames_of(body, self._done)
        self._require_strides(codes, self._done * layout.step)
        self._held, self._done = self._held[:, steps:], self._done + steps
        return like(codes, ids)

    def _check(self, columns: NDArray[np.int64], begun: int) -> None:
        """Refuse codes before a row begins."""
        for r, delay in enumerate(self._layout.delays):
            early = columns[r, : max(0, self._layout.lead + delay - begun)]
            self._layout.require_empty(early, self._layout.before, r, begun)

    def _require_strides(self, codes: NDArray[np.int64], first: int) -> None:
        """Refuse slow codes that change between the places where one may begin."""
        joined = np.concatenate([self._last, codes], axis=1)
        frames = np.arange(first, first + codes.shape[1])
        for k, book in enumerate(self._layout.spec.codebooks):
            wrong = np.flatnonzero((joined[k, 1:] != joined[k, :-1]) & (frames % book.stride > 0))
            if len(wrong):
                where = f"its stride of {book.stride} frames at frame {frames[wrong[0]]}"
                raise TokensError(f"codebook {k} changes within {where}; repeat each code")
        self._last = joined[:, -1:]

    def close(self) -> None:
        """Say that no more columns come: what is held must be the empty ends of the rows."""
        layout = self._layout
        if self._held.shape[1] < layout.overhead:
            raise TokensError(f"the columns end {layout.overhead - self._held.shape[1]} steps early; give all steps")
        for r, delay in enumerate(layout.delays):
            layout.require_empty(
                self._held[r, layout.lead + delay :], layout.after, r, self._done + layout.lead + delay
            )
