"""Text in a row of its own with one place per frame, beside the rows of a `GridLayout`.

Moshi's inner monologue (arXiv:2410.00037) is such a row: padding where no token is, and a mark of the padding's end
before a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import as_array
from tokaudio.layouts.timed_text import TimedText


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
