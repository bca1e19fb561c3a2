"""Residual finite scalar quantization after training: finer and finer grids under one tanh (arXiv:2411.19842).

Latents that were trained with dithered scalar quantization tolerate many grids. Each stage rounds what the stages
before it left to a grid of its own, so that a few small codebooks take the place of one enormous one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tokaudio.quantizers.base import Quantizer, QuantizerOutput

# The levels of each dimension, and how far from zero the outermost ones are.
GridStage = tuple[tuple[int, ...], float]


class ResidualScalarQuantizer(Quantizer):
    """K stages, each of which rounds every dimension to evenly spaced levels between -scale and scale.

    A code is the mixed-radix number of the levels, first dimension fastest. Nothing is learned.

    Attributes:
        stages: levels and scale of each stage.

    Example:
        >>> quantizer = ResidualScalarQuantizer([((5,) * 6, 1.0), ((5,) * 6, 0.25)])
        >>> quantizer.dim, quantizer.codebook_sizes
        (6, (15625, 15625))
        >>> codes = quantizer.encode(torch.zeros(1, 6, 1))
        >>> codes.flatten().tolist(), quantizer.decode(codes).abs().max().item()
        ([7812, 7812], 0.0)
    """

    _here: Tensor

    def __init__(self, stages: Sequence[tuple[Sequence[int], float]]) -> None:
        """Make the stages.

        Args:
            stages: of each, the levels of every dimension, at least 2, and the scale, above 0.

        Raises:
            ValueError: if a number is out of range, or stages differ in their dimensions.
        """
        super().__init__()
        self.stages: tuple[GridStage, ...] = tuple((tuple(levels), float(scale)) for levels, scale in stages)
        widths = {len(levels) for levels, _ in self.stages}
        if len(widths) != 1 or 0 in widths:
            raise ValueError(f"stages must be one or more, of the same dimensions each; got {list(stages)}")
        for levels, scale in self.stages:
            if not all(type(number) is int and number >= 2 for number in levels) or math.prod(levels) > 2**31 - 1:
                raise ValueError(f"levels must be from 2 and make at most {2**31 - 1} codes, got {list(levels)}")
            if not 0 < scale < math.inf:
                raise ValueError(f"scale must be above 0, got {scale}")
        self.dim = widths.pop()
        self.codebook_sizes = tuple(math.prod(levels) for levels, _ in self.stages)
        # Nothing is learned: this says only which device the module is on.
        self.register_buffer("_here", torch.zeros(()), persistent=False)

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`."""
        depth = self.resolve(num_codebooks)
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            # In float64, as published: what is left is rounded again and again.
            left, codes = torch.tanh(latents.detach().transpose(1, 2).double()), []
            for stage in self.stages[:depth]:
                digits = self._digits(left, stage)
                codes.append((digits * _radix(stage, digits.device)).sum(-1))
                left = left - _points(digits, stage, torch.float64)
            return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sum `[B, D, T]` of the grid points of codes `[B, k, T]`."""
        self.check_codes(codes)
        total: Tensor | None = None
        for row, stage in zip(codes.unbind(1), self.stages, strict=False):
            points = _points(_digits_of(row, stage), stage, torch.float32)
            total = points if total is None else total + points
        assert total is not None
        return total.transpose(1, 2)

    def codebook(self, index: int) -> Tensor:
        """Return implicit codebook `index` as grid points `[V, D]`."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        stage = self.stages[index]
        codes = torch.arange(self.codebook_sizes[index], device=self._here.device)
        return _points(_digits_of(codes, stage), stage, torch.float32)

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through the rounding, and through tanh."""
        self.require_depth(num_codebooks)
        codes = self.encode(latents)
        squashed = torch.tanh(latents)
        depth = self.num_codebooks if num_codebooks is None else num_codebooks
        limit = depth[:, None, None] if isinstance(depth, Tensor) else depth
        total = torch.zeros_like(squashed)
        for index in range(self.num_codebooks):
            points = _points(_digits_of(codes[:, index], self.stages[index]), self.stages[index], latents.dtype)
            used = torch.as_tensor(limit, device=latents.device) > index
            total = total + points.transpose(1, 2) * used.to(latents.dtype)
        # Straight through: the value of the points to the last bit, the gradient of the squashed latents.
        return QuantizerOutput(total + (squashed - squashed.detach()), codes, latents.new_zeros(()))

    @staticmethod
    def _digits(left: Tensor, stage: GridStage) -> Tensor:
        """Return the level of each dimension of `[..., D]`, halves to the even one; outliers take the outermost."""
        levels = torch.tensor(stage[0], device=left.device)
        digits = ((left + stage[1]) / _spacing(stage, left.device)).round().long()
        return torch.minimum(digits.clamp(min=0), levels - 1)


def _spacing(stage: GridStage, device: torch.device) -> Tensor:
    """Return the distance of the levels of each dimension `[D]`, in float32 as published."""
    levels, scale = stage
    return scale * 2 / (torch.tensor(levels, device=device) - 1).float()


def _radix(stage: GridStage, device: torch.device) -> Tensor:
    levels = stage[0]
    return torch.tensor([math.prod(levels[:place]) for place in range(len(levels))], device=device)


def _digits_of(codes: Tensor, stage: GridStage) -> Tensor:
    """Return the levels `[..., D]` of codes `[...]`."""
    radix = _radix(stage, codes.device)
    return codes[..., None].div(radix, rounding_mode="floor") % torch.tensor(stage[0], device=codes.device)


def _points(digits: Tensor, stage: GridStage, dtype: torch.dtype) -> Tensor:
    return digits.to(dtype) * _spacing(stage, digits.device).to(dtype) - stage[1]
