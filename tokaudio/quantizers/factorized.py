"""Factorised residual quantization: narrow searches by direction (Kumar et al. 2023, arXiv:2306.06546, section 3.2).

Every level projects what is left of a vector to a few dimensions, finds the codeword of nearest direction there, and
projects that codeword, at its own length, back out. With strides a level works on averages of neighbouring frames and
its codes are repeated (Siuzdak et al. 2024, arXiv:2410.14411, section 3.1). Codewords that nothing chooses in training
are revived.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.codebook import kmeans
from tokaudio.quantizers.gradients import pass_gradient, pull_together
from tokaudio.quantizers.life import CodeLife
from tokaudio.quantizers.processes import from_first, joined_finite
from tokaudio.quantizers.projection import Projection
from tokaudio.quantizers.search import nearest
from tokaudio.quantizers.vector import perplexity


class FactorizedLevel(nn.Module):
    """One level: a projection in, a table, a projection out.

    Attributes:
        in_proj: from D to the width of the search.
        codebook: the codewords `[V, d]`.
        out_proj: back to D.
        stride: frames that one code spans.
        life: counts uses, and revives dead codes.

    Example:
        >>> level = FactorizedLevel(16, 32, 4, stride=2)
        >>> level.search(torch.zeros(1, 5, 16)).shape
        torch.Size([1, 3])
    """

    def __init__(self, dim: int, codebook_size: int, codebook_dim: int, *, stride: int = 1, seed: int = 0) -> None:
        super().__init__()
        self.stride = stride
        self.in_proj = Projection(dim, codebook_dim)
        self.codebook = nn.Parameter(torch.randn(codebook_size, codebook_dim))
        self.out_proj = Projection(codebook_dim, dim)
        self.life = CodeLife(codebook_size, seed=seed)

    def narrow(self, rows: Tensor) -> Tensor:
        """Average `[B, T, D]` over spans of `stride` frames, of which the last may be shorter, and project them."""
        if self.stride > 1:
            rows = F.avg_pool1d(rows.transpose(1, 2), self.stride, ceil_mode=True).transpose(1, 2)
        narrow: Tensor = self.in_proj(rows)
        return narrow

    def nearest(self, narrow: Tensor) -> Tensor:
        """Return the codes `[B, T]` of projected vectors `[B, T, d]`; ties take the lowest index."""
        with torch.no_grad():
            directions = F.normalize(narrow.float().flatten(0, 1), dim=-1)
            return nearest(directions, F.normalize(self.codebook.float(), dim=-1)).unflatten(0, narrow.shape[:2])

    def search(self, rows: Tensor) -> Tensor:
        """Return one code per span `[B, ceil(T / stride)]` of `[B, T, D]`."""
        return self.nearest(self.narrow(rows))

    def lookup(self, codes: Tensor) -> Tensor:
        """Return the vectors `[..., D]` of codes `[...]`."""
        vectors: Tensor = self.out_proj(F.embedding(codes, self.codebook))
        return vectors.to(self.codebook.dtype)

    @torch.no_grad()
    def initialise(self, narrow: Tensor) -> None:
        """Set the codewords by k-means over projected vectors `[N, d]`; those that are not finite are left out."""
        rows = joined_finite(narrow)
        if len(rows):
            generator = torch.Generator().manual_seed(self.life.seed)
            self.codebook.copy_(from_first(kmeans(rows, len(self.codebook), iterations=10, generator=generator)))

    def repeat(self, spans: Tensor, frames: int) -> Tensor:
        """Repeat what belongs to spans `[B, N, ...]` for every frame of them, `[B, frames, ...]`."""
        return spans if self.stride == 1 else spans.repeat_interleave(self.stride, dim=1)[:, :frames]


class FactorizedVectorQuantizer(Quantizer):
    """K factorised levels in a row, each quantizing what the ones before it left.

    Codes come at the rate of the latents: those of a level of stride s are equal over s frames. Spans are counted from
    the first frame, so latents that are quantized in pieces must be cut at multiples of `period`.

    Example:
        >>> quantizer = FactorizedVectorQuantizer(16, 32, num_codebooks=3, codebook_dim=4, strides=(4, 2, 1))
        >>> codes = quantizer.encode(torch.randn(2, 16, 8))
        >>> codes.shape, len(codes[0, 0].unique()) <= 2
        (torch.Size([2, 3, 8]), True)
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        *,
        num_codebooks: int,
        codebook_dim: int = 8,
        strides: Sequence[int] | None = None,
        commitment: float = 0.25,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Make K equal levels, learned by gradient.

        Args:
            dim: D, width of the latents.
            codebook_size: V of every codebook.
            num_codebooks: K.
            codebook_dim: width of the search.
            strides: frames that one code spans, per level; None for 1 everywhere.
            commitment: weight of the commitment loss beside the codebook loss.
            dropout: share of training items that use a random number of codebooks (quantizer dropout).
            seed: of k-means and revival.

        Raises:
            ValueError: if there is not one stride of at least 1 per codebook.
        """
        super().__init__()
        self.strides = (1,) * num_codebooks if strides is None else tuple(strides)
        if len(self.strides) != num_codebooks or min(self.strides, default=0) < 1:
            raise ValueError(f"strides must be {num_codebooks} numbers of at least 1, got {list(self.strides)}")
        self.dim, self.codebook_sizes = dim, (codebook_size,) * num_codebooks
        self.commitment, self.dropout = commitment, dropout
        self.levels = nn.ModuleList(
            FactorizedLevel(dim, codebook_size, codebook_dim, stride=stride, seed=seed * 1009 + level)
            for level, stride in enumerate(self.strides)
        )

    @property
    def period(self) -> int:
        """Frames after which the spans of all levels begin together."""
        return math.lcm(*self.strides)

    def _level(self, index: int) -> FactorizedLevel:
        level = self.levels[index]
        assert isinstance(level, FactorizedLevel)
        return level

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`."""
        depth, frames = self.resolve(num_codebooks), latents.shape[2]
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            residual, codes = latents.float().transpose(1, 2).contiguous(), []
            for index in range(depth):
                level = self._level(index)
                spans = level.search(residual)
                codes.append(level.repeat(spans, frames))
                if index + 1 < depth:
                    residual = residual - level.repeat(level.lookup(spans), frames)
            return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sum `[B, D, T]` of the vectors of codes `[B, k, T]`; the first code of a span is the span's."""
        self.check_codes(codes)
        return self.summed(codes).to(self._level(0).codebook.dtype)

    def summed(self, codes: Tensor) -> Tensor:
        """Return what `decode` returns, of codes that are in range, before rounding to half precision."""
        total: Tensor | None = None
        for index, row in enumerate(codes.unbind(1)):
            level = self._level(index)
            vectors = level.repeat(level.lookup(row[:, :: level.stride]), row.shape[1])
            vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
            total = vectors if total is None else total + vectors
        assert total is not None
        return total.transpose(1, 2)

    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, D]`: the codewords projected out."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        level = self._level(index)
        return level.lookup(torch.arange(self.codebook_sizes[index], device=level.codebook.device))

    def initialise(self, latents: Tensor) -> None:
        """Set every codebook by k-means over what the ones before it leave of `[N, D]`; strides play no part."""
        with torch.no_grad():
            residual = latents.float()[None]
            for index in range(self.num_codebooks):
                level = self._level(index)
                narrow: Tensor = level.in_proj(residual)
                level.initialise(narrow[0])
                residual = residual - level.lookup(level.nearest(narrow))

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through the searches, some items use fewer codebooks."""
        depth = self.draw_depth(len(latents), num_codebooks, dropout=self.dropout).to(latents.device)
        frames = latents.shape[2]
        with torch.autocast(latents.device.type, enabled=False):
            residual = latents.float().transpose(1, 2)
            total, loss = torch.zeros_like(residual), residual.new_zeros(())
            codes = []
            stats: dict[str, Tensor] = {}
            for index in range(self.num_codebooks):
                level, used = self._level(index), depth > index
                narrow = level.narrow(residual)
                spans = level.nearest(narrow.detach())
                words = F.embedding(spans, level.codebook).float()
                # The loss compares codewords at their own length, not directions, as the published training does.
                loss = loss + pull_together(narrow, words, commitment=self.commitment, learned=True, weights=used)
                out = level.repeat(level.out_proj(pass_gradient(narrow, words)).to(level.codebook.dtype), frames)
                total = total + out * used[:, None, None]
                residual = residual - out
                codes.append(level.repeat(spans, frames))
                if self.training:
                    level.life.step(level.codebook, narrow.detach()[used].flatten(0, 1), spans[used].flatten())
                    stats[f"perplexity_{index}"] = perplexity(spans, self.codebook_sizes[index])
        return QuantizerOutput(total.transpose(1, 2), torch.stack(codes, dim=1), loss / self.num_codebooks, stats)
