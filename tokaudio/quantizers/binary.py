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
        """Make the quantizer.

        Args:
            dim: D, width of the latents; projected to and from `bits` where it differs.
            bits: of a code, 1 to 30; None for D.
            commitment: weight of the squared distance to the corner.
            entropy_weight: weight of the entropy loss.
            diversity: weight of the entropy of all codes together, beside that of each vector's own.
            inverse_temperature: b of soft codes, in proportion to `exp(-b |u - c|^2)`; half of the paper's.
            entropy_group: bits whose joint distribution the entropy of all codes is taken of; 1, the paper's, takes
                bits as independent.

        Raises:
            ValueError: if a number is out of range.
        """
        width = dim if bits is None else bits
        super().__init__(
            dim,
            bits,
            corner=max(width, 1) ** -0.5,
            commitment=commitment,
            entropy_weight=entropy_weight,
            diversity=diversity,
            inverse_temperature=inverse_temperature,
            entropy_group=entropy_group,
        )

    def bound(self, rows: Tensor) -> Tensor:
        """Return rows `[..., bits]` at length 1."""
        return F.normalize(rows, dim=-1)
