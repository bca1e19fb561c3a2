"""Long audio in blocks of one length, for networks that carry a state along.

Blocks begin at the start of the signal, whatever pieces it arrives in, so that every run of a signal consists of the
same operations on the same shapes: results are equal to the last bit, and memory does not grow with duration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tokaudio.errors import AudioError, one_line

# Takes the next block [n, C], n may be 0, and whether it is the last; returns what is ready [m, D].
Run = Callable[[Tensor, bool], Tensor]


class BlockStream:
    """Turns a sequence that arrives in pieces into blocks, and their results into a sequence.

    Holds less than one and a half blocks of input, besides the piece that is being pushed.

    Args:
        run: the network, at the start of a signal.
        channels: C of the input `[C, n]`.
        block: steps per block; the last one may be up to half as long again, so that none is tiny.
        empty: an empty result `[D, 0]`.
        dtype: of the input.
        device: of the input.
        padded_length: steps that a signal of so many steps is filled up to with zeros at its end.
        result_length: steps of output that a signal of so many steps (not filled up) must give; a longer result is
            cut, a shorter one filled with zeros. None to take the result as it is.
        check: called with every piece `[C, n]`; raises where it is not to be used.
        eager: run a block as soon as it is complete, without waiting to see whether it is the last but one; the last
            one may then be short or empty.

    Example:
        >>> stream = BlockStream(lambda block, last: -block, 1, 4, torch.zeros(1, 0))
        >>> torch.cat([stream.push(torch.arange(7.0)[None]), stream.flush()], dim=1)
        tensor([[-0., -1., -2., -3., -4., -5., -6.]])
    """

    def __init__(
        self,
        run: Run,
        channels: int,
        block: int,
        empty: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        padded_length: Callable[[int], int] | None = None,
        result_length: Callable[[int], int] | None = None,
        check: Callable[[Tensor], None] | None = None,
        eager: bool = False,
    ) -> None:
        self.run, self.block, self.empty, self.check, self.eager = run, block, empty, check, eager
        self._padded_length, self._result_length = padded_length, result_length
        self.pushed = 0
        self.extras: Mapping[str, Tensor] = {}
        self._given = 0
        self._ended = False
        self._held = torch.empty(channels, 0, dtype=dtype, device=device)

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
        piece = piece.detach().to(self._held)
        held = torch.cat([self._held, piece], dim=1) if self._held.shape[1] else piece
        results, at = [], 0
        enough = self.block if self.eager else self.block + self.block // 2
        while held.shape[1] - at >= enough:
            results.append(self._step(held[:, at : at + self.block], last=False))
            at += self.block
        self._held = held[:, at:].clone()
        return self._joined(results)

    def flush(self) -> Tensor:
        """End the sequence and return the rest `[D, m]`.

        Raises:
            AudioError: if the stream has been flushed before.
        """
        self._require_open()
        self._ended = True
        if not self.pushed:
            return self.empty
        if self._padded_length is not None and (missing := self._padded_length(self.pushed) - self.pushed):
            self._held = torch.cat([self._held, self._held.new_zeros(self._held.shape[0], missing)], dim=1)
        out = self._joined([self._step(self._held, last=True)])
        self._held = self._held[:, :0]
        if self._result_length is None:
            return out
        wanted = self._result_length(self.pushed) - (self._given - out.shape[1])
        return torch.nn.functional.pad(out, (0, wanted - out.shape[1]))

    def _step(self, block: Tensor, *, last: bool) -> Tensor:
        # A copy of its own: blocks then have one memory layout and alignment, wherever they lie in the signal.
        return self.run(block.T.clone(memory_format=torch.contiguous_format), last).T

    def _joined(self, results: list[Tensor]) -> Tensor:
        out = torch.cat(results, dim=1) if results else self.empty
        self._given += out.shape[1]
        return out

    def _require_open(self) -> None:
        if self._ended:
            raise AudioError(one_line("stream", "has ended", "make a new one"))
