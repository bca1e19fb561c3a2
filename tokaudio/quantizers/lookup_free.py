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

    def __init__(
        self,
        dim: int,
        bits: int | None = None,
        *,
        commitment: float = 0.25,
        entropy_weight: float = 0.1,
        diversity: float = 1.0,
        inverse_temperature: float = 1.0,
        entropy_group: int = 12,
    ) -> None:
        """Make the quantizer.

        Args:
            dim: D, width of the latents; projected to and from `bits` where it differs.
            bits: of a code, 1 to 30; None for D.
            commitment: weight of the squared distance to the corner.
            entropy_weight: weight of the entropy loss.
            diversity: weight of the entropy of all codes together, beside that of each vector's own.
            inverse_temperature: b, how sharply soft codes tell distances.
            entropy_group: bits whose joint distribution the entropy of all codes is taken of: exact for codes of up to
                so many bits, an upper bound for wider ones. It costs about `N * 2 ** (group / 2)` numbers for N
                vectors, and `2 ** group` more.

        Raises:
            ValueError: if a number is out of range.
        """
        super().__init__(
            dim,
            bits,
            corner=1.0,
            commitment=commitment,
            entropy_weight=entropy_weight,
            diversity=diversity,
            inverse_temperature=inverse_temperature,
            entropy_group=entropy_group,
        )

    def bound(self, rows: Tensor) -> Tensor:
        """Return rows as they are."""
        return rows
