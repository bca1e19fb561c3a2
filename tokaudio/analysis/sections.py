"""Parts of a codebook report that are rows: one for each codebook, or for each codebook and attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

Part_co = TypeVar("Part_co", bound="Section", covariant=True)


class Section(Protocol):
    """A part of a report: any frozen dataclass that tells itself as plain values."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""


@dataclass(frozen=True, slots=True)
class Rows(Generic[Part_co]):
    """Parts of one kind.

    Attributes:
        rows: in order; None for one that could not be measured.

    Example:
        >>> Rows((None,)).to_dict()
        {'rows': [None]}
    """

    rows: Sequence[Part_co | None]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {"rows": [None if row is None else row.to_dict() for row in self.rows]}
