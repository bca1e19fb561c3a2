"""Plans for long audio: the same arithmetic whether a signal is short, long, whole, or arrives in pieces.

A network with a finite receptive field is run on *tiles*: windows of one fixed shape, laid at multiples of the tile
length from the start of the signal, each with enough context on both sides that its inner part is what the network
would give on the whole signal. Before its start and after its end a signal is silent. Because every run, whatever its
length, consists of the same tiles, and every tile of the same operations on the same shapes, results are equal to the
last bit, and memory does not grow with duration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tokaudio.errors import AudioError, one_line


@dataclass(frozen=True, slots=True)
class TilePlan:
    """How a sequence is cut into windows.

    Attributes:
        tile: steps of output per tile, in frames.
        reach: frames of context on each side of a tile.
        hop_length: input samples per frame; 1 where the input is counted in frames itself.
        context: further input samples on each side.

    Example:
        >>> plan = TilePlan(tile=200, reach=9, hop_length=320, context=240)
        >>> plan.window, plan.start(1)
        (70240, 60880)
    """

    tile: int
    reach: int
    hop_length: int = 1
    context: int = 0

    @property
    def window(self) -> int:
        """Length of the input window of a tile."""
        return (self.tile + 2 * self.reach) * self.hop_length + 2 * self.context

    @property
    def advance(self) -> int:
        """Input steps from one tile to the next."""
        return self.tile * self.hop_length

    def start(self, index: int) -> int:
        """Position in the input at which the window of tile `index` begins; negative at the start of a signal."""
        return index * self.advance - self.reach * self.hop_length - self.context

    def frames(self, length: int) -> int:
        """Frames that cover `length` input steps."""
        return -(-length // self.hop_length)

    def tiles(self, length: int) -> int:
        """Tiles that cover `length` input steps."""
        return -(-self.frames(length) // self.tile)


class TileStream:
    """Turns a sequence that arrives in pieces into windows, and their results into a sequence.

    Holds one window of input at most, besides the piece that is being pushed.

    Args:
        plan: how to cut.
        channels: C of the input `[C, n]`.
        run: maps a contiguous window `[C, plan.window]` to its result `[D, plan.tile * out_per_frame]`.
        empty: an empty result `[D, 0]`.
        out_per_frame: steps of output per frame: 1 for an encoder, `hop_length` for a decoder.
        dtype: of the input.
        fill: what stands before the start and after the end.
        check: called with every piece `[C, n]`; raises where it is not to be used.

    Example:
        >>> stream = TileStream(TilePlan(tile=4, reach=1), 1, lambda window: window[:, 1:-1], torch.zeros(1, 0))
        >>> a, b = stream.push(torch.arange(7.0)[None]), stream.flush()
        >>> torch.cat([a, b], dim=1)
        tensor([[0., 1., 2., 3., 4., 5., 6.]])
    """

    def __init__(
        self,
        plan: TilePlan,
        channels: int,
        run: Callable[[Tensor], Tensor],
        empty: Tensor,
        *,
        out_per_frame: int = 1,
        dtype: torch.dtype = torch.float32,
        fill: float = 0,
        device: torch.device | str = "cpu",
        check: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.plan, self.run, self.empty, self.out_per_frame, self.fill = plan, run, empty, out_per_frame, fill
        self.check = check
        self.pushed = 0
        self.extras: Mapping[str, Tensor] = {}
        self._ended = False
        self._next = 0
        self._held = torch.full((channels, -plan.start(0)), fill, dtype=dtype, device=device)

    def push(self, piece: Tensor) -> Tensor:
        """Take a piece `[C, n]` and return what is ready `[D, m]`; m may be 0.

        Raises:
            AudioError: if the piece has another shape, or if the stream has been flushed.
        """
        self._require_open()
        if piece.ndim != 2 or piece.shape[0] != self._held.shape[0]:
            problem = f"a piece of shape {list(piece.shape)}"
            raise AudioError(one_line("stream", problem, f"give [{self._held.shape[0]}, n]"))
        if self.check is not None:
            self.check(piece)
        self.pushed += piece.shape[1]
        self._held = torch.cat([self._held, piece.detach().to(self._held)], dim=1)
        return self._drain(self._ready())

    def flush(self) -> Tensor:
        """End the sequence and return the rest `[D, m]`: in all, one output frame per frame that has any input.

        Raises:
            AudioError: if the stream has been flushed before.
        """
        self._require_open()
        self._ended = True
        missing = self.plan.tiles(self.pushed) - self._next
        needed = (missing - 1) * self.plan.advance + self.plan.window if missing > 0 else 0
        if (short := needed - self._held.shape[1]) > 0:
            tail = self._held.new_full((self._held.shape[0], short), self.fill)
            self._held = torch.cat([self._held, tail], dim=1)
        done = self._next * self.plan.tile
        out = self._drain(missing)
        return out[:, : (self.plan.frames(self.pushed) - done) * self.out_per_frame]

    def _require_open(self) -> None:
        if self._ended:
            raise AudioError(one_line("stream", "has ended", "make a new one"))

    def _ready(self) -> int:
        return max(0, (self._held.shape[1] - self.plan.window) // self.plan.advance + 1)

    def _drain(self, count: int) -> Tensor:
        results = []
        for index in range(count):
            first = index * self.plan.advance
            # A copy of its own: windows then have one memory layout and alignment, wherever they lie in the signal.
            results.append(self.run(self._held[:, first : first + self.plan.window].clone()))
        if count:
            self._held = self._held[:, count * self.plan.advance :].clone()
            self._next += count
        return torch.cat(results, dim=1) if results else self.empty
