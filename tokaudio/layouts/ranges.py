"""One range of ids, and how the ranges of a tokenizer are laid end to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokaudio._spec_checks import require_int
from tokaudio.errors import TokensError
from tokaudio.spec import TokenizerSpec


@dataclass(frozen=True)
class CodeRange:
    """The ids of one codebook, or of one place of it within the period of a multi-rate tokenizer.

    Args:
        codebook: its position in the spec.
        first: id of code 0.
        size: number of codes.
        phase: which of a fast codebook's codes within a period (SNAC has 1, 2 and 4 per period); None for all of them.

    Example:
        >>> CodeRange(0, 4, 1024).stop
        1028
    """

    codebook: int
    first: int
    size: int
    phase: int | None = None

    def __post_init__(self) -> None:
        require_int("codebook", self.codebook, minimum=0)
        require_int("first id", self.first, minimum=0)
        require_int("range size", self.size)
        if self.phase is not None:
            require_int("phase", self.phase, minimum=0)

    @property
    def stop(self) -> int:
        """The id after the last one."""
        return self.first + self.size

    @property
    def name(self) -> str:
        """What a table calls it: `codebook 2`, or `codebook 2, place 3`."""
        return f"codebook {self.codebook}" + ("" if self.phase is None else f", place {self.phase}")


def laid_out(
    spec: TokenizerSpec, first: int, *, per_phase: bool = False, sizes: Mapping[int, int] | None = None
) -> tuple[CodeRange, ...]:
    """Return ranges from id `first` on: one per codebook, or one per code of a period in the order of time.

    Args:
        spec: of the tokenizer.
        first: id of the first code.
        per_phase: whether each place within the period has a range of its own.
        sizes: ids of single codebooks, where they are more than its codes.

    Raises:
        TokensError: a size below that of the codebook.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 24_000, 512, (CodebookSpec(8, 2), CodebookSpec(4)))
        >>> [(one.name, one.first) for one in laid_out(spec, 10, per_phase=True)]
        [('codebook 0, place 0', 10), ('codebook 1, place 0', 18), ('codebook 1, place 1', 22)]
    """
    sizes = sizes or {}
    starts = [
        (phase * book.stride, k, phase if per_phase else None)
        for k, book in enumerate(spec.codebooks)
        for phase in range(spec.stride_period // book.stride if per_phase else 1)
    ]
    ranges = []
    for _, k, phase in sorted(starts, key=lambda start: start[:2]):
        codes = spec.codebooks[k].size
        size = sizes.get(k, codes)
        if size < codes:
            raise TokensError(f"{size} ids for codebook {k} of {codes} codes; give at least as many")
        ranges.append(CodeRange(k, first, size, phase))
        first += size
    return tuple(ranges)


def require_range(values: NDArray[np.int64], size: int, owner: str, *, what: str = "code") -> None:
    """Refuse integers outside 0 to `size - 1`.

    Example:
        >>> require_range(np.array([7]), 8, "codebook 0")
    """
    wrong = (values < 0) | (values >= size)
    if wrong.any():
        number = int(values[wrong].flat[0])
        raise TokensError(f"{what} {number} of {owner}, which has {size}; give {what}s from 0 to {size - 1}")
