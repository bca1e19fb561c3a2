"""Centroids of k-means as a quantizer: fitted once, then fixed; how semantic tokenizers get their codes.

HuBERT (arXiv:2106.07447, section III-B) clusters the features of one layer; the DASB benchmark (arXiv:2406.14294)
several layers, each with a codebook of its own. Parts side by side serve for that, and for product quantization of one
layer (Jegou et al. 2011, doi:10.1109/TPAMI.2010.57) too; stages on what is left over make it residual.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.codebook import Codebook


class KMeansQuantizer(Quantizer):
    """P parts side by side, each with R stages of V centroids: codebook `p * R + r` is stage r of part p.

    Codebooks may differ in their V.

    Part p quantizes dimensions `p * D / P .. (p + 1) * D / P`. Nothing is learned in training; centroids come from
    [`fit_kmeans`][tokaudio.training.kmeans.fit_kmeans] or from a file. Where only the first k codebooks are used,
    the dimensions of parts without any are zero.

    Attributes:
        parts: P.
        stages: R.
        books: the P * R codebooks, their tables buffers of shape `[V, D / P]`.

    Example:
        >>> quantizer = KMeansQuantizer(12, 5, parts=3)
        >>> quantizer.encode(torch.randn(2, 12, 7)).shape
        torch.Size([2, 3, 7])
    """

    def __init__(
        self, dim: int, codebook_size: int | Sequence[int], *, parts: int = 1, stages: int = 1, seed: int = 0
    ) -> None:
        """Make the quantizer with random centroids.

        Args:
            dim: D, of all parts together.
            codebook_size: V, one for all or one for each of the P * R codebooks.
            parts: P, a divisor of D.
            stages: R.
            seed: of the random centroids.

        Raises:
            ValueError: if a number is out of range.
        """
        super().__init__()
        sizes = (codebook_size,) * max(parts * stages, 1) if isinstance(codebook_size, int) else tuple(codebook_size)
        if min(dim, parts, stages, *sizes) < 1 or dim % parts or len(sizes) != parts * stages:
            problem = f"dim {dim}, codebook_size {codebook_size}, parts {parts}, stages {stages}"
            raise ValueError(f"sizes must be positive, one per codebook, and parts divide dim, got {problem}")
        self.dim, self.parts, self.stages = dim, parts, stages
        self.codebook_sizes = sizes
        self.books = nn.ModuleList(
            Codebook(size, dim // parts, seed=seed + number) for number, size in enumerate(sizes)
        )

    @property
    def part_dim(self) -> int:
        """Width of the vectors of one part."""
        return self.dim // self.parts

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`."""
        count = self.resolve(num_codebooks)
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            rows = latents.float().transpose(1, 2)
            codes: list[Tensor] = []
            for part in rows.split(self.part_dim, dim=-1):
                left = part.flatten(0, 1)
                for stage in range(min(self.stages, count - len(codes))):
                    book = self._book(len(codes))
                    codes.append(book.search(left))
                    if stage + 1 < self.stages:
                        left = left - book.lookup(codes[-1])
            return torch.stack(codes, dim=1).unflatten(0, rows.shape[:2]).transpose(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, k, T]`."""
        self.check_codes(codes)
        vectors = self._book(0).table.new_zeros(codes.shape[0], codes.shape[2], self.dim)
        for index, column in enumerate(codes.unbind(1)):
            vectors[..., self._columns(index)] += self._book(index).lookup(column)
        return vectors.transpose(1, 2)

    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, D]`, zero outside the dimensions of its part."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        table = self._book(index).table
        placed = table.new_zeros(len(table), self.dim)
        placed[:, self._columns(index)] = table
        return placed

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through, and the loss is zero."""
        self.require_depth(num_codebooks)
        per_item = num_codebooks if isinstance(num_codebooks, Tensor) else None
        codes = self.encode(latents, num_codebooks=None if isinstance(num_codebooks, Tensor) else num_codebooks)
        if per_item is None:
            words = self.decode(codes)
        else:
            kept = [self.decode(codes[item : item + 1, :depth]) for item, depth in enumerate(per_item.tolist())]
            words = torch.cat(kept)
        quantized = words.detach() + (latents - latents.detach())
        return QuantizerOutput(quantized, codes, latents.new_zeros(()))

    def _book(self, index: int) -> Codebook:
        book = self.books[index]
        assert isinstance(book, Codebook)
        return book

    def _columns(self, index: int) -> slice:
        start = index // self.stages * self.part_dim
        return slice(start, start + self.part_dim)
