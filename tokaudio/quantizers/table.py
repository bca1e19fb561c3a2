"""A table of codewords that is searched and looked up, however it is learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.quantizers.search import half_squares, nearest

Metric = Literal["euclidean", "cosine"]
Learning = Literal["ema", "gradient"]


class CodewordTable(nn.Module, ABC):
    """V codewords of width D that a search can be made in.

    Attributes:
        size: V.
        dim: D.
        metric: `"euclidean"`, or `"cosine"` to compare directions only.
        learning: `"ema"` where averages move the codewords, `"gradient"` where an optimizer does.
        ready: whether the codewords were set from data or loaded.
    """

    ready: Tensor

    def __init__(self, size: int, dim: int, *, metric: Metric, learning: Learning) -> None:
        super().__init__()
        self.size, self.dim, self.metric, self.learning = size, dim, metric, learning
        # Only in memory: a loaded table is ready anyway.
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool), persistent=False)
        # Versions and addresses of the sources; the sources; the table as it is compared, and half its squared lengths.
        self._kept: tuple[tuple[tuple[int, int], ...], tuple[Tensor, ...], Tensor, Tensor] | None = None

    @abstractmethod
    def words(self) -> Tensor:
        """Return the codewords `[V, D]` at their own lengths."""

    @abstractmethod
    def sources(self) -> tuple[Tensor, ...]:
        """Return the tensors that the codewords are made of; while they stand, a prepared search does."""

    @abstractmethod
    def initialise(self, vectors: Tensor) -> None:
        """Set the codewords from vectors `[N, D]`."""

    @abstractmethod
    def learn(self, compared: Tensor, index: Tensor) -> int:
        """Learn from vectors `[N, D]` as `find` gave them, and their codes `[N]`; return how many were revived."""

    def searchable(self) -> Tensor:
        """Return the table as it is compared and looked up: unit rows under the cosine metric."""
        return self.compared(self.words())

    def compared(self, vectors: Tensor) -> Tensor:
        """Return vectors `[..., D]` as they are compared: in float32, and as unit vectors under the cosine metric."""
        return F.normalize(vectors.float(), dim=-1) if self.metric == "cosine" else vectors.float()

    def search(self, vectors: Tensor) -> Tensor:
        """Return the index `[N]` of the nearest codeword of each vector `[N, D]`; ties take the lowest index."""
        with torch.no_grad(), torch.autocast(vectors.device.type, enabled=False):
            table, halves = self._prepared()
            return nearest(self.compared(vectors), table, halves=halves)

    def find(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Search for training, where the graph of the vectors matters, and of codewords that learn by gradient.

        Args:
            vectors: `[N, D]`.

        Returns:
            The index `[N]` of the nearest codeword of each vector, the codewords `[N, D]`, and the vectors as they
            were compared `[N, D]`.
        """
        compared = self.compared(vectors)
        table, halves = self._prepared()
        with torch.no_grad():
            index = nearest(compared.detach(), table, halves=halves)
        words = self.lookup(index) if self.learning == "gradient" else F.embedding(index, table)
        return index, words, compared

    def lookup(self, index: Tensor) -> Tensor:
        """Return the codewords `[..., D]` of indices `[...]`."""
        return F.embedding(index, self.searchable())

    def _prepared(self) -> tuple[Tensor, Tensor]:
        """Return the table as it is compared, in float32, and half its rows' squared lengths, kept while it stands."""
        if self._kept is None or self._kept[0] != self._key() or not self._kept[0]:
            self._keep(self.searchable().detach())
        assert self._kept is not None
        return self._kept[2:]

    def _keep(self, table: Tensor) -> None:
        """Keep what a search needs of a table that was made of the sources as they are now."""
        # With the memory in hand, no other tensors can take their addresses.
        held = tuple(source.detach() for source in self.sources())
        self._kept = self._key(), held, table.float(), half_squares(table.float())

    def _key(self) -> tuple[tuple[int, int], ...]:
        """Return what changes when a source does; nothing where that cannot be known."""
        sources = self.sources()
        # A tensor made in inference mode does not count its changes.
        if any(source.is_inference() for source in sources):
            return ()
        return tuple((source._version, source.data_ptr()) for source in sources)
