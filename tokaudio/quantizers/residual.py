"""Residual vector quantization: each codebook quantizes what the ones before it left (arXiv:2107.03312, III-C)."""

from __future__ import annotations

from tokaudio.quantizers.chain import ResidualQuantizer
from tokaudio.quantizers.codebook import Learning, Metric
from tokaudio.quantizers.gradients import Gradient


class ResidualVectorQuantizer(ResidualQuantizer):
    """K vector quantizers in a row.

    It is a [`ResidualQuantizer`][tokaudio.quantizers.chain.ResidualQuantizer] whose options are theirs.

    Example:
        >>> ResidualVectorQuantizer(8, 32, num_codebooks=4).codebook_sizes
        (32, 32, 32, 32)
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
        gradient: Gradient = "straight-through",
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Make K equal levels.

        Options are those of [`VectorQuantizer`][tokaudio.quantizers.vector.VectorQuantizer], the same for every level;
        `dropout` is the share of training items that use a random number of codebooks (quantizer dropout).
        """
        options = {
            "codebook_size": codebook_size,
            "codebook_dim": codebook_dim,
            "metric": metric,
            "learning": learning,
            "commitment": commitment,
            "decay": decay,
            "revive_below": revive_below,
            "gradient": gradient,
        }
        super().__init__(
            dim, num_codebooks=num_codebooks, inner="vq", inner_options=options, dropout=dropout, seed=seed
        )
