"""Quantizers with one codebook: what is left to them is a search, a look-up and a training step."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from tokaudio.quantizers.base import Quantizer, QuantizerOutput


class SingleQuantizer(Quantizer):
    """One codebook, which can be a level of a residual chain.

    Example:
        >>> from tokaudio.quantizers import LookupFreeQuantizer, VectorQuantizer
        >>> issubclass(VectorQuantizer, SingleQuantizer) and issubclass(LookupFreeQuantizer, SingleQuantizer)
        True
    """

    @abstractmethod
    def search(self, latents: Tensor) -> Tensor:
        """Return codes `[B, T]` of vectors `[B, D, T]`, without a graph."""

    @abstractmethod
    def lookup(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, T]` that are known to be in range."""

    @abstractmethod
    def train_step(self, latents: Tensor, *, weights: Tensor | None, anchor: Tensor | None) -> QuantizerOutput:
        """Do what `forward` does, with autocast off."""

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, 1, T]` of vectors `[B, D, T]`."""
        self.resolve(num_codebooks)
        return self.search(latents)[:, None]

    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, 1, T]`."""
        self.check_codes(codes)
        return self.lookup(codes[:, 0])

    def codebook(self, index: int) -> Tensor:
        """Return the codebook as vectors `[V, D]` in the space of the latents."""
        if index != 0:
            raise IndexError(f"this quantizer has one codebook, index 0; got {index}")
        return self._table()

    @abstractmethod
    def _table(self) -> Tensor:
        """Return what `codebook` does."""

    def forward(
        self,
        latents: Tensor,
        *,
        num_codebooks: Tensor | int | None = None,
        weights: Tensor | None = None,
        anchor: Tensor | None = None,
    ) -> QuantizerOutput:
        """Quantize `[B, D, T]`; in train mode what is learned learns.

        Args:
            latents: vectors `[B, D, T]`.
            num_codebooks: 1 or None; kept for the contract.
            weights: 0 or 1 per item `[B]`; items at 0 add nothing to the loss and teach the codebook nothing.
            anchor: what the loss pulls at, `[B, D, T]`, equal to `latents` in value; None for `latents`.
        """
        self.require_depth(num_codebooks)
        with torch.autocast(latents.device.type, enabled=False):
            return self.train_step(latents, weights=weights, anchor=anchor)
