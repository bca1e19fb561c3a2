"""Binary spherical quantization (Zhao et al. 2024, arXiv:2406.07548): the signs of a vector on the unit sphere."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.quantizers.base import Quantizer, QuantizerOutput

_MOST_BITS = 30


class BinarySphericalQuantizer(Quantizer):
    """One implicit codebook of `2 ** dim` corners of a cube inside the unit sphere: nothing is learned.

    A code is a binary number whose first dimension is the highest bit; a bit is 1 where the vector is above zero.
    Lengths of vectors do not matter.

    Example:
        >>> quantizer = BinarySphericalQuantizer(3)
        >>> quantizer.encode(torch.tensor([[[1.0, 0.0], [-2.0, 0.1], [0.5, -3.0]]]))
        tensor([[[5, 2]]])
    """

    _places: Tensor

    def __init__(self, dim: int) -> None:
        """Make the quantizer.

        Args:
            dim: D, width of the latents and bits of a code.
        """
        super().__init__()
        if not 1 <= dim <= _MOST_BITS:
            raise ValueError(f"dim must be from 1 to {_MOST_BITS}, got {dim}")
        self.dim, self.codebook_sizes = dim, (2**dim,)
        self.register_buffer("_places", 2 ** torch.arange(dim - 1, -1, -1), persistent=False)

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, 1, T]` of vectors `[B, D, T]`."""
        self.resolve(num_codebooks)
        return ((latents > 0) * self._places[:, None]).sum(1, keepdim=True)

    def decode(self, codes: Tensor) -> Tensor:
        """Return unit vectors `[B, D, T]` of codes `[B, 1, T]`."""
        self.check_codes(codes)
        bits = codes.div(self._places[:, None], rounding_mode="floor") % 2
        return (bits.float() * 2 - 1) * self.dim**-0.5

    def codebook(self, index: int) -> Tensor:
        """Return the implicit codebook as vectors `[V, D]`."""
        if index != 0:
            raise IndexError(f"this quantizer has one codebook, index 0; got {index}")
        codes = torch.arange(self.codebook_sizes[0], device=self._places.device)
        return self.decode(codes[None, None])[0].T

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through the signs, to the vector on the sphere."""
        self.require_depth(num_codebooks)
        sphere = F.normalize(latents.float(), dim=1)
        codes = self.encode(latents)
        corners = self.decode(codes)
        # Straight through: the corner's value to the last bit, the vector's gradient.
        quantized = corners + (sphere - sphere.detach())
        return QuantizerOutput(quantized, codes, latents.new_zeros(()))
