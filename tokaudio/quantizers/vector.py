"""Vector quantization with one codebook: VQ-VAE (arXiv:1711.00937), also factorised and cosine (arXiv:2306.06546)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokaudio.quantizers.base import QuantizerOutput
from tokaudio.quantizers.codebook import Codebook
from tokaudio.quantizers.gradients import Gradient, pass_gradient, pull_together, require_gradient
from tokaudio.quantizers.projection import Projection
from tokaudio.quantizers.single import SingleQuantizer
from tokaudio.quantizers.table import CodewordTable, Learning, Metric


class VectorQuantizer(SingleQuantizer):
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
        gradient: Gradient = "straight-through",
        seed: int = 0,
    ) -> None:
        """Make the quantizer; see [`Codebook`][tokaudio.quantizers.codebook.Codebook] for what it passes on.

        Args:
            dim: D, width of the latents.
            codebook_size: V.
            codebook_dim: width of the search space; None to search in the latents' own space.
            metric: `"euclidean"` or `"cosine"`.
            learning: `"ema"` or `"gradient"`.
            commitment: weight of the commitment loss.
            decay: of the moving averages.
            revive_below: average count per update under which a code is revived.
            gradient: how gradients pass, `"straight-through"` or `"rotation"`; see
                [`gradients`][tokaudio.quantizers.gradients].
            seed: of k-means and revival.

        Raises:
            ValueError: if there is no such gradient.
        """
        super().__init__()
        require_gradient(gradient)
        self.dim, self.codebook_sizes, self.commitment = dim, (codebook_size,), commitment
        self.gradient: Gradient = gradient
        self.factorised = codebook_dim is not None
        width = codebook_dim or dim
        self.down: nn.Module = Projection(dim, width) if codebook_dim else nn.Identity()
        self.up: nn.Module = Projection(width, dim) if codebook_dim else nn.Identity()
        self.book: CodewordTable = Codebook(
            codebook_size,
            width,
            metric=metric,
            learning=learning,
            decay=decay,
            revive_below=revive_below,
            seed=seed,
        )

    def search(self, latents: Tensor) -> Tensor:
        """Return codes `[B, T]` of vectors `[B, D, T]`."""
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            rows = self._rows(latents)
            return self.book.search(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])

    def lookup(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, T]` that are known to be in range."""
        words = self.book.lookup(codes)
        return self._as_weights(self.up(words)).transpose(1, 2)

    def _table(self) -> Tensor:
        return self._as_weights(self.up(self.book.searchable()))

    def initialise(self, latents: Tensor) -> None:
        """Set the codebook by k-means over vectors `[N, D]`."""
        with torch.no_grad():
            self.book.initialise(self.book.compared(self.down(latents.float())))

    def train_step(self, latents: Tensor, *, weights: Tensor | None, anchor: Tensor | None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; in train mode the codebook learns."""
        rows = self._rows(latents)
        if self.training and not bool(self.book.ready):
            self.book.initialise(rows.detach().flatten(0, 1))
        found = self.book.find(rows.flatten(0, 1))
        codes, words, compared = (part.unflatten(0, rows.shape[:2]) for part in found)
        source = compared if anchor is None else self.book.compared(self._rows(anchor))
        learned = self.book.learning == "gradient"
        loss = pull_together(source, words, commitment=self.commitment, learned=learned, weights=weights)
        stats = self._learn(compared.detach(), codes, weights) if self.training else {}
        quantized = self._as_weights(self.up(pass_gradient(rows, words, self.gradient)))
        return QuantizerOutput(quantized.transpose(1, 2), codes[:, None], loss, stats)

    def _as_weights(self, vectors: Tensor) -> Tensor:
        """Return vectors in the type of the weights, which is that of a model around them."""
        return vectors.to(self.book.sources()[-1].dtype)

    def _rows(self, latents: Tensor) -> Tensor:
        """Return what is searched, `[B, T, d]` in float32, of vectors `[B, D, T]`."""
        rows: Tensor = self.down(latents.float().transpose(1, 2).contiguous())
        return rows

    def _learn(self, rows: Tensor, codes: Tensor, weights: Tensor | None) -> dict[str, Tensor]:
        """Teach the codebook what rows `[B, T, d]`, as they were compared, became; return figures."""
        taught = slice(None) if weights is None or bool(weights.all()) else weights.bool()
        revived = self.book.learn(rows[taught].flatten(0, 1), codes[taught].flatten())
        return {"revived": torch.tensor(float(revived)), "perplexity": perplexity(codes, self.book.size)}


def perplexity(codes: Tensor, size: int) -> Tensor:
    """Return the exponential of the entropy of codes `[...]`: how many codes are in effective use, 1 to `size`.

    Example:
        >>> perplexity(torch.tensor([0, 1, 2, 3]), 1024)
        tensor(4.)
    """
    share = torch.bincount(codes.flatten(), minlength=size).float()
    share = share / share.sum().clamp_min(1.0)
    return torch.exp(-(share * share.clamp_min(1e-12).log()).sum()).round(decimals=4)
