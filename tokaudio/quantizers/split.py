"""Two residual quantizers side by side on the same latents: a semantic one and an acoustic one.

Mimi's (Défossez et al. 2024, arXiv:2410.00037, section 3.3.3): distillation shapes the first codebook alone, and the
others need not make up for what it leaves, since each side has projections of its own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.codebook import Learning, Metric
from tokaudio.quantizers.projection import Projection
from tokaudio.quantizers.residual import ResidualVectorQuantizer


class ResidualSide(nn.Module):
    """A residual quantizer between two projections without bias, or none where the widths are equal.

    Attributes:
        inward: from D to the width of the search.
        chain: the residual quantizer.
        outward: back to D.
    """

    def __init__(self, dim: int, width: int | None, chain: ResidualVectorQuantizer) -> None:
        super().__init__()
        self.inward: nn.Module = Projection(dim, width, bias=False) if width else nn.Identity()
        self.chain = chain
        self.outward: nn.Module = Projection(width, dim, bias=False) if width else nn.Identity()

    def narrow(self, latents: Tensor) -> Tensor:
        """Map `[B, D, T]` to the space of the search `[B, d, T]`."""
        return self.inward(latents.transpose(1, 2)).transpose(1, 2)

    def widen(self, vectors: Tensor) -> Tensor:
        """Map `[B, d, T]` back to `[B, D, T]`."""
        return self.outward(vectors.transpose(1, 2)).transpose(1, 2)

    def encode(self, latents: Tensor, num_codebooks: int) -> Tensor:
        """Return codes `[B, k, T]` of latents `[B, D, T]`."""
        return self.chain.encode(self.narrow(latents), num_codebooks=num_codebooks)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors `[B, D, T]` of codes `[B, k, T]`."""
        return self.widen(self.chain.decode(codes))


class SplitResidualVectorQuantizer(Quantizer):
    """K codebooks: the first of them quantize the latents, the others quantize the same latents once more.

    Both results are added. Within each side every codebook quantizes what the ones before it left, and the first k
    codes do not depend on the later ones.

    Example:
        >>> quantizer = SplitResidualVectorQuantizer(8, 32, num_codebooks=4, codebook_dim=4)
        >>> quantizer.semantic.chain.num_codebooks, quantizer.acoustic.chain.num_codebooks
        (1, 3)
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        *,
        num_codebooks: int,
        num_semantic: int = 1,
        codebook_dim: int | None = None,
        metric: Metric = "euclidean",
        learning: Learning = "ema",
        commitment: float = 0.25,
        decay: float = 0.99,
        revive_below: float = 0.02,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Make both sides.

        There are `num_codebooks` over both, of which the first `num_semantic` are the semantic side's; `codebook_dim`
        is the width that each side projects to (None to search in the latents' own space). The other options are those
        of [`ResidualVectorQuantizer`][tokaudio.quantizers.residual.ResidualVectorQuantizer], for both sides.

        Raises:
            ValueError: if one of the sides has no codebook.
        """
        super().__init__()
        if not 1 <= num_semantic < num_codebooks:
            raise ValueError(f"num_semantic must be from 1 to {num_codebooks - 1}, got {num_semantic}")
        self.dim, self.codebook_sizes = dim, (codebook_size,) * num_codebooks
        self.num_semantic, self.dropout = num_semantic, dropout
        options: dict[str, Any] = {
            "metric": metric,
            "learning": learning,
            "commitment": commitment,
            "decay": decay,
            "revive_below": revive_below,
        }
        counts = {"semantic": num_semantic, "acoustic": num_codebooks - num_semantic}
        sides = [
            ResidualVectorQuantizer(
                codebook_dim or dim, codebook_size, num_codebooks=count, seed=2 * seed + number, **options
            )
            for number, count in enumerate(counts.values())
        ]
        self.semantic, self.acoustic = (ResidualSide(dim, codebook_dim, chain) for chain in sides)

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`, the semantic ones first."""
        count = self.resolve(num_codebooks)
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            latents = latents.float()
            codes = self.semantic.encode(latents, min(count, self.num_semantic))
            if count > self.num_semantic:
                codes = torch.cat([codes, self.acoustic.encode(latents, count - self.num_semantic)], dim=1)
            return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors `[B, D, T]` of codes `[B, k, T]`: the sum of both sides."""
        self.check_codes(codes)
        total = self.semantic.decode(codes[:, : self.num_semantic])
        rest = codes[:, self.num_semantic :]
        return total + self.acoustic.decode(rest) if rest.shape[1] else total

    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, D]`: the codewords projected out."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        semantic = index < self.num_semantic
        side = self.semantic if semantic else self.acoustic
        table: Tensor = side.outward(side.chain.codebook(index if semantic else index - self.num_semantic))
        return table

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; in train mode the codebooks learn, and some items use fewer of them."""
        depth = self.draw_depth(len(latents), num_codebooks, dropout=self.dropout).to(latents.device)
        first = self.semantic.chain(self.semantic.narrow(latents), num_codebooks=depth.clamp(max=self.num_semantic))
        # An item without acoustic codebooks still teaches the first of them; its vectors are left out of the sum.
        deep = depth - self.num_semantic
        rest = self.acoustic.chain(self.acoustic.narrow(latents), num_codebooks=deep.clamp(min=1))
        used = (deep > 0).to(latents.dtype)[:, None, None]
        total = self.semantic.widen(first.quantized) + used * self.acoustic.widen(rest.quantized)
        share = self.num_semantic / self.num_codebooks
        stats = dict(first.stats)
        for name, value in rest.stats.items():
            stem, _, number = name.rpartition("_")
            stats[f"{stem}_{int(number) + self.num_semantic}"] = value
        codes = torch.cat([first.codes, rest.codes], dim=1)
        return QuantizerOutput(total, codes, share * first.loss + (1 - share) * rest.loss, stats)
