"""Several short sequences in one row, so that a batch is made of text and sound and not of padding."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import torch
from torch import Tensor

from tokaudio._spec_checks import require_int
from tokaudio.errors import TokensError


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return which sequences share a row: first-fit decreasing, rows of at most `capacity` in all.

    Every sequence is in one row; rows, and sequences within one, are in the order in which they were given. With n
    the least possible number of rows, there are at most 11/9 n + 6/9 (Dósa 2007, doi:10.1007/978-3-540-74450-4_1).

    Args:
        lengths: of the sequences.
        capacity: of a row.

    Raises:
        TokensError: a sequence that is longer than a row.

    Example:
        >>> pack([5, 3, 4, 2, 2], 8)
        [[0, 1], [2, 3, 4]]
    """
    require_int("capacity", capacity)
    for number, length in enumerate(lengths):
        if length > capacity:
            raise TokensError(f"sequence {number} has {length} ids, a row {capacity}; cut it, or give longer rows")
    rows: list[list[int]] = []
    free: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        fits = next((row for row, room in enumerate(free) if room >= lengths[number]), None)
        if fits is None:
            fits = len(rows)
            rows.append([])
            free.append(capacity)
        bisect.insort(rows[fits], number)
        free[fits] -= lengths[number]
    return sorted(rows)


def block_mask(documents: Tensor) -> Tensor:
    """Return which ids may see which: their own sequence's, up to themselves; bool [B, 1, L, L].

    Padding (-1) sees itself only, so that no row of the mask is empty, which would make attention NaN.

    Args:
        documents: number of the sequence that each id belongs to, [B, L], -1 for padding.

    Example:
        >>> block_mask(torch.tensor([[0, 0, 1]]))[0, 0].int().tolist()
        [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    """
    same = (documents[:, :, None] == documents[:, None, :]) & (documents >= 0)[:, :, None]
    length = documents.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=documents.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=documents.device)
    return ((same & causal) | itself)[:, None]
