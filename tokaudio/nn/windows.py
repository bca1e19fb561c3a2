"""Functions of the whole signal on long signals: in windows with context, so that memory does not grow.

A layer that sees everything (a recurrence in both directions, attention without a limit) is exact only over the whole.
Signals up to a limit get just that. Longer ones are cut into windows; each is computed with some context on both sides,
which is thrown away, and differs from the whole by what lies beyond the context: an approximation, and said to be one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """How long signals are cut.

    Attributes:
        steps: that each window gives.
        context: steps before and after them that it sees as well, at most half of `steps`.

    Raises:
        ValueError: the context is too long, or there are no steps.

    Example:
        >>> Windows(2000, 200).longest_whole
        3000
    """

    steps: int
    context: int

    def __post_init__(self) -> None:
        if not 0 <= self.context <= self.steps // 2:
            raise ValueError(f"context must be from 0 to half of {self.steps} steps, got {self.context}")

    @property
    def longest_whole(self) -> int:
        """Steps of the longest signal that is computed as a whole."""
        return self.steps + self.steps // 2

    @classmethod
    def of(cls, frame_rate: float, *, longest_whole: float, context: float = 4.0) -> Windows:
        """Return windows by durations in seconds.

        Args:
            frame_rate: steps per second.
            longest_whole: signals up to so long are computed as a whole; windows give two thirds of it.
            context: on both sides.

        Example:
            >>> Windows.of(50, longest_whole=60)
            Windows(steps=2000, context=200)
        """
        steps = max(2, round(longest_whole * frame_rate * 2 / 3))
        return cls(steps, min(round(context * frame_rate), steps // 2))


class Windowed:
    """A function of the whole signal as a stage: whole if the signal is short enough, else window by window.

    Where windows lie depends on the signal's start only, never on the blocks it comes in.

    Args:
        function: maps `[n, C]` to `[n, D]`, or to `[ceil(n / every), D]`.
        windows: how long signals are cut, in steps of the result.
        every: steps of the signal for each step of the result.

    Example:
        >>> stage = Windowed(lambda steps: steps - steps.mean(), Windows(4, 2))
        >>> stage(torch.arange(6.0)[:, None], last=True).flatten()
        tensor([-2.5000, -1.5000, -0.5000,  0.5000,  1.5000,  2.5000])
        >>> stage = Windowed(lambda steps: steps - steps.mean(), Windows(4, 2))
        >>> stage(torch.arange(7.0)[:, None], last=True).flatten()
        tensor([-2.5000, -1.5000, -0.5000,  0.5000,  0.0000,  1.0000,  2.0000])
    """

    def __init__(self, function: Callable[[Tensor], Tensor], windows: Windows, every: int = 1) -> None:
        self._function, self._windows, self._every = function, windows, every
        self._blocks: list[Tensor] = []
        # Steps that are held, and how many of them, at the front, have been given already.
        self._held, self._given = 0, 0
        # What is returned while nothing is ready; it has the width of results as soon as there are any.
        self._nothing: Tensor | None = None

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Keep `[n, C]`; return the results `[m, D]` of the windows that are complete."""
        self._blocks.append(block)
        self._held += len(block)
        results = []
        while self._held - self._given > self._windows.longest_whole * self._every:
            results.append(self._window())
        if last:
            results.append(self._function(self._steps())[self._given // self._every :])
            self._blocks.clear()
        if results:
            self._nothing = results[0].new_empty(0, results[0].shape[1])
            return results[0] if len(results) == 1 else torch.cat(results)
        return block[:0] if self._nothing is None else self._nothing

    def _steps(self) -> Tensor:
        if len(self._blocks) > 1:
            self._blocks = [torch.cat(self._blocks)]
        return self._blocks[0]

    def _window(self) -> Tensor:
        every = self._every
        context, end = self._windows.context * every, self._given + self._windows.steps * every
        steps = self._steps()
        out = self._function(steps[: end + context])[self._given // every : end // every]
        self._given = min(context, end)
        self._blocks = [steps[end - self._given :].clone()]
        self._held = len(self._blocks[0])
        return out
