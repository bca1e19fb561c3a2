"""SimVQ: a frozen codebook seen through a learned linear map (Zhu et al. 2024, arXiv:2411.02038, section 4).

A codeword that no vector chooses gets no gradient, falls behind, and is never chosen again. Here the codewords are the
images of fixed random vectors under one map, so that whatever a few chosen ones learn moves all of them along.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.quantizers.gradients import Gradient
from tokaudio.quantizers.processes import from_first, joined_finite
from tokaudio.quantizers.table import CodewordTable
from tokaudio.quantizers.vector import VectorQuantizer


class MappedCodebook(CodewordTable):
    """V frozen random vectors behind a learned linear map.

    Attributes:
        frozen: standard normal vectors `[V, D]`, which never change.
        map: the linear layer that makes codewords of them.

    Example:
        >>> book = MappedCodebook(16, 4)
        >>> book.words().shape, [name for name, _ in book.named_parameters()]
        (torch.Size([16, 4]), ['map.weight', 'map.bias'])
    """

    frozen: Tensor

    def __init__(self, size: int, dim: int, *, seed: int = 0) -> None:
        """Make a codebook of `size` codewords of width `dim`, from a seed."""
        super().__init__(size, dim, metric="euclidean", learning="gradient")
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("frozen", torch.randn(size, dim, generator=generator))
        self.map = nn.Linear(dim, dim)
        nn.init.normal_(self.map.weight, std=dim**-0.5, generator=generator)
        nn.init.zeros_(self.map.bias)

    def words(self) -> Tensor:
        """Return the codewords `[V, D]`: the frozen vectors through the map."""
        frozen = self.frozen.float()
        with torch.autocast(frozen.device.type, enabled=False):
            return F.linear(frozen, self.map.weight.float(), self.map.bias.float())

    def sources(self) -> tuple[Tensor, ...]:
        """Return the frozen vectors and the map."""
        return self.frozen, self.map.weight, self.map.bias

    def find(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Search `[N, D]` for training: indices `[N]`, codewords `[N, D]` with a graph, and the vectors."""
        words = self.words()
        self._keep(words.detach())
        index = self.search(vectors.detach())
        return index, F.embedding(index, words), vectors

    @torch.no_grad()
    def initialise(self, vectors: Tensor) -> None:
        """Set the map so that the codewords have the mean and the covariance of vectors `[N, D]`.

        Vectors whose squared length is not finite in float32 are left out; with no other vectors nothing is set. With
        several processes, all of them have to call this, each with vectors of its own.
        """
        vectors = joined_finite(vectors.float())
        if len(vectors) == 0:
            return
        mean = vectors.double().mean(0)
        spread = vectors.double() - mean
        values, axes = torch.linalg.eigh(spread.T @ spread / len(vectors))
        root = (axes * values.clamp_min(1e-12).sqrt()) @ axes.T
        self.map.weight.copy_(from_first(root.float()))
        self.map.bias.copy_(from_first(mean.float()))
        self.ready.fill_(True)

    def learn(self, compared: Tensor, index: Tensor) -> int:
        """Do nothing: the map learns by its gradient, and what is frozen neither moves nor dies."""
        return 0

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)  # type: ignore[arg-type]
        # A loaded map is what training goes on from.
        if f"{prefix}frozen" in state_dict:
            self.ready.fill_(True)


class SimVectorQuantizer(VectorQuantizer):
    """One codebook that cannot die code by code: frozen random vectors behind a learned linear map.

    The map is learned by gradient, so that its parameters belong into the optimizer. The first training batch (or
    `initialise`) gives the codewords the mean and covariance of the latents.

    Example:
        >>> [name for name, _ in SimVectorQuantizer(8, 32).named_parameters()]
        ['book.map.weight', 'book.map.bias']
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        *,
        codebook_dim: int | None = None,
        commitment: float = 0.25,
        gradient: Gradient = "straight-through",
        seed: int = 0,
    ) -> None:
        """Make the quantizer; the seed is that of the frozen vectors.

        The other options are those of [`VectorQuantizer`][tokaudio.quantizers.vector.VectorQuantizer].

        Raises:
            ValueError: if there is no such gradient.
        """
        super().__init__(
            dim, codebook_size, codebook_dim=codebook_dim, commitment=commitment, gradient=gradient, learning="gradient"
        )
        self.book = MappedCodebook(codebook_size, codebook_dim or dim, seed=seed)
