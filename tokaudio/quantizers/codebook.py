"""The mechanism behind vector quantizers: a table that is searched, initialised by k-means, moved, and kept alive.

Learning follows van den Oord et al. 2017 (arXiv:1711.00937, appendix A.1) for moving averages; k-means initialisation
and revival of dead codes follow SoundStream (Zeghidour et al. 2021, arXiv:2107.03312, section III-C). A revived code
also gets fresh statistics: left alone, the stale averages would pull it back to where it died in the very next update.

With several processes (`torch.distributed`) they keep one codebook: counts and sums are added up over all of them, and
k-means and revival draw from the vectors of all of them, with one seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.quantizers.processes import add_up, draw_joined, from_first, joined_finite, process_count
from tokaudio.quantizers.search import nearest
from tokaudio.quantizers.table import CodewordTable, Learning, Metric

__all__ = ["Codebook", "Learning", "Metric", "kmeans"]


class Codebook(CodewordTable):
    """A table of V codewords of width D.

    Attributes:
        table: the codewords `[V, D]`; a buffer under moving averages, a parameter under gradient learning.
        counts: moving average of how often each code is used per update `[V]`.
        sums: moving average of the sum of the vectors assigned to each code `[V, D]`.
        ready: whether the table was initialised from data or loaded.

    Example:
        >>> book = Codebook(16, 4)
        >>> book.initialise(torch.randn(200, 4, generator=torch.Generator().manual_seed(0)))
        >>> book.search(book.table[3:5]).tolist()
        [3, 4]
    """

    table: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(
        self,
        size: int,
        dim: int,
        *,
        metric: Metric = "euclidean",
        learning: Learning = "ema",
        decay: float = 0.99,
        revive_below: float = 0.02,
        seed: int = 0,
    ) -> None:
        """Make an empty codebook.

        Args:
            size: V.
            dim: D.
            metric: `"euclidean"`, or `"cosine"` to compare directions only.
            learning: `"ema"` for moving averages, `"gradient"` to leave the table to an optimizer.
            decay: of the moving averages, per update.
            revive_below: a code whose average count per update falls below this takes over a random vector.
            seed: of k-means and revival; the generator lives in the codebook, so that training can be repeated.
        """
        super().__init__(size, dim, metric=metric, learning=learning)
        self.decay, self.revive_below, self.seed = decay, revive_below, seed
        table = torch.empty(size, dim)
        nn.init.normal_(table, std=dim**-0.5, generator=torch.Generator().manual_seed(seed))
        if learning == "gradient":
            self.table = nn.Parameter(table)
        else:
            self.register_buffer("table", table)
        self.register_buffer("counts", torch.ones(size), persistent=False)
        self.register_buffer("sums", table.clone(), persistent=False)
        self.revivals = 0

    def _seeded(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed * 1_000_003 + self.revivals)

    def learning_state(self) -> dict[str, Tensor | int]:
        """Return copies of what training must keep besides the table to be resumed exactly."""
        kept = {name: getattr(self, name).clone() for name in ("counts", "sums", "ready")}
        return {**kept, "revivals": self.revivals}

    def load_learning_state(self, state: Mapping[str, Tensor | int]) -> None:
        """Restore what [`learning_state`][tokaudio.quantizers.codebook.Codebook.learning_state] returned."""
        for name in ("counts", "sums", "ready"):
            getattr(self, name).copy_(state[name])
        self.revivals = int(state["revivals"])

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        # A loaded table is what training goes on from: not to be set by k-means again, and with fresh statistics.
        super()._load_from_state_dict(state_dict, prefix, *rest)  # type: ignore[arg-type]
        if f"{prefix}table" in state_dict:
            self._restart()

    @torch.no_grad()
    def _restart(self) -> None:
        self.sums.copy_(self.table)
        self.counts.fill_(1.0)
        self.ready.fill_(True)

    def _apply(self, fn: Any, recurse: bool = True) -> Codebook:
        # Averages move by hundredths, which half precision cannot add up.
        super()._apply(fn, recurse)
        self.counts, self.sums = self.counts.float(), self.sums.float()
        return self

    def words(self) -> Tensor:
        """Return the codewords `[V, D]` at their own lengths."""
        return self.table

    def sources(self) -> tuple[Tensor, ...]:
        """Return the table."""
        return (self.table,)

    def lookup(self, index: Tensor) -> Tensor:
        """Return the codewords `[..., D]` of indices `[...]`."""
        words = F.embedding(index, self.table)
        # Rows are normalised after they are taken: the graph must not hold the table, which revival writes into.
        return self.compared(words).to(words.dtype) if self.metric == "cosine" else words

    @torch.no_grad()
    def initialise(self, vectors: Tensor, *, iterations: int = 10) -> None:
        """Set the table by k-means over vectors `[N, D]`; with fewer vectors than codes, jittered copies fill up.

        Vectors whose squared length is not finite in float32 are left out; with no other vectors nothing is set. With
        several processes, all of them have to call this, each with vectors of its own.
        """
        vectors = joined_finite(vectors.float())
        if len(vectors) == 0:
            return
        self.table.copy_(from_first(kmeans(vectors, self.size, iterations=iterations, generator=self._seeded())))
        self.revivals += 1
        self._restart()

    def update(self, vectors: Tensor, index: Tensor) -> int:
        """Move the averages towards the vectors `[N, D]` assigned to codes `[N]`, then revive dead codes.

        Under gradient learning only counts and revival apply. Batches that hold a non-finite number, or numbers whose
        squares add up to one, are left out, everywhere if it is the part of one process.

        Returns:
            The number of codes revived.
        """
        return self.learn(self.compared(vectors), index)

    @torch.no_grad()
    def learn(self, compared: Tensor, index: Tensor) -> int:
        """Do what `update` does with vectors `[N, D]` as they were compared."""
        vectors = compared
        flat = vectors.flatten()
        usable = torch.isfinite(flat.dot(flat))
        if process_count() == 1 and (len(vectors) == 0 or not bool(usable)):
            return 0
        counts = torch.bincount(index, minlength=self.size).to(vectors.dtype)
        sums = sums_by_code(vectors, index, self.size) if self.learning == "ema" else vectors.new_zeros(0)
        if process_count() > 1:
            said = add_up(torch.cat([counts, sums.flatten(), (~usable).to(vectors.dtype)[None]]))
            counts, sums = said[: self.size], said[self.size : -1].view(sums.shape)
            if bool(said[-1] > 0) or not bool(counts.any()):
                return 0
        self.counts.lerp_(counts, 1 - self.decay)
        if self.learning == "ema":
            self.sums.lerp_(sums, 1 - self.decay)
            counts = self.counts[:, None]
            self.table.copy_(torch.where(counts > 1e-6, self.sums / counts, self.table))
        return self._revive(vectors)

    def _revive(self, vectors: Tensor) -> int:
        dead = (self.counts < self.revive_below).nonzero().squeeze(1)
        if len(dead) == 0:
            return 0
        drawn = draw_joined(vectors, len(dead), self._seeded())
        self.revivals += 1
        self.table[dead] = drawn.to(self.table.dtype)
        # Fresh statistics: one average use, centred on the new place.
        share = max(10 * self.revive_below, 0.1)
        self.counts[dead] = share
        self.sums[dead] = drawn * share
        return len(dead)


def sums_by_code(vectors: Tensor, index: Tensor, size: int) -> Tensor:
    """Return the sum `[V, D]` of the vectors `[N, D]` of each code, by their codes `[N]`.

    Example:
        >>> sums_by_code(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1, 0, 1]), 3).flatten()
        tensor([2., 5., 0.])
    """
    return vectors.new_zeros(size, vectors.shape[1]).index_add_(0, index, vectors)


def kmeans(vectors: Tensor, size: int, *, iterations: int, generator: torch.Generator) -> Tensor:
    """Return `size` centroids `[V, D]` of vectors `[N, D]` by Lloyd's algorithm from a random start.

    Empty clusters restart from random vectors. With fewer vectors than clusters, the rest are jittered copies. Of equal
    vectors, such as the zeros that a level before left, one is drawn: equal centroids would be dead from the start.

    Example:
        >>> points = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
        >>> kmeans(points, 2, iterations=5, generator=torch.Generator().manual_seed(1)).sort(0).values.squeeze()
        tensor([0.0500, 5.0500])
    """
    different = _different(vectors)
    if len(different) < size:
        copies = different[torch.randint(0, len(different), (size - len(different),), generator=generator)]
        spread = different.std(0, unbiased=False).clamp_min(1e-3)
        jitter = torch.randn(copies.shape, generator=generator).to(vectors) * spread * 0.1
        return torch.cat([different, copies + jitter])
    centroids = different[torch.randperm(len(different), generator=generator)[:size]].clone()
    for _ in range(iterations):
        index = torch.cat([nearest(part, centroids) for part in vectors.split(8192)])
        counts = torch.bincount(index, minlength=size).to(vectors.dtype)
        sums = torch.zeros_like(centroids).index_add_(0, index, vectors)
        empty = counts == 0
        centroids = sums / counts.clamp_min(1.0)[:, None]
        if bool(empty.any()):
            pick = torch.randint(0, len(different), (int(empty.sum()),), generator=generator)
            centroids[empty] = different[pick]
    return centroids


def _different(vectors: Tensor) -> Tensor:
    """Return vectors `[N, D]` without repetitions, in their order."""
    rows, place = vectors.unique(dim=0, return_inverse=True)
    if len(rows) == len(vectors):
        return vectors
    first = place.new_full((len(rows),), len(vectors))
    first.scatter_reduce_(0, place, torch.arange(len(vectors), device=place.device), "amin")
    return vectors[first.sort().values]
