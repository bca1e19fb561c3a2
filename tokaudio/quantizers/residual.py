"""Residual vector quantization: each codebook quantizes what the ones before it left (arXiv:2107.03312, III-C)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.codebook import Learning, Metric
from tokaudio.quantizers.vector import VectorQuantizer


class ResidualVectorQuantizer(Quantizer):
    """K vector quantizers in a row.

    The first k codes do not depend on the later ones, so any prefix of the codebooks is a valid, coarser encoding.

    Example:
        >>> quantizer = ResidualVectorQuantizer(8, 32, num_codebooks=4)
        >>> latents = torch.randn(2, 8, 5)
        >>> codes = quantizer.encode(latents)
        >>> codes.shape, bool((codes[:, :2] == quantizer.encode(latents, num_codebooks=2)).all())
        (torch.Size([2, 4, 5]), True)
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        *,
        num_codebooks: int,
        codebook_dim: int | None = None,
        metric: Metric = "euclidean",
        learning: Learning = "ema",
        commitment: float = 0.25,
        decay: float = 0.99,
        revive_below: float = 0.02,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Make K equal levels.

        Args:
            dim: D, width of the latents.
            codebook_size: V of every codebook.
            num_codebooks: K.
            codebook_dim: width of the search space; None to search in the latents' own space.
            metric: `"euclidean"` or `"cosine"`.
            learning: `"ema"` or `"gradient"`.
            commitment: weight of the commitment loss.
            decay: of the moving averages.
            revive_below: average count per update under which a code is revived.
            dropout: share of training items that use a random number of codebooks (quantizer dropout).
            seed: of k-means, revival and dropout.
        """
        super().__init__()
        self.dim, self.codebook_sizes, self.dropout = dim, (codebook_size,) * num_codebooks, dropout
        self.levels = nn.ModuleList(
            VectorQuantizer(
                dim,
                codebook_size,
                codebook_dim=codebook_dim,
                metric=metric,
                learning=learning,
                commitment=commitment,
                decay=decay,
                revive_below=revive_below,
                seed=seed * 1009 + level,
            )
            for level in range(num_codebooks)
        )

    def _level(self, index: int) -> VectorQuantizer:
        level = self.levels[index]
        assert isinstance(level, VectorQuantizer)
        return level

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`."""
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            residual, codes = latents.float(), []
            for index in range(self.resolve(num_codebooks)):
                level = self._level(index)
                codes.append(level.search(residual))
                residual = residual - level.lookup(codes[-1])
            return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sum `[B, D, T]` of the codewords of codes `[B, k, T]`."""
        self.check_codes(codes)
        total = self._level(0).lookup(codes[:, 0])
        for index in range(1, codes.shape[1]):
            total = total + self._level(index).lookup(codes[:, index])
        return total

    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, D]`."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        return self._level(index).codebook(0)

    def initialise(self, latents: Tensor) -> None:
        """Set every codebook by k-means over what the ones before it leave of vectors `[N, D]`."""
        residual = latents.detach().T[None]
        for index in range(self.num_codebooks):
            level = self._level(index)
            level.initialise(residual[0].T)
            residual = residual - level.lookup(level.search(residual)).detach()

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; in train mode the codebooks learn, and some items use fewer of them."""
        depth = self.draw_depth(len(latents), num_codebooks, dropout=self.dropout).to(latents.device)
        residual, total = latents, torch.zeros_like(latents)
        codes, losses = [], []
        stats: dict[str, Tensor] = {}
        for index in range(self.num_codebooks):
            used = (depth > index).to(latents.dtype)
            level = self._level(index)
            # The residual passes through every straight-through step, so that the gradients of all levels add up to
            # one identity and not to K of them; commitment still has to reach the latents from each level.
            anchor = None if level.factorised else latents - (latents - residual).detach()
            out = level(residual, weights=used, anchor=anchor)
            total = total + out.quantized * used[:, None, None]
            residual = residual - out.quantized
            codes.append(out.codes)
            losses.append(out.loss)
            stats |= {f"{name}_{index}": value for name, value in out.stats.items()}
        return QuantizerOutput(total, torch.cat(codes, dim=1), torch.stack(losses).mean(), stats)
