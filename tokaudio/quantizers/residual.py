"""Residual vector quantization: each codebook quantizes what the ones before it left (arXiv:2107.03312, III-C)."""

from __future__ import annotations

from tokaudio.quantizers.chain import ResidualQuantizer
from tokaudio.quantizers.codebook import Learning, Metric
from tokaudio.quantizers.vector import VectorQuantizer


class ResidualVectorQuantizer(ResidualQuantizer):
    """K vector quantizers in a row.

    The first k codes do not depend on the later ones, so any prefix of the codebooks is a valid, coarser encoding.
    [`ResidualQuantizer`][tokaudio.quantizers.chain.ResidualQuantizer] does the same with any quantizer.

    Example:
        >>> import torch
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
        levels = [
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
        ]
        self._put_together(levels, num_codebooks, dropout=dropout)
