"""Product quantization: groups of dimensions side by side, each with a quantizer of its own, of any kind.

Jegou et al. 2011 (doi:10.1109/TPAMI.2010.57); with residual quantizers inside, the grouped residual quantization of
HiFi-Codec (arXiv:2305.02765, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.inner import make_inner, quantizer_of, renumbered


class ProductQuantizer(Quantizer):
    """G groups of `D / G` dimensions, each quantized by itself.

    Where the inner quantizer has several codebooks, the first ones of all groups come first: codebook k is codebook
    `k // G` of group `k % G`, so that a prefix is coarse everywhere before it is fine anywhere. The dimensions of
    groups without a codebook are zero.

    Attributes:
        groups: the G quantizers; a single one where all groups share it.
        num_groups: G.

    Example:
        >>> options = {"codebook_size": 16, "num_codebooks": 3}
        >>> quantizer = ProductQuantizer(8, groups=2, inner="rvq", inner_options=options)
        >>> quantizer.encode(torch.randn(1, 8, 5)).shape
        torch.Size([1, 6, 5])
    """

    def __init__(
        self,
        dim: int,
        *,
        groups: int,
        inner: str = "vq",
        inner_options: Mapping[str, Any] | None = None,
        shared: bool = False,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Make the groups.

        Args:
            dim: D, width of the latents.
            groups: G, a divisor of D.
            inner: name of the groups' quantizer.
            inner_options: arguments of its constructor besides `dim`.
            shared: whether all groups are one quantizer.
            dropout: share of training items that use a random number of codebooks (quantizer dropout).
            seed: of the groups, where they take one.

        Raises:
            ValueError: if the groups do not divide the width.
        """
        super().__init__()
        if groups < 1 or dim % groups:
            raise ValueError(f"groups must divide dim {dim}, got {groups}")
        self.groups = nn.ModuleList(
            make_inner(inner, dim // groups, inner_options, seed=seed * 1013 + group)
            for group in range(1 if shared else groups)
        )
        self.dim, self.num_groups, self.dropout = dim, groups, dropout
        self.codebook_sizes = self._interleaved(quantizer_of(self.groups, 0).codebook_sizes)

    @property
    def strides(self) -> tuple[int, ...]:
        """Frames that one code of each codebook spans."""
        first = quantizer_of(self.groups, 0)
        return self._interleaved(getattr(first, "strides", None) or (1,) * first.num_codebooks)

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`."""
        depth = self.resolve(num_codebooks)
        codes = latents.new_zeros(len(latents), depth, latents.shape[2], dtype=torch.int64)
        for group, part in enumerate(latents.chunk(self.num_groups, dim=1)[:depth]):
            own = self._depth(depth, group)
            codes[:, group :: self.num_groups] = quantizer_of(self.groups, group).encode(part, num_codebooks=own)
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, k, T]`."""
        self.check_codes(codes)
        parts = [
            quantizer_of(self.groups, group).decode(codes[:, group :: self.num_groups])
            for group in range(min(self.num_groups, codes.shape[1]))
        ]
        parts += [torch.zeros_like(parts[0])] * (self.num_groups - len(parts))
        return torch.cat(parts, dim=1)

    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, D]`, zero outside its own dimensions."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        level, group = divmod(index, self.num_groups)
        table, width = quantizer_of(self.groups, group).codebook(level), self.dim // self.num_groups
        return nn.functional.pad(table, (group * width, self.dim - (group + 1) * width))

    def initialise(self, latents: Tensor) -> None:
        """Set every group's codebooks from its dimensions of vectors `[N, D]`; shared ones from all dimensions."""
        parts = latents.chunk(self.num_groups, dim=1)
        if len(self.groups) == 1:
            parts = (torch.cat(parts),)
        for group, part in enumerate(parts):
            quantizer_of(self.groups, group).initialise(part)

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; in train mode the codebooks learn, and some items use fewer of them."""
        depth = self.draw_depth(len(latents), num_codebooks, dropout=self.dropout).to(latents.device)
        vectors, loss = [], latents.new_zeros(())
        codes = latents.new_zeros(len(latents), self.num_codebooks, latents.shape[2], dtype=torch.int64)
        stats: dict[str, Tensor] = {}
        for group, part in enumerate(latents.chunk(self.num_groups, dim=1)):
            own = (depth - group + self.num_groups - 1) // self.num_groups
            # An item without a codebook of this group still teaches the first of them; its vectors are left out.
            out = quantizer_of(self.groups, group)(part, num_codebooks=own.clamp(min=1))
            vectors.append(out.quantized * (own > 0).to(out.quantized.dtype)[:, None, None])
            codes[:, group :: self.num_groups] = out.codes
            loss = loss + out.loss / self.num_groups
            stats |= renumbered(out.stats, lambda level, group=group: level * self.num_groups + group)  # type: ignore[misc]
        return QuantizerOutput(torch.cat(vectors, dim=1), codes, loss, stats)

    def _depth(self, depth: int, group: int) -> int:
        """Return how many of the first `depth` codebooks are of a group."""
        return (depth - group + self.num_groups - 1) // self.num_groups

    def _interleaved(self, of_group: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(value for value in of_group for _ in range(self.num_groups))
