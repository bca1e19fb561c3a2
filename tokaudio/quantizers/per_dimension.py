"""Scalar quantization of every dimension by itself, as in SQ-Codec (Yang et al. 2024, arXiv:2406.02328)."""

from __future__ import annotations

import torch
from torch import Tensor

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.finite_scalar import GroupedFiniteScalarQuantizer
from tokaudio.quantizers.projection import projection


class ScalarQuantizer(Quantizer):
    """K codebooks of V codes each, one per dimension: tanh, then the nearest of V evenly spaced levels.

    Several dimensions in one code are [`FiniteScalarQuantizer`][tokaudio.quantizers.scalar.FiniteScalarQuantizer]'s.
    Where only the first k codebooks are used, the other dimensions are zero.

    Attributes:
        rounding: what rounds.

    Example:
        >>> quantizer = ScalarQuantizer(32, 19, num_codebooks=8)
        >>> quantizer.codebook_sizes[:2], quantizer.encode(torch.zeros(1, 32, 1)).flatten()[:2].shape
        ((19, 19), torch.Size([2]))
    """

    def __init__(self, dim: int, codebook_size: int, *, num_codebooks: int | None = None) -> None:
        """Make the quantizer.

        Args:
            dim: D, width of the latents.
            codebook_size: V, levels of each dimension, at least 3; an odd number has one at zero, as in the paper.
            num_codebooks: K, dimensions that are rounded; latents are projected to and from as many. None for D.

        Raises:
            ValueError: if a number is out of range.
        """
        super().__init__()
        if codebook_size < 3:
            raise ValueError(f"codebook_size must be at least 3, got {codebook_size}; for two levels there is lfq")
        width = dim if num_codebooks is None else num_codebooks
        self.rounding = GroupedFiniteScalarQuantizer((codebook_size,), num_codebooks=width, margin=0.0)
        self.dim, self.codebook_sizes = dim, self.rounding.codebook_sizes
        self.down, self.up = projection(dim, width), projection(width, dim)

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`."""
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            return self.rounding.encode(self._narrow(latents), num_codebooks=num_codebooks)

    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, k, T]`; without projection each dimension is in [-1, 1]."""
        return self._widen(self.rounding.decode(codes))

    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, D]`: its levels, the other dimensions at zero."""
        table: Tensor = self.up(self.rounding.codebook(index))
        return table

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through the rounding."""
        with torch.autocast(latents.device.type, enabled=False):
            out = self.rounding(self._narrow(latents), num_codebooks=num_codebooks)
            return QuantizerOutput(self._widen(out.quantized), out.codes, out.loss)

    def _narrow(self, latents: Tensor) -> Tensor:
        return self.down(latents.transpose(1, 2)).transpose(1, 2)

    def _widen(self, vectors: Tensor) -> Tensor:
        return self.up(vectors.transpose(1, 2)).transpose(1, 2)
