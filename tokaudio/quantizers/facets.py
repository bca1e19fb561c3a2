"""Factorised quantization of one signal's facets side by side, and of what they leave (arXiv:2403.03100, section 3.2).

FACodec's: prosody and content are each quantized from the same latents by a chain of their own; a last chain quantizes
what both leave, the acoustic detail.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.factorized import FactorizedVectorQuantizer


class FacetQuantizer(Quantizer):
    """Chains of factorised levels: all but the last quantize the latents, the last what the others leave together.

    The vectors of all chains are added. The first k codes do not depend on the later ones.

    Example:
        >>> quantizer = FacetQuantizer(16, (32, 32, 64), counts=(1, 2, 3), codebook_dim=4)
        >>> quantizer.codebook_sizes
        (32, 32, 32, 64, 64, 64)
        >>> codes = quantizer.encode(torch.randn(2, 16, 5))
        >>> codes.shape, quantizer.decode(codes[:, :3]).shape
        (torch.Size([2, 6, 5]), torch.Size([2, 16, 5]))
    """

    def __init__(
        self, dim: int, sizes: Sequence[int], *, counts: Sequence[int], codebook_dim: int = 8, commitment: float = 0.25
    ) -> None:
        """Make the chains, learned by gradient.

        Args:
            dim: D, width of the latents.
            sizes: V of the codebooks of each chain.
            counts: codebooks of each chain.
            codebook_dim: width of the search.
            commitment: weight of the commitment loss beside the codebook loss.

        Raises:
            ValueError: if there are not two or more chains with at least one codebook each.
        """
        super().__init__()
        if len(sizes) != len(counts) or len(counts) < 2 or min(counts) < 1:
            given = f"{list(sizes)} and {list(counts)}"
            raise ValueError(f"sizes and counts must be of the same two or more chains, counts from 1; got {given}")
        self.dim, self.counts = dim, tuple(counts)
        self.codebook_sizes = tuple(size for size, count in zip(sizes, counts, strict=True) for _ in range(count))
        self.chains = nn.ModuleList(
            FactorizedVectorQuantizer(dim, size, num_codebooks=count, codebook_dim=codebook_dim, commitment=commitment)
            for size, count in zip(sizes, counts, strict=True)
        )

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`, chain after chain."""
        depth, codes = self.resolve(num_codebooks), []
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            latents = latents.float()
            left = latents
            for number, (chain, count) in enumerate(zip(self.chains, self._used(depth), strict=True)):
                if not count:
                    break
                last = number + 1 == len(self.counts)
                codes.append(self._of(chain).encode(left if last else latents, num_codebooks=count))
                if depth > sum(self.counts[:-1]) and not last:
                    left = left - self._of(chain).summed(codes[-1])
            return torch.cat(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sum `[B, D, T]` of the vectors of codes `[B, k, T]`."""
        self.check_codes(codes)
        total: Tensor | None = None
        for chain, rows in zip(self.chains, codes.split(self._used(codes.shape[1]), dim=1), strict=True):
            if rows.shape[1]:
                vectors = self._of(chain).decode(rows)
                total = vectors if total is None else total + vectors
        assert total is not None
        return total

    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, D]`: the codewords projected out."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        chain = 0
        while index >= self.counts[chain]:
            index -= self.counts[chain]
            chain += 1
        return self._of(self.chains[chain]).codebook(index)

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through the searches, and not from the last chain to others."""
        self.require_depth(num_codebooks)
        given = self.num_codebooks if num_codebooks is None else num_codebooks
        depth = torch.as_tensor(given, device=latents.device).expand(len(latents))
        total, left, loss = torch.zeros_like(latents), latents, latents.new_zeros(())
        codes: list[Tensor] = []
        stats: dict[str, Tensor] = {}
        before = 0
        for number, chain in enumerate(self.chains):
            last, count = number + 1 == len(self.counts), self.counts[number]
            own = depth - before
            out = chain(left if last else latents, num_codebooks=own.clamp(1, count))
            # A chain without codebooks in use still teaches its first one; its vectors are left out of the sum.
            total = total + out.quantized * (own > 0).to(latents.dtype)[:, None, None]
            left = left - out.quantized.detach()
            loss = loss + out.loss * (count / self.num_codebooks)
            codes.append(out.codes)
            for name, value in out.stats.items():
                stem, _, level = name.rpartition("_")
                stats[f"{stem}_{int(level) + before}"] = value
            before += count
        return QuantizerOutput(total, torch.cat(codes, dim=1), loss, stats)

    def _used(self, depth: int) -> list[int]:
        """Return how many codebooks of each chain the first `depth` ones are."""
        used = []
        for count in self.counts:
            used.append(min(depth, count))
            depth -= used[-1]
        return used

    @staticmethod
    def _of(chain: nn.Module) -> FactorizedVectorQuantizer:
        assert isinstance(chain, FactorizedVectorQuantizer)
        return chain
