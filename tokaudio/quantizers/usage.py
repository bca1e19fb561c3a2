"""How many codes are in use while a quantizer trains, and a warning when hardly any is.

A codebook collapses when a few codes win all vectors: the others are never chosen, learn nothing, and fall further
behind. Nothing fails then, the result is only worse, so that training has to say it. Every quantizer counts the codes
of its training steps by itself; reading them costs nothing to those who do not ask.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tokaudio.quantizers.processes import process_rank

# Codes are counted for so many steps, and judged after each such window from the fourth on: k-means, revival and a
# learned projection have had their time by then.
_WINDOW = 100
_FIRST_JUDGED = 4
# A codebook has collapsed if two windows in a row used less than this share of the codes that as many vectors, drawn
# evenly, would have used.
_COLLAPSED = 0.3
# Implicit codebooks may have billions of codes; larger ones are not counted.
_LARGEST = 2**20


class CollapseWarning(UserWarning):
    """A codebook of which hardly any code is used in training."""


@dataclass(frozen=True, slots=True)
class CodebookUsage:
    """What the last 100 to 200 training steps used of one codebook.

    Attributes:
        size: V.
        vectors: how many were quantized.
        used: number of different codes that they got.
        perplexity: exponential of the entropy of the codes: how many are in effective use, 1 to V; 0 before training.

    Example:
        >>> CodebookUsage(size=1024, vectors=5000, used=512, perplexity=300.0).share
        0.5
    """

    size: int
    vectors: int
    used: int
    perplexity: float

    @property
    def share(self) -> float:
        """Share of the codebook that was used, 0 to 1."""
        return self.used / self.size

    @property
    def evenly(self) -> float:
        """How many different codes as many vectors would get if all codes were equally likely, on average."""
        return self.size * -math.expm1(self.vectors * math.log1p(-1 / self.size)) if self.size > 1 else 1.0


class UsageMeter:
    """Counts codes in train mode, and warns once of each codebook that has collapsed.

    Example:
        >>> meter = UsageMeter("VectorQuantizer", (4,))
        >>> meter.observe(torch.tensor([[[0, 1, 1, 0]]]))
        >>> meter.usage()
        (CodebookUsage(size=4, vectors=4, used=2, perplexity=2.0),)
    """

    def __init__(self, name: str, sizes: Sequence[int]) -> None:
        """Count for codebooks of some sizes; the name is that of the quantizer, for warnings."""
        self.name, self.sizes, self.steps = name, tuple(sizes), 0
        counted = [size if size <= _LARGEST else 0 for size in self.sizes]
        self._starts = [sum(counted[:place]) for place in range(len(counted))]
        self._counts = torch.zeros(2, sum(counted), dtype=torch.int64)
        self._low = [False] * len(self.sizes)
        self._warned = [False] * len(self.sizes)

    @torch.no_grad()
    def observe(self, codes: Tensor) -> None:
        """Count the codes `[B, k, T]` of a training step; negative ones stand for none."""
        if self._counts.device != codes.device:
            self._counts = self._counts.to(codes.device)
        now = self._counts[0]
        for start, size, book in zip(self._starts, self.sizes, codes.unbind(1), strict=False):
            if size <= _LARGEST:
                flat = book.flatten().long()
                # Added at their places, without a wait for the device: what is none adds nothing at place 0.
                now.index_add_(0, start + flat.clamp_min(0), (flat >= 0).long())
        self.steps += 1
        if self.steps % _WINDOW == 0:
            self._close()

    def usage(self) -> tuple[CodebookUsage, ...]:
        """Return what the last 100 to 200 steps used of every codebook; codebooks of over 2**20 codes show nothing."""
        return self._of(self._counts.sum(0))

    def _of(self, counts: Tensor) -> tuple[CodebookUsage, ...]:
        found = []
        for start, size in zip(self._starts, self.sizes, strict=True):
            own = counts[start : start + size] if size <= _LARGEST else counts[:0]
            own = own[own > 0].double()
            share = own / own.sum()
            perplexity = float(torch.exp(-(share * share.log()).sum())) if len(own) else 0.0
            found.append(CodebookUsage(size, int(own.sum()), len(own), round(perplexity, 4)))
        return tuple(found)

    def _close(self) -> None:
        """Judge the window that ends here, and begin another one."""
        for book, usage in enumerate(self._of(self._counts[0])):
            # Fewer vectors than codes cannot tell.
            low = usage.vectors >= usage.size and usage.used < _COLLAPSED * usage.evenly
            if low and self._low[book] and self.steps >= _FIRST_JUDGED * _WINDOW and not self._warned[book]:
                self._warned[book] = True
                self._warn(book, usage)
            self._low[book] = low
        self._counts[1] = self._counts[0]
        self._counts[0] = 0

    def _warn(self, book: int, usage: CodebookUsage) -> None:
        if process_rank() == 0:
            warnings.warn(
                f"codebook {book} of {self.name}: {usage.used} of {usage.size} codes are used after {self.steps} "
                f"training steps (by {usage.vectors} vectors, perplexity {usage.perplexity:.1f}), it has collapsed; "
                "set it from latents with initialise(), let dead codes be revived (revive_below), or look whether the "
                "latents differ at all",
                CollapseWarning,
                stacklevel=2,
            )


class Nesting(threading.local):
    """How many quantizers, one inside the other, are at work in this thread.

    Example:
        >>> Nesting().depth
        0
    """

    depth = 0
