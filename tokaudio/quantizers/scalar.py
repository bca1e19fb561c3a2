"""Finite scalar quantization: every dimension is rounded to a few levels (Mentzer et al. 2023, arXiv:2309.15505)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.projection import project_across, projection

# The bounds reach this far (relatively) beyond the outermost levels, so that those can be reached (appendix A.1); but
# never so far (in levels) that rounding finds a level beyond the outermost, as it would with 1,002 levels and more.
_MARGIN = 1e-3
_MOST_MARGIN = 0.25


def _nearest_level(rows: Tensor) -> Tensor:
    """Round to the nearest whole number, halves down, so that of two equally near levels the lower one wins.

    What is no number is rounded to zero: it would become a code that does not exist.
    """
    rounded = rows.round()
    return torch.where(rows - rounded == -0.5, rounded - 1, rounded).nan_to_num(0.0)


class FiniteScalarQuantizer(Quantizer):
    """One implicit codebook of `prod(levels)` codes: nothing is learned, nothing can collapse.

    A code is the mixed-radix number of the levels, first dimension fastest. Index arithmetic is integer, so that large
    codebooks stay exact.

    Example:
        >>> quantizer = FiniteScalarQuantizer(3, (8, 5, 5))
        >>> quantizer.codebook_sizes
        (200,)
        >>> len(quantizer.codebook(0).unique(dim=0))
        200
    """

    _levels: Tensor
    _radix: Tensor

    def __init__(self, dim: int, levels: Sequence[int]) -> None:
        """Make the quantizer.

        Args:
            dim: D, width of the latents; projected to and from `len(levels)` where it differs.
            levels: number of levels of each dimension, at least 2 each.
        """
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"levels must be one or more numbers of at least 2, got {list(levels)}")
        if math.prod(levels) > 2**31 - 1:
            raise ValueError(f"levels {list(levels)} make {math.prod(levels)} codes; the most is {2**31 - 1}")
        self.dim, self.levels, self.codebook_sizes = dim, tuple(levels), (math.prod(levels),)
        width = len(self.levels)
        self.down, self.up = projection(dim, width), projection(width, dim)
        radix = [math.prod(self.levels[:place]) for place in range(width)]
        self.register_buffer("_levels", torch.tensor(self.levels), persistent=False)
        self.register_buffer("_radix", torch.tensor(radix), persistent=False)

    def bound(self, rows: Tensor) -> Tensor:
        """Squash rows `[..., len(levels)]` so that rounding gives each dimension exactly its number of levels."""
        levels = self._levels.to(rows)
        half_width = (levels - 1) / 2 + ((levels - 1) * _MARGIN / 2).clamp(max=_MOST_MARGIN)
        # Even numbers of levels sit on half-integers; shift them so that rounding is symmetric, and zero maps to zero.
        offset = torch.where(self._levels % 2 == 0, 0.5, 0.0)
        shift = torch.atanh(offset / half_width)
        return torch.tanh(rows + shift) * half_width - offset

    def _digits(self, rows: Tensor) -> Tensor:
        """Return the level of each dimension, 0 .. levels - 1, as integers."""
        return _nearest_level(self.bound(rows.float())).long() + self._levels // 2

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, 1, T]` of vectors `[B, D, T]`."""
        self.resolve(num_codebooks)
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            digits = self._digits(project_across(self.down, latents.float()).transpose(1, 2))
            return (digits * self._radix).sum(-1)[:, None]

    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, 1, T]`; without projection, each dimension is in [-1, 1]."""
        self.check_codes(codes)
        digits = codes[:, 0, :, None].div(self._radix, rounding_mode="floor") % self._levels
        # In float32, whatever torch's default is.
        vectors = (digits - self._levels // 2).float() / (self._levels // 2)
        return project_across(self.up, vectors.transpose(1, 2))

    def codebook(self, index: int) -> Tensor:
        """Return the implicit codebook as vectors `[V, D]`."""
        if index != 0:
            raise IndexError(f"this quantizer has one codebook, index 0; got {index}")
        codes = torch.arange(self.codebook_sizes[0], device=self._levels.device)
        return self.decode(codes[None, None])[0].T

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through the rounding."""
        self.require_depth(num_codebooks)
        with torch.autocast(latents.device.type, enabled=False):
            rows = self.bound(project_across(self.down, latents.float()).transpose(1, 2))
            # Straight through: the value of the level to the last bit, the gradient of the row.
            rounded = _nearest_level(rows).detach() + (rows - rows.detach())
            half = self._levels // 2
            digits = rounded.detach().long() + half
            quantized = project_across(self.up, (rounded / half).transpose(1, 2))
            codes = (digits * self._radix).sum(-1)[:, None]
        return QuantizerOutput(quantized, codes, latents.new_zeros(()))
