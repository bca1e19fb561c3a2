"""Networks over time that run block by block: equal to a pass over the whole signal, in memory that does not grow.

A *stage* takes blocks `[n, C]` (time first, channels last: a CPU's fast layout) and returns what is ready `[m, D]`.
It keeps the few steps it still needs, so nothing is computed twice and padding happens only at a signal's two ends,
where the published network has it. Whoever feeds the same blocks gets the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


class Stage(Protocol):
    """One layer, or several, in the course of one signal."""

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Take the next block `[n, C]`, n may be 0, and return what is ready `[m, D]`; `last` ends the signal."""
        ...


@runtime_checkable
class Staged(Protocol):
    """A module that can run as a stage."""

    def stage(self) -> Stage:
        """Return a fresh stage, at the start of a signal."""
        ...


def stage_of(module: nn.Module) -> Stage:
    """Return a fresh stage of a module; a module without one works on every step `[n, C]` alone.

    Example:
        >>> stage_of(nn.ReLU())(torch.tensor([[-1.0], [2.0]]), last=True)
        tensor([[0.],
                [2.]])
    """
    return module.stage() if isinstance(module, Staged) else Pointwise(module)


class Pointwise:
    """A function of single steps.

    Example:
        >>> Pointwise(torch.square)(torch.tensor([[3.0]]), last=False)
        tensor([[9.]])
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map `[n, C]` to `[n, D]`."""
        return self._function(block)


class Pipeline:
    """Stages one after the other.

    Example:
        >>> Pipeline([Pointwise(torch.neg), Pointwise(torch.relu)])(torch.tensor([[-2.0]]), last=True)
        tensor([[2.]])
    """

    def __init__(self, stages: Iterable[Stage]) -> None:
        self._stages = list(stages)

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map `[n, C]` to what the last stage has ready."""
        for stage in self._stages:
            block = stage(block, last)
        return block


class Added:
    """A body whose result is added to its input, or to a shortcut's result.

    What is ready on one side waits for the other.

    Example:
        >>> Added(Pointwise(torch.square))(torch.tensor([[3.0]]), last=True)
        tensor([[12.]])
    """

    def __init__(self, body: Stage, shortcut: Stage | None = None) -> None:
        self._body, self._shortcut = body, shortcut
        self._past: Tensor | None = None
        self._early: Tensor | None = None

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map `[n, C]` to the steps `[m, C]` for which both ways are ready."""
        past = block if self._shortcut is None else self._shortcut(block, last)
        past, out = _after(self._past, past), _after(self._early, self._body(block, last))
        ready = min(len(past), len(out))
        self._past, self._early = _rest(past, ready), _rest(out, ready)
        # In place where the result is the body's own: an identity hands its input on.
        own = out.is_contiguous() and not any(_share(out, other) for other in (past, block))
        return out[:ready].add_(past[:ready]) if own else out[:ready] + past[:ready]


def _after(waiting: Tensor | None, steps: Tensor) -> Tensor:
    return steps if waiting is None else torch.cat([waiting, steps])


def _rest(steps: Tensor, ready: int) -> Tensor | None:
    return steps[ready:].clone() if len(steps) > ready else None


def _share(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


class Sliced:
    """A stage that is fed at most so many steps at a time, so that its tensors stay in the processor's cache.

    Example:
        >>> Sliced(Pointwise(torch.neg), 2)(torch.ones(5, 1), last=True).T
        tensor([[-1., -1., -1., -1., -1.]])
    """

    def __init__(self, stage: Stage, steps: int) -> None:
        self._stage, self._steps = stage, steps

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map `[n, C]` to what the stage has ready."""
        count = max(1, -(-len(block) // self._steps))
        pieces = block.tensor_split(count)
        out = [self._stage(piece, last and i == count - 1) for i, piece in enumerate(pieces)]
        return out[0] if count == 1 else torch.cat(out)


class Aligned:
    """Lets steps through in multiples of a number, and what is left at the end.

    Example:
        >>> stage = Aligned(2)
        >>> stage(torch.ones(3, 1), last=False).shape, stage(torch.ones(2, 1), last=True).shape
        (torch.Size([2, 1]), torch.Size([3, 1]))
    """

    def __init__(self, multiple: int) -> None:
        self._multiple = multiple
        self._held: Tensor | None = None

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map `[n, C]` to `[m, C]`."""
        steps = block if self._held is None else torch.cat([self._held, block])
        ready = len(steps) if last else len(steps) // self._multiple * self._multiple
        self._held = steps[ready:].clone()
        return steps[:ready]


class Whole:
    """A function of the whole signal: it waits for the end.

    Example:
        >>> stage = Whole(lambda steps: steps.flip(0))
        >>> stage(torch.tensor([[1.0]]), last=False).shape, stage(torch.tensor([[2.0]]), last=True).T
        (torch.Size([0, 1]), tensor([[2., 1.]]))
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function
        self._blocks: list[Tensor] = []

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Keep `[n, C]`; at the end return the result `[m, D]` for all."""
        self._blocks.append(block)
        if not last:
            return block[:0]
        steps = torch.cat(self._blocks)
        self._blocks.clear()
        return self._function(steps)


class Sequence(nn.Sequential):
    """Modules one after the other on `[B, C, T]`, which also run as one stage.

    Example:
        >>> Sequence(nn.ReLU(), nn.Tanh()).stage()(torch.zeros(2, 3), last=True).shape
        torch.Size([2, 3])
    """

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pipeline(stage_of(module) for module in self)


class InSlices(Sequence):
    """A [`Sequence`][tokaudio.nn.stages.Sequence] whose stage runs on short slices.

    Example:
        >>> InSlices(nn.ReLU(), steps=4).stage()(torch.zeros(9, 3), last=True).shape
        torch.Size([9, 3])
    """

    def __init__(self, *modules: nn.Module, steps: int) -> None:
        super().__init__(*modules)
        self.steps = steps

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Sliced(super().stage(), self.steps)


class Residual(nn.Module):
    """`body(x) + x`, or `body(x) + shortcut(x)`, on `[B, C, T]` or as a stage.

    Example:
        >>> Residual(nn.Identity())(torch.ones(1, 2, 3)).sum()
        tensor(12.)
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        past: Tensor = x if self.shortcut is None else self.shortcut(x)
        return past + self.body(x)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Added(stage_of(self.body), None if self.shortcut is None else stage_of(self.shortcut))
