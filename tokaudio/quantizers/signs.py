"""The mechanism behind binary codebooks: a code is the signs of a vector, and entropies keep all codes in use."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial

import torch
from torch import Tensor

from tokaudio.quantizers.base import QuantizerOutput
from tokaudio.quantizers.entropy import bit_entropy, codebook_entropy, own_mean
from tokaudio.quantizers.processes import joined_mean
from tokaudio.quantizers.projection import projection
from tokaudio.quantizers.single import SingleQuantizer

_MOST_BITS = 30


class SignQuantizer(SingleQuantizer):
    """One implicit codebook of the `2 ** bits` corners of a cube around zero; only projections are learned.

    A code is a binary number whose first dimension is the highest bit; a bit is 1 where the vector is above zero.

    Attributes:
        bits: of a code.
        factorised: whether the signs are taken in a space of another width than the latents'.
    """

    _places: Tensor

    def __init__(
        self,
        dim: int,
        bits: int | None = None,
        *,
        commitment: float = 0.25,
        entropy_weight: float = 0.1,
        diversity: float = 1.0,
        inverse_temperature: float = 1.0,
        entropy_group: int = 12,
    ) -> None:
        """Make the quantizer.

        Args:
            dim: D, width of the latents; projected to and from `bits` where it differs.
            bits: of a code, 1 to 30; None for D.
            commitment: weight of the squared distance to the corner.
            entropy_weight: weight of the entropy loss.
            diversity: weight of the entropy of all codes together, beside that of each vector's own.
            inverse_temperature: b, how sharply soft codes tell distances.
            entropy_group: bits whose joint distribution the entropy of all codes is taken of: exact for codes of up to
                so many bits, an upper bound for wider ones. It costs about `N * 2 ** (group / 2)` numbers for N
                vectors, and `2 ** group` more.

        Raises:
            ValueError: if a number is out of range.
        """
        super().__init__()
        name, bits = ("dim", dim) if bits is None else ("bits", bits)
        if not 1 <= bits <= _MOST_BITS:
            raise ValueError(f"{name} must be from 1 to {_MOST_BITS}, got {bits}")
        if entropy_group < 1:
            raise ValueError(f"entropy_group must be at least 1, got {entropy_group}")
        self.dim, self.bits, self.codebook_sizes = dim, bits, (2**bits,)
        self.commitment, self.entropy_weight, self.diversity = commitment, entropy_weight, diversity
        self.inverse_temperature, self.entropy_group = inverse_temperature, entropy_group
        self.down, self.up = projection(dim, bits), projection(bits, dim)
        self.register_buffer("_places", 2 ** torch.arange(bits - 1, -1, -1), persistent=False)

    @property
    def factorised(self) -> bool:
        """Whether there are projections."""
        return self.bits != self.dim

    @property
    @abstractmethod
    def corner(self) -> float:
        """Coordinate of the corners, each dimension of which is `corner` or `-corner`."""

    @abstractmethod
    def bound(self, rows: Tensor) -> Tensor:
        """Return rows `[..., bits]` as they are compared with the corners; signs stay."""

    def search(self, latents: Tensor) -> Tensor:
        """Return codes `[B, T]` of vectors `[B, D, T]`."""
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            return self._codes(self.down(latents.transpose(1, 2)))

    def lookup(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, T]` that are known to be in range."""
        vectors: Tensor = self.up(self._corners(codes))
        return vectors.transpose(1, 2)

    def _table(self) -> Tensor:
        table: Tensor = self.up(self._corners(torch.arange(self.codebook_sizes[0], device=self._places.device)))
        return table

    def train_step(self, latents: Tensor, *, weights: Tensor | None, anchor: Tensor | None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through the signs."""
        rows = self._compared(latents)
        codes = self._codes(rows)
        corners = self._corners(codes)
        # Straight through: the corner's value to the last bit, the vector's gradient.
        quantized: Tensor = self.up(corners + (rows - rows.detach()))
        target = rows if anchor is None else self._compared(anchor)
        loss, stats = self._loss(target, corners, weights)
        if self.training:
            shares = codes.unique(return_counts=True)[1].float() / max(codes.numel(), 1)
            stats["perplexity"] = torch.exp(-(shares * shares.log()).sum())
        return QuantizerOutput(quantized.transpose(1, 2), codes[:, None], loss, stats)

    def _loss(self, rows: Tensor, corners: Tensor, weights: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of rows `[B, T, bits]`, and its entropies in bits."""
        per_item = (rows - corners).square().mean((1, 2))
        loss = self.commitment * own_mean((per_item if weights is None else per_item * weights).sum(), len(per_item))
        if not self.entropy_weight:
            return loss, {}
        flat = (rows if weights is None else rows[weights.bool()]).flatten(0, 1)
        # exp(-b |z - c|^2) over corners c = +-corner is a product of sigmoid(+-4 b corner z) over dimensions.
        logits = 4 * self.inverse_temperature * self.corner * flat
        # What is validated is no part of a training step, which all processes take together.
        mean = partial(joined_mean, batch=rows.shape[:2].numel()) if self.training else own_mean
        sure = bit_entropy(logits, mean=mean)
        spread = codebook_entropy(logits, group=self.entropy_group, mean=mean)
        loss = loss + self.entropy_weight * (sure - self.diversity * spread)
        nats = torch.tensor(2.0).log().item()
        return loss, {"code_entropy": sure.detach() / nats, "codebook_entropy": spread.detach() / nats}

    def _compared(self, latents: Tensor) -> Tensor:
        rows: Tensor = self.down(latents.transpose(1, 2))
        return self.bound(rows.float())

    def _codes(self, rows: Tensor) -> Tensor:
        """Return codes `[...]` of rows `[..., bits]`."""
        return ((rows > 0) * self._places).sum(-1)

    def _corners(self, codes: Tensor) -> Tensor:
        """Return corners `[..., bits]` in float32 of codes `[...]`."""
        ones = codes[..., None].div(self._places, rounding_mode="floor") % 2
        return (ones.float() * 2 - 1) * self.corner
