"""Binary spherical quantization (Zhao et al. 2024, arXiv:2406.07548): the signs of a vector on the unit sphere."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tokaudio.quantizers.signs import SignQuantizer


class BinarySphericalQuantizer(SignQuantizer):
    """One implicit codebook of `2 ** bits` corners of a cube inside the unit sphere, where vectors are brought first.

    Lengths of vectors do not matter, and no vector is farther from its corner than a bound that does not grow with the
    codebook: there is no need of a commitment loss.

    Example:
        >>> import torch
        >>> quantizer = BinarySphericalQuantizer(3)
        >>> quantizer.encode(torch.tensor([[[1.0, 0.0], [-2.0, 0.1], [0.5, -3.0]]]))
        tensor([[[5, 2]]])
    """

    def __init__(
        self,
        dim: int,
        bits: int | None = None,
        *,
        commitment: float = 0.0,
        entropy_weight: float = 0.1,
        diversity: float = 1.0,
        inverse_temperature: float = 1.0,
        entropy_group: int = 1,
    ) -> None:
        """Make the quantizer, with defaults of its own.

        Its options are those of [`LookupFreeQuantizer`][tokaudio.quantizers.lookup_free.LookupFreeQuantizer]. The
        paper's soft codes are in proportion to `exp(t c.u)`, and `inverse_temperature` is half of its t; it takes bits
        as independent, which is an `entropy_group` of 1.

        Raises:
            ValueError: if a number is out of range.
        """
        super().__init__(
            dim,
            bits,
            commitment=commitment,
            entropy_weight=entropy_weight,
            diversity=diversity,
            inverse_temperature=inverse_temperature,
            entropy_group=entropy_group,
        )

    @property
    def corner(self) -> float:
        """Coordinate of the corners, which are at length 1."""
        return float(self.bits**-0.5)

    def bound(self, rows: Tensor) -> Tensor:
        """Return rows `[..., bits]` at length 1."""
        return F.normalize(rows, dim=-1)
