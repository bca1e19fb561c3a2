"""Codes as vectors: one table of vectors for each codebook, as a probe's first layer.

    features = TokenFeatures(spec.codebook_sizes, width=64)
    features(codes)  # [B, K, T] -> [B, T, K, 64]

DASB (arXiv:2406.14294) keeps the tables of all codebooks in one, and finds the rows of codebook k behind an offset. So
does this; the offset is added to a copy, so that codes which are used a second time are the same codes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tokaudio.probes.errors import ProbeError


class TokenFeatures(nn.Module):
    """A vector for each code, of each codebook.

    Args:
        sizes: of the codebooks `[K]`.
        width: D, of the vectors.
        tables: the tokenizer's own codebooks, K tables `[V, any width]` in one space, to start from: their principal
            components, scaled to about the size that random vectors have. Random vectors if None.
        trainable: whether fitting changes the vectors.

    Shape:
        input: codes, integers `[B, K, T]`; output: `[B, T, K, D]`.

    Raises:
        ProbeError: there is no codebook, or tables are not those of the codebooks.

    Example:
        >>> codes = torch.tensor([[[0, 1, 2], [3, 4, 4]]])
        >>> TokenFeatures([3, 5], width=8)(codes).shape, codes.tolist()
        (torch.Size([1, 3, 2, 8]), [[[0, 1, 2], [3, 4, 4]]])
    """

    offsets: Tensor

    def __init__(
        self, sizes: Sequence[int], *, width: int, tables: Sequence[Tensor] | None = None, trainable: bool = True
    ) -> None:
        super().__init__()
        if not sizes:
            raise ProbeError("there is no codebook to make features of; give one size at least")
        self.sizes = tuple(sizes)
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets", starts[:, None], persistent=False)
        self.vectors = nn.Embedding(sum(sizes), width)
        if tables is not None:
            with torch.no_grad():
                self.vectors.weight.copy_(_reduced(tables, self.sizes, width))
        self.vectors.weight.requires_grad_(trainable)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes `[B, K, T]` to vectors `[B, T, K, D]`.

        Raises:
            ProbeError: there are more or fewer codebooks.
        """
        if codes.shape[1] != len(self.sizes):
            raise ProbeError(f"codes have {codes.shape[1]} codebooks; give {len(self.sizes)}")
        found: Tensor = self.vectors((codes + self.offsets).transpose(1, 2))
        return found


def _reduced(tables: Sequence[Tensor], sizes: Sequence[int], width: int) -> Tensor:
    """Return all vectors `[sum of V, width]` in common principal components, with zeros where there are fewer of these.

    Common ones, so that sums over codebooks, of which residual codecs are made, stay sums.
    """
    shapes = [len(table) for table in tables]
    if shapes != list(sizes) or len({table.shape[1:] for table in tables}) != 1:
        raise ProbeError(f"tables have {shapes} vectors; give one for each code, all of one width: {list(sizes)}")
    joined = torch.cat([(table - table.mean(dim=0)).detach().double() for table in tables])
    _, axes = torch.linalg.eigh(joined.T @ joined)
    kept = joined @ axes.flip(1)[:, :width]
    # A vector of nn.Embedding has squared length `width` on average; here those of the strongest codebook have.
    strongest = max(float(part.square().sum(dim=1).mean()) for part in kept.split(shapes))
    scaled = kept * (width / max(strongest, 1e-12)) ** 0.5
    return torch.nn.functional.pad(scaled, (0, width - kept.shape[1])).float()
