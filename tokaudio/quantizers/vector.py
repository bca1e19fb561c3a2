"""Vector quantization with one codebook: VQ-VAE (arXiv:1711.00937), also factorised and cosine (arXiv:2306.06546)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.codebook import Codebook, Learning, Metric


class VectorQuantizer(Quantizer):
    """One codebook, optionally searched in a narrower space (factorised) and by direction only (cosine).

    With `codebook_dim` the vectors are projected down before the search and up after it, as in DAC (Kumar et al. 2023,
    arXiv:2306.06546, section 3.2); together with `metric="cosine"` and `learning="gradient"` it is DAC's quantizer.

    Example:
        >>> quantizer = VectorQuantizer(8, 32)
        >>> quantizer.encode(torch.randn(2, 8, 5)).shape
        torch.Size([2, 1, 5])
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        *,
        codebook_dim: int | None = None,
        metric: Metric = "euclidean",
        learning: Learning = "ema",
        commitment: float = 0.25,
        decay: float = 0.99,
        revive_below: float = 0.02,
        seed: int = 0,
    ) -> None:
        """Make the quantizer; see [`Codebook`][tokaudio.quantizers.codebook.Codebook] for what it passes on."""
        super().__init__()
        self.dim, self.codebook_sizes, self.commitment = dim, (codebook_size,), commitment
        self.factorised = codebook_dim is not None
        width = codebook_dim or dim
        self.down: nn.Module = nn.Linear(dim, width) if codebook_dim else nn.Identity()
        self.up: nn.Module = nn.Linear(width, dim) if codebook_dim else nn.Identity()
        self.book = Codebook(
            codebook_size,
            width,
            metric=metric,
            learning=learning,
            decay=decay,
            revive_below=revive_below,
            seed=seed,
        )

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, 1, T]` of vectors `[B, D, T]`."""
        self.resolve(num_codebooks)
        return self.search(latents)[:, None]

    def search(self, latents: Tensor) -> Tensor:
        """Return codes `[B, T]` of vectors `[B, D, T]`."""
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            rows = self.down(latents.float().transpose(1, 2))
            return self.book.search(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])

    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, 1, T]`."""
        self.check_codes(codes)
        return self.lookup(codes[:, 0])

    def lookup(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, T]` that are known to be in range."""
        vectors: Tensor = self.up(self.book.lookup(codes))
        return vectors.transpose(1, 2)

    def codebook(self, index: int) -> Tensor:
        """Return the codebook as vectors `[V, D]` in the space of the latents."""
        if index != 0:
            raise IndexError(f"this quantizer has one codebook, index 0; got {index}")
        table: Tensor = self.up(self.book.searchable())
        return table

    def initialise(self, latents: Tensor) -> None:
        """Set the codebook by k-means over vectors `[N, D]`."""
        with torch.no_grad():
            rows = self.down(latents)
            self.book.initialise(F.normalize(rows, dim=-1) if self.book.metric == "cosine" else rows)

    def forward(
        self,
        latents: Tensor,
        *,
        num_codebooks: Tensor | int | None = None,
        weights: Tensor | None = None,
        anchor: Tensor | None = None,
    ) -> QuantizerOutput:
        """Quantize `[B, D, T]`; in train mode the codebook learns.

        Args:
            latents: vectors `[B, D, T]`.
            num_codebooks: 1 or None; kept for the contract.
            weights: 0 or 1 per item `[B]`; items at 0 add nothing to the loss and teach the codebook nothing.
            anchor: what the commitment loss pulls at, `[B, D, T]`, equal to `latents` in value; None for `latents`.
        """
        self.require_depth(num_codebooks)
        rows = self.down(latents.transpose(1, 2)).float()
        if self.training and not bool(self.book.ready):
            self.book.initialise(rows.detach().flatten(0, 1))
        codes = self.book.search(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
        words = self.book.lookup(codes)
        source = rows if anchor is None else self.down(anchor.transpose(1, 2)).float()
        target = F.normalize(source, dim=-1) if self.book.metric == "cosine" else source
        loss = self._loss(target, words, weights)
        # Straight through: the value of the codewords to the last bit, the gradient of the rows.
        through = words.detach() + (rows - rows.detach())
        stats = {}
        if self.training:
            teach = slice(None) if weights is None else weights.bool()
            flat = rows.detach()[teach].flatten(0, 1)
            revived = self.book.update(flat, codes[teach].flatten())
            stats = {"revived": torch.tensor(float(revived)), "perplexity": perplexity(codes, self.book.size)}
        quantized: Tensor = self.up(through)
        return QuantizerOutput(quantized.transpose(1, 2), codes[:, None], loss, stats)

    def _loss(self, target: Tensor, words: Tensor, weights: Tensor | None) -> Tensor:
        """Commitment of the encoder to the codebook and, under gradient learning, of the codebook to the encoder."""
        per_item = self.commitment * (target - words.detach()).square().mean((1, 2))
        if self.book.learning == "gradient":
            per_item = per_item + (words - target.detach()).square().mean((1, 2))
        return per_item.mean() if weights is None else (per_item * weights).mean()


def perplexity(codes: Tensor, size: int) -> Tensor:
    """Return the exponential of the entropy of codes `[...]`: how many codes are in effective use, 1 to `size`.

    Example:
        >>> perplexity(torch.tensor([0, 1, 2, 3]), 1024)
        tensor(4.)
    """
    share = torch.bincount(codes.flatten(), minlength=size).float()
    share = share / share.sum()
    return torch.exp(-(share * share.clamp_min(1e-12).log()).sum()).round(decimals=4)
