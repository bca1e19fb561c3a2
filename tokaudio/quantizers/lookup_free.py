"""Lookup-free quantization (Yu et al. 2023, arXiv:2310.05737, section 3.1): a code is the signs of a narrow vector."""

from __future__ import annotations

from torch import Tensor

from tokaudio.quantizers.signs import SignQuantizer


class LookupFreeQuantizer(SignQuantizer):
    """One implicit codebook of the corners `{-1, 1} ** bits`, whose size costs nothing.

    What replaces the search is a loss of two entropies: each vector is to be sure of its code, and all codes together
    are to be used evenly. Both are of soft codes, `p(c | z)` in proportion to `exp(-b |z - c|^2)`.

    Example:
        >>> import torch
        >>> quantizer = LookupFreeQuantizer(64, bits=18)
        >>> quantizer.codebook_sizes, quantizer.encode(torch.zeros(1, 64, 3)).shape
        ((262144,), torch.Size([1, 1, 3]))
    """

    @property
    def corner(self) -> float:
        """Coordinate of the corners: 1."""
        return 1.0

    def bound(self, rows: Tensor) -> Tensor:
        """Return rows as they are."""
        return rows
