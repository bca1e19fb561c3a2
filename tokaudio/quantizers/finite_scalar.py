"""Grouped finite scalar quantization: groups of dimensions, each rounded to a few levels, one codebook per group.

Of Mentzer et al. 2023 (arXiv:2309.15505), as published codecs have it: without projections or anything else to learn.
NanoCodec has 4 to 13 groups (arXiv:2508.05835); XCodec2 and NeuCodec one of eight dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from tokaudio.quantizers.base import Quantizer, QuantizerOutput

Bounds = Literal["outside", "inside"]


class GroupedFiniteScalarQuantizer(Quantizer):
    """K codebooks of `prod(levels)` codes each, side by side: codebook k quantizes dimensions `k * d .. (k + 1) * d`.

    A code is the mixed-radix number of the levels, first dimension fastest, in integer arithmetic. Groups do not depend
    on each other; where only the first k of them are used, the others' dimensions are zero, a value that each of their
    codebooks has.

    Attributes:
        levels: of the d dimensions of a group.
        bounds: see the constructor.
        margin: see the constructor.

    Example:
        >>> quantizer = GroupedFiniteScalarQuantizer((8, 7, 6, 6), num_codebooks=8)
        >>> quantizer.dim, quantizer.codebook_sizes[:2]
        (32, (2016, 2016))
        >>> quantizer.encode(torch.zeros(1, 32, 1))[0, 0]
        tensor([1204])
    """

    _levels: Tensor
    _radix: Tensor

    def __init__(
        self, levels: Sequence[int], *, num_codebooks: int = 1, bounds: Bounds = "outside", margin: float = 1e-3
    ) -> None:
        """Make the quantizer.

        Args:
            levels: number of levels of each dimension of a group, at least 2 each.
            num_codebooks: K, number of groups.
            bounds: where latents are squashed to before they are rounded: `"outside"` for `1 + margin` times the
                outermost levels, as in the paper and in most implementations; `"inside"` for `1 - margin` times, as in
                NVIDIA's. The latter shifts even numbers of levels by a tangent where the paper has the inverse
                hyperbolic one, so that zero is not quite in the middle of its level.
            margin: distance of the bounds from the outermost levels, as a fraction.

        Raises:
            ValueError: if a number is out of range.
        """
        super().__init__()
        if not levels or min(levels) < 2 or math.prod(levels) > 2**31 - 1:
            raise ValueError(f"levels must be from 2 and make at most {2**31 - 1} codes, got {list(levels)}")
        if num_codebooks < 1:
            raise ValueError(f"num_codebooks must be at least 1, got {num_codebooks}")
        if bounds not in ("outside", "inside"):
            raise ValueError(f"bounds must be 'outside' or 'inside', got {bounds!r}")
        # Half a level beyond the outermost one, rounding would find another; half a level short of it, never find it.
        if not 0 <= margin * (max(levels) - 1) < 1:
            raise ValueError(f"margin must be from 0 to below 1 / {max(levels) - 1}, got {margin}")
        self.levels, self.bounds, self.margin = tuple(levels), bounds, margin
        self.dim, self.codebook_sizes = num_codebooks * len(self.levels), (math.prod(self.levels),) * num_codebooks
        radix = [math.prod(self.levels[:place]) for place in range(len(self.levels))]
        self.register_buffer("_levels", torch.tensor(self.levels), persistent=False)
        self.register_buffer("_radix", torch.tensor(radix), persistent=False)

    def bound(self, rows: Tensor) -> Tensor:
        """Squash rows `[..., d]` so that rounding gives each dimension one of its levels."""
        beyond = 1 + self.margin if self.bounds == "outside" else 1 - self.margin
        reach = (self._levels - 1).to(rows.dtype) / 2 * beyond
        offset = torch.where(self._levels % 2 == 0, 0.5, 0.0).to(rows)
        shift = torch.atanh(offset / reach) if self.bounds == "outside" else torch.tan(offset / reach)
        return reach * torch.tanh(rows + shift) - offset

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`."""
        count = self.resolve(num_codebooks)
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            rows = self._rows(latents.float())[:, :, :count]
            return self._codes(self.bound(rows).round()).transpose(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, k, T]`, each dimension in [-1, 1]."""
        self.check_codes(codes)
        digits = codes.transpose(1, 2)[..., None].div(self._radix, rounding_mode="floor") % self._levels
        half = self._levels // 2
        vectors = ((digits - half).float() / half).flatten(-2).transpose(1, 2)
        rest = self.dim - vectors.shape[1]
        return torch.nn.functional.pad(vectors, (0, 0, 0, rest)) if rest else vectors

    def codebook(self, index: int) -> Tensor:
        """Return implicit codebook `index` as vectors `[V, D]`, zero outside its own dimensions."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        codes = torch.arange(self.codebook_sizes[0], device=self._levels.device)[:, None]
        digits = codes.div(self._radix, rounding_mode="floor") % self._levels
        width, half = len(self.levels), self._levels // 2
        table = torch.zeros(len(codes), self.dim, dtype=torch.float32, device=codes.device)
        table[:, index * width : (index + 1) * width] = (digits - half).float() / half
        return table

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through the rounding."""
        self.require_depth(num_codebooks)
        rows = self.bound(self._rows(latents).float())
        nearest = rows.round().detach()
        # Straight through: the value of the level to the last bit, the gradient of the row.
        vectors = (nearest + (rows - rows.detach())) / (self._levels // 2)
        depth = self.num_codebooks if num_codebooks is None else num_codebooks
        limit = depth[:, None, None, None] if isinstance(depth, Tensor) else depth
        used = torch.arange(self.num_codebooks, device=rows.device)[:, None] < limit
        quantized = (vectors * used).flatten(-2).transpose(1, 2)
        return QuantizerOutput(quantized, self._codes(nearest).transpose(1, 2), latents.new_zeros(()))

    def _rows(self, latents: Tensor) -> Tensor:
        """Return `[B, D, T]` as `[B, T, K, d]`."""
        return latents.transpose(1, 2).unflatten(-1, (self.num_codebooks, len(self.levels)))

    def _codes(self, nearest: Tensor) -> Tensor:
        """Return the codes `[...]` of rounded rows `[..., d]`."""
        digits = (nearest.long() + self._levels // 2).clamp(min=0)
        return (torch.minimum(digits, self._levels - 1) * self._radix).sum(-1)
