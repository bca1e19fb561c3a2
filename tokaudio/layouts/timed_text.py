"""Text tokens with the frames at which they begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import as_array
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
