"""Residual finite scalar quantization: finite scalar quantization of what finite scalar quantization left.

Of Mentzer et al. 2023 (arXiv:2309.15505) in a row, with levels symmetric around zero (arXiv:2411.19842, section 3.2).
A dimension is squashed to an interval that its L levels cut into L equal cells; the next codebook cuts each of these
into L equal cells, and so on. The codes of a dimension are therefore the digits in base L of one whole number, the
most significant first, and are found in whole numbers, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.projection import project_across, projection

# Cells per dimension that float64 tells apart with room to spare.
_MOST_CELLS = 2**40


class ResidualFiniteScalarQuantizer(Quantizer):
    """K implicit codebooks of `prod(levels)` codes each, every one finer than the one before it.

    A code is the mixed-radix number of the levels, first dimension fastest. Nothing is learned but projections. The
    first k codes do not depend on the later ones.

    Attributes:
        levels: of each dimension, the same in every codebook.
        dropout: see the constructor.

    Example:
        >>> quantizer = ResidualFiniteScalarQuantizer(2, (5, 3), num_codebooks=2)
        >>> codes = quantizer.encode(torch.zeros(1, 2, 1))
        >>> codes.flatten().tolist(), quantizer.decode(codes).abs().max().item()
        ([7, 7], 0.0)
    """

    _levels: Tensor
    _radix: Tensor

    def __init__(self, dim: int, levels: Sequence[int], *, num_codebooks: int, dropout: float = 0.0) -> None:
        """Make the quantizer.

        Args:
            dim: D, width of the latents; projected to and from `len(levels)` where it differs.
            levels: number of levels of each dimension, at least 2 each.
            num_codebooks: K.
            dropout: share of training items that use a random number of codebooks (quantizer dropout).

        Raises:
            ValueError: if a number is out of range.
        """
        super().__init__()
        if not levels or min(levels) < 2 or math.prod(levels) > 2**31 - 1:
            raise ValueError(f"levels must be from 2 and make at most {2**31 - 1} codes, got {list(levels)}")
        if num_codebooks < 1 or max(levels) ** num_codebooks > _MOST_CELLS:
            problem = f"levels {list(levels)} and {num_codebooks} of them"
            raise ValueError(f"num_codebooks must be from 1 and make at most {_MOST_CELLS} cells, got {problem}")
        self.dim, self.levels, self.dropout = dim, tuple(levels), dropout
        self.codebook_sizes = (math.prod(levels),) * num_codebooks
        self.down, self.up = projection(dim, len(levels)), projection(len(levels), dim)
        radix = [math.prod(self.levels[:place]) for place in range(len(self.levels))]
        self.register_buffer("_levels", torch.tensor(self.levels), persistent=False)
        self.register_buffer("_radix", torch.tensor(radix), persistent=False)

    def bound(self, rows: Tensor) -> Tensor:
        """Squash rows `[..., d]` to the interval that the outermost cells end at, `L / (L - 1)` on both sides."""
        reach = self._levels / (self._levels - 1).to(rows.dtype)
        return reach * torch.tanh(rows / reach)

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`."""
        depth = self.resolve(num_codebooks)
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            return self._codes(self._rows(latents))[:, :depth]

    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, k, T]`."""
        self.check_codes(codes)
        total = torch.stack([self._points(row, index) for index, row in enumerate(codes.unbind(1))]).sum(0)
        return project_across(self.up, total.transpose(1, 2))

    def codebook(self, index: int) -> Tensor:
        """Return implicit codebook `index` as vectors `[V, D]`, at the size that they have at that level."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        table: Tensor = self.up(self._points(torch.arange(self.codebook_sizes[0], device=self._radix.device), index))
        return table

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through the rounding, some items use fewer codebooks."""
        depth = self.draw_depth(len(latents), num_codebooks, dropout=self.dropout).to(latents.device)
        with torch.autocast(latents.device.type, enabled=False):
            rows = self._rows(latents)
            codes = self._codes(rows.detach())
            bounded = self.bound(rows)
            points = torch.zeros_like(bounded)
            for index, row in enumerate(codes.unbind(1)):
                points = points + self._points(row, index) * (depth > index)[:, None, None]
            # Straight through: the value of the points to the last bit, the gradient of the squashed rows.
            quantized = project_across(self.up, (points + (bounded - bounded.detach())).transpose(1, 2))
        return QuantizerOutput(quantized, codes, latents.new_zeros(()))

    def _rows(self, latents: Tensor) -> Tensor:
        return project_across(self.down, latents).transpose(1, 2).float()

    def _codes(self, rows: Tensor) -> Tensor:
        """Return codes `[B, K, T]` of rows `[B, T, d]`."""
        reach = self._levels / (self._levels - 1).double()
        cells = self._levels**self.num_codebooks
        place = (torch.tanh(rows.double() / reach) + 1) / 2 * cells
        # Of two cells that meet in a point the lower one has it; what is no number is in the lowest.
        cell = torch.minimum((place.nan_to_num(0.0).ceil() - 1).clamp(min=0).long(), cells - 1)
        digits = [
            cell.div(self._levels ** (self.num_codebooks - 1 - index), rounding_mode="floor") % self._levels
            for index in range(self.num_codebooks)
        ]
        return (torch.stack(digits, dim=1) * self._radix).sum(-1)

    def _points(self, codes: Tensor, index: int) -> Tensor:
        """Return what codebook `index` adds, `[..., d]` in float32, for codes `[...]`."""
        digits = codes[..., None].div(self._radix, rounding_mode="floor") % self._levels
        # The numerator is a whole number: the middle of an odd number of levels is exactly zero.
        return (2 * digits - (self._levels - 1)).float() / ((self._levels - 1) * self._levels**index).float()
