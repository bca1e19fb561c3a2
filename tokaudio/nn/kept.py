"""What is computed from parameters once, and kept as long as they stay the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from torch import Tensor

T = TypeVar("T")


class Kept(Generic[T]):
    """Something made from parameters at first use, and anew only after one of them has changed.

    Copies and pickles leave it out.

    Example:
        >>> import torch
        >>> kept, weight = Kept[torch.Tensor](), torch.ones(2)
        >>> first = kept.of([weight], lambda: 2 * weight)
        >>> kept.of([weight], lambda: 2 * weight) is first
        True
        >>> kept.of([weight.mul_(3)], lambda: 2 * weight)
        tensor([6., 6.])
    """

    def __init__(self) -> None:
        self._made: tuple[tuple[tuple[int, int], ...], T] | None = None

    def of(self, parameters: Sequence[Tensor], make: Callable[[], T]) -> T:
        """Return what `make` makes from these parameters."""
        key = tuple((p.data_ptr(), 0 if p.is_inference() else p._version) for p in parameters)
        if self._made is None or self._made[0] != key:
            self._made = key, make()
        return self._made[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was made."""
        return {"_made": None}
