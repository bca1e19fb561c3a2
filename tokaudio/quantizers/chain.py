"""Residual quantization with any quantizer at its levels: each quantizes what the ones before it left.

Juang and Gray 1982 (doi:10.1109/ICASSP.1982.1171604); SoundStream (arXiv:2107.03312, section III-C) for quantizer
dropout. With one codebook for all levels, each level may work on a smaller scale of it.

With the rotation trick (arXiv:2410.06424) there is one rotation for the whole chain, from the latents to the sum of all
codewords: a rotation per level would stretch gradients by the quotient of lengths again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.gradients import pass_gradient
from tokaudio.quantizers.inner import make_inner, quantizer_of, renumbered
from tokaudio.quantizers.single import SingleQuantizer


class ResidualQuantizer(Quantizer):
    """K quantizers of one codebook each, in a row.

    The first k codes do not depend on the later ones, so any prefix of the codebooks is a valid, coarser encoding.

    Attributes:
        levels: the K quantizers; a single one where all levels share it.
        shrink: see the constructor.
        dropout: see the constructor.

    Example:
        >>> quantizer = ResidualQuantizer(8, num_codebooks=4, inner="lfq", inner_options={"bits": 6}, shrink=0.5)
        >>> latents = torch.randn(2, 8, 5)
        >>> codes = quantizer.encode(latents)
        >>> codes.shape, bool((codes[:, :2] == quantizer.encode(latents, num_codebooks=2)).all())
        (torch.Size([2, 4, 5]), True)
    """

    def __init__(
        self,
        dim: int,
        *,
        num_codebooks: int,
        inner: str = "vq",
        inner_options: Mapping[str, Any] | None = None,
        shared: bool = False,
        shrink: float = 1.0,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Make K equal levels.

        Args:
            dim: D, width of the latents.
            num_codebooks: K.
            inner: name of the levels' quantizer; it must have one codebook.
            inner_options: arguments of its constructor besides `dim`.
            shared: whether all levels are one quantizer, with one codebook to learn.
            shrink: level k (from 0) works on what is left divided by `shrink ** k`, and its vectors are multiplied by
                it: for quantizers of a fixed size (LFQ, FSQ, BSQ), or shared ones, which could not go finer.
            dropout: share of training items that use a random number of codebooks (quantizer dropout).
            seed: of the levels, where they take one.

        Raises:
            ValueError: if a number is out of range, or the inner quantizer has several codebooks.
        """
        if num_codebooks < 1 or not 0 < shrink <= 1:
            raise ValueError(f"num_codebooks must be from 1 and shrink in (0, 1], got {num_codebooks} and {shrink}")
        super().__init__()
        levels = [
            make_inner(inner, dim, inner_options, seed=seed * 1009 + level)
            for level in range(1 if shared else num_codebooks)
        ]
        if levels[0].num_codebooks != 1:
            problem = f"{type(levels[0]).__name__} has {levels[0].num_codebooks}"
            raise ValueError(f"a level must be a quantizer with one codebook; {problem}")
        self.dim, self.codebook_sizes = dim, levels[0].codebook_sizes * num_codebooks
        self.shrink, self.dropout = shrink, dropout
        self.levels = nn.ModuleList(levels)

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`."""
        depth, frames = self.resolve(num_codebooks), latents.shape[2]
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            residual, codes = latents.float(), []
            for index in range(depth):
                spans = self._search(index, self._narrow(residual, index))
                codes.append(self._spread(spans, index, frames))
                if index + 1 < depth:
                    residual = residual - self._spread(self._lookup(index, spans), index, frames)
            return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sum `[B, D, T]` of the codewords of codes `[B, k, T]`."""
        self.check_codes(codes)
        total = self._lookup(0, codes[:, 0])
        for index in range(1, codes.shape[1]):
            total = total + self._lookup(index, codes[:, index])
        return total

    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, D]`, at the size that they have at that level."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        table = quantizer_of(self.levels, index).codebook(0)
        return table if self.shrink == 1 else table * self.shrink**index

    def initialise(self, latents: Tensor) -> None:
        """Set every codebook from what the ones before it leave of vectors `[N, D]`; a shared one from the vectors."""
        residual = latents.detach().T[None]
        for index in range(self.num_codebooks):
            level, narrow = quantizer_of(self.levels, index), self._narrow(residual, index)
            level.initialise(narrow[0].T)
            if len(self.levels) == 1:
                return
            words = self._lookup(index, self._search(index, narrow)).detach()
            residual = residual - self._spread(words, index, residual.shape[2])

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; in train mode the codebooks learn, and some items use fewer of them."""
        depth = self.draw_depth(len(latents), num_codebooks, dropout=self.dropout).to(latents.device)
        # As in `encode`: what half precision leaves of a residual is not what the next level has to quantize.
        latents, frames = latents.float(), latents.shape[2]
        residual, total = latents.detach() if self._rotates else latents, torch.zeros_like(latents)
        codes, losses = [], []
        stats: dict[str, Tensor] = {}
        for index in range(self.num_codebooks):
            used = (depth > index).to(latents.dtype)
            out = self._quantize(index, residual, latents, used)
            vectors = self._spread(out.quantized, index, frames)
            total = total + vectors * used[:, None, None]
            residual = residual - vectors
            codes.append(self._spread(out.codes, index, frames))
            losses.append(out.loss)
            stats |= renumbered(out.stats, lambda _, index=index: index)  # type: ignore[misc]
        if self._rotates:
            total = pass_gradient(latents.transpose(1, 2), total.transpose(1, 2), "rotation").transpose(1, 2)
        return QuantizerOutput(total, torch.cat(codes, dim=1), torch.stack(losses).mean(), stats)

    @property
    def _rotates(self) -> bool:
        """Whether one rotation is made for the whole chain; between projections, levels make their own."""
        level = self.levels[0]
        return getattr(level, "gradient", None) == "rotation" and not getattr(level, "factorised", False)

    def _quantize(self, index: int, residual: Tensor, latents: Tensor, used: Tensor) -> QuantizerOutput:
        """Return what a level makes of the residual `[B, D, T]`, at the level's rate, learning from items in use."""
        level, rows = quantizer_of(self.levels, index), self._narrow(residual, index)
        if isinstance(level, SingleQuantizer):
            # The residual passes through every straight-through step, so that the gradients of all levels add up to
            # one identity and not to K of them; commitment still has to reach the latents from each level.
            own = bool(getattr(level, "factorised", False))
            anchor = None if own else self._narrow(latents - (latents - residual).detach(), index)
            out: QuantizerOutput = level(rows, weights=used, anchor=anchor)
        elif bool(used.all()):
            out = level(rows)
        else:
            out = _some(level, rows, used.bool())
        if self.shrink == 1:
            return out
        return QuantizerOutput(out.quantized * self.shrink**index, out.codes, out.loss, out.stats)

    def _search(self, index: int, rows: Tensor) -> Tensor:
        """Return the codes `[B, T]` of a level for what `_narrow` gave."""
        level = quantizer_of(self.levels, index)
        return level.search(rows) if isinstance(level, SingleQuantizer) else level.encode(rows)[:, 0]

    def _lookup(self, index: int, codes: Tensor) -> Tensor:
        """Return the vectors `[B, D, T]` of a level's codes `[B, T]`, which are in range."""
        level = quantizer_of(self.levels, index)
        words = level.lookup(codes) if isinstance(level, SingleQuantizer) else level.decode(codes[:, None])
        return words if self.shrink == 1 else words * self.shrink**index

    def _narrow(self, rows: Tensor, index: int) -> Tensor:
        """Return what level `index` quantizes of `[B, D, T]`."""
        return rows if self.shrink == 1 else rows / self.shrink**index

    def _spread(self, spans: Tensor, index: int, frames: int) -> Tensor:
        """Return what level `index` gave, `[..., N]`, at the rate of the latents, `[..., frames]`."""
        return spans


def _some(level: Quantizer, rows: Tensor, used: Tensor) -> QuantizerOutput:
    """Quantize `[B, D, T]`, where only items in use `[B]` add to the loss and teach the level."""
    codes = level.encode(rows)
    vectors = level.decode(codes).detach()
    if not bool(used.any()):
        return QuantizerOutput(vectors, codes, rows.new_zeros(()))
    out: QuantizerOutput = level(rows[used])
    place = used.nonzero().squeeze(1)
    quantized = vectors.to(out.quantized.dtype).index_copy(0, place, out.quantized)
    codes = codes.index_copy(0, place, out.codes)
    return QuantizerOutput(quantized, codes, out.loss * used.float().mean(), out.stats)
