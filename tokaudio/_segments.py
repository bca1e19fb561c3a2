"""Where the segments of a signal lie that is coded piece by piece, each piece alone (EnCodec 48 kHz).

Segment i covers `length` samples from `i * stride` on, as far as the signal goes, and is coded in as many frames as
cover it. The frames of all segments follow one another, so where segments overlap there are frames for both: a signal
has more frames than its duration at the frame rate within a segment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tokaudio.errors import TokensError

if TYPE_CHECKING:
    from torch import Tensor

_Position = TypeVar("_Position", int, "Tensor")


@dataclass(frozen=True)
class Segments:
    """Segments of a signal.

    Args:
        length: samples of a whole segment.
        stride: samples from the start of one to the start of the next, at least half of `length`.
        hop: samples per frame within a segment.

    Raises:
        TokensError: lengths that do not fit together.

    Example:
        >>> list(Segments(length=48_000, stride=47_520, hop=320).cut(96_333))
        [(0, 48000), (47520, 95520), (95040, 96333)]
    """

    length: int
    stride: int
    hop: int

    def __post_init__(self) -> None:
        if self.length % self.hop or not self.length <= 2 * self.stride <= 2 * self.length:
            raise TokensError(
                f"segments of {self.length} samples every {self.stride}; give a multiple of the hop of {self.hop}, and "
                "a stride from half of it to all of it"
            )

    @property
    def frames(self) -> int:
        """Frames of a whole segment."""
        return self.length // self.hop

    def cut(self, num_samples: int) -> Iterator[tuple[int, int]]:
        """Yield start and end of each segment of a signal; the last two may be short."""
        for start in range(0, num_samples, self.stride):
            yield start, min(start + self.length, num_samples)

    def num_frames(self, num_samples: int) -> int:
        """Return the frames of a signal: those of its segments, added up.

        Example:
            >>> segments = Segments(length=48_000, stride=47_520, hop=320)
            >>> segments.num_frames(47_520), segments.num_frames(47_521), segments.num_frames(48_000)
            (149, 150, 152)
        """
        count = -(-num_samples // self.stride)
        # All segments before the last two are whole, for none is longer than two strides.
        first = max(0, count - 2)
        short = (min(self.length, num_samples - number * self.stride) for number in range(first, count))
        return first * self.frames + sum(-(-samples // self.hop) for samples in short)

    def num_samples_bounds(self, num_frames: int) -> tuple[int, int]:
        """Return the least and the greatest number of samples that have so many frames; if none has, least > greatest.

        Example:
            >>> Segments(length=48_000, stride=47_520, hop=320).num_samples_bounds(150)
            (47521, 47680)
        """
        least, after = self._least(num_frames), self._least(num_frames + 1)
        return least, after - 1

    def _least(self, num_frames: int) -> int:
        """Return the least number of samples that have at least so many frames."""
        low, high = 1, (num_frames // self.frames + 2) * self.stride
        while low < high:
            middle = (low + high) // 2
            if self.num_frames(middle) >= num_frames:
                high = middle
            else:
                low = middle + 1
        return low

    def frame_start(self, frame: _Position) -> _Position:
        """Return the sample at which a frame begins, where all segments before it are whole.

        Example:
            >>> [Segments(length=48_000, stride=47_520, hop=320).frame_start(frame) for frame in (0, 149, 150)]
            [0, 47680, 47520]
        """
        return frame // self.frames * self.stride + frame % self.frames * self.hop

    def touching(self, start: float, stop: float, num_frames: int) -> tuple[int, int]:
        """Return the first frame and the one after the last of the segments that hold samples from `start` to `stop`.

        Args:
            start: in samples.
            stop: in samples; it may be infinite.
            num_frames: frames that there are.

        Example:
            >>> Segments(length=48_000, stride=47_520, hop=320).touching(48_000, 95_041, 1000)
            (150, 450)
        """
        # Rounded to thousandths of a sample: 1.1 s at 48 kHz is 52800.00000000001 samples in float64.
        start, stop = round(start, 3), round(stop, 3)
        first = max(0, math.floor((start - self.length) / self.stride) + 1) * self.frames
        last = num_frames if math.isinf(stop) else math.ceil(stop / self.stride) * self.frames
        return first, max(first, min(last, num_frames))
