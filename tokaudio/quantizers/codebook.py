"""The mechanism behind vector quantizers: a table that is searched, initialised by k-means, moved, and kept alive.

Learning follows van den Oord et al. 2017 (arXiv:1711.00937, appendix A.1) for moving averages; k-means initialisation
and revival of dead codes follow SoundStream (Zeghidour et al. 2021, arXiv:2107.03312, section III-C). A revived code
also gets fresh statistics: left alone, the stale averages would pull it back to where it died in the very next update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.quantizers.search import half_squares, nearest

Metric = Literal["euclidean", "cosine"]
Learning = Literal["ema", "gradient"]


class Codebook(nn.Module):
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
    ready: Tensor

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
        super().__init__()
        self.size, self.dim, self.metric, self.learning = size, dim, metric, learning
        self.decay, self.revive_below, self.seed = decay, revive_below, seed
        table = torch.empty(size, dim)
        nn.init.normal_(table, std=dim**-0.5, generator=torch.Generator().manual_seed(seed))
        if learning == "gradient":
            self.table = nn.Parameter(table)
        else:
            self.register_buffer("table", table)
        self.register_buffer("counts", torch.ones(size), persistent=False)
        self.register_buffer("sums", table.clone(), persistent=False)
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool), persistent=False)
        self.revivals = 0
        # Version and address of the table; the table itself, as it is compared, and half its squared lengths.
        self._kept: tuple[int, int, Tensor, Tensor, Tensor] | None = None

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

    def searchable(self) -> Tensor:
        """Return the table as it is compared and looked up: unit rows under the cosine metric."""
        return F.normalize(self.table, dim=-1) if self.metric == "cosine" else self.table

    def search(self, vectors: Tensor) -> Tensor:
        """Return the index `[N]` of the nearest codeword of each vector `[N, D]`; ties take the lowest index."""
        with torch.no_grad(), torch.autocast(vectors.device.type, enabled=False):
            vectors = vectors.float()
            if self.metric == "cosine":
                vectors = F.normalize(vectors, dim=-1)
            table, halves = self._prepared()
            return nearest(vectors, table, halves=halves)

    def _prepared(self) -> tuple[Tensor, Tensor]:
        """Return the table as it is compared, and half its rows' squared lengths, kept for as long as it stands."""
        # A tensor made in inference mode does not count its changes.
        version = -1 if self.table.is_inference() else self.table._version
        kept = self._kept
        if kept is None or version < 0 or kept[:2] != (version, self.table.data_ptr()):
            table = self.searchable().detach()
            # With the memory in hand, no other table can take its address.
            kept = version, self.table.data_ptr(), self.table.detach(), table, half_squares(table)
            self._kept = kept
        return kept[3:]

    def lookup(self, index: Tensor) -> Tensor:
        """Return the codewords `[..., D]` of indices `[...]`."""
        words = F.embedding(index, self.table)
        # Rows are normalised after they are taken: the graph must not hold the table, which revival writes into.
        return F.normalize(words, dim=-1) if self.metric == "cosine" else words

    @torch.no_grad()
    def initialise(self, vectors: Tensor, *, iterations: int = 10) -> None:
        """Set the table by k-means over vectors `[N, D]`; with fewer vectors than codes, jittered copies fill up.

        Vectors whose squared length is not finite in float32 are left out; with no other vectors nothing is set.
        """
        vectors = vectors[torch.isfinite(vectors.square().sum(-1))]
        if len(vectors) == 0:
            return
        self.table.copy_(kmeans(vectors, self.size, iterations=iterations, generator=self._seeded()))
        self.revivals += 1
        self._restart()

    @torch.no_grad()
    def update(self, vectors: Tensor, index: Tensor) -> int:
        """Move the averages towards the vectors `[N, D]` assigned to codes `[N]`, then revive dead codes.

        Under gradient learning only counts and revival apply. Batches that hold a non-finite number, or numbers whose
        squares add up to one, are left out.

        Returns:
            The number of codes revived.
        """
        if len(vectors) == 0 or not bool(torch.isfinite(vectors.square().sum())):
            return 0
        if self.metric == "cosine":
            vectors = F.normalize(vectors, dim=-1)
        counts = torch.bincount(index, minlength=self.size).to(vectors.dtype)
        self.counts.lerp_(counts, 1 - self.decay)
        if self.learning == "ema":
            sums = torch.zeros_like(self.sums).index_add_(0, index, vectors)
            self.sums.lerp_(sums, 1 - self.decay)
            used = self.counts > 1e-6
            self.table[used] = self.sums[used] / self.counts[used, None]
        return self._revive(vectors)

    def _revive(self, vectors: Tensor) -> int:
        dead = (self.counts < self.revive_below).nonzero().squeeze(1)
        if len(dead) == 0:
            return 0
        pick = torch.randint(0, len(vectors), (len(dead),), generator=self._seeded()).to(vectors.device)
        self.revivals += 1
        self.table[dead] = vectors[pick]
        # Fresh statistics: one average use, centred on the new place.
        share = max(10 * self.revive_below, 0.1)
        self.counts[dead] = share
        self.sums[dead] = vectors[pick] * share
        return len(dead)


def kmeans(vectors: Tensor, size: int, *, iterations: int, generator: torch.Generator) -> Tensor:
    """Return `size` centroids `[V, D]` of vectors `[N, D]` by Lloyd's algorithm from a random start.

    Empty clusters restart from random vectors. With fewer vectors than clusters, the rest are jittered copies.

    Example:
        >>> points = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
        >>> kmeans(points, 2, iterations=5, generator=torch.Generator().manual_seed(1)).sort(0).values.squeeze()
        tensor([0.0500, 5.0500])
    """
    if len(vectors) < size:
        copies = vectors[torch.randint(0, len(vectors), (size - len(vectors),), generator=generator)]
        spread = vectors.std(0, unbiased=False).clamp_min(1e-3)
        jitter = torch.randn(copies.shape, generator=generator).to(vectors) * spread * 0.1
        return torch.cat([vectors, copies + jitter])
    centroids = vectors[torch.randperm(len(vectors), generator=generator)[:size]].clone()
    for _ in range(iterations):
        index = torch.cat([nearest(part, centroids) for part in vectors.split(8192)])
        counts = torch.bincount(index, minlength=size).to(vectors.dtype)
        sums = torch.zeros_like(centroids).index_add_(0, index, vectors)
        empty = counts == 0
        centroids = sums / counts.clamp_min(1.0)[:, None]
        if bool(empty.any()):
            pick = torch.randint(0, len(vectors), (int(empty.sum()),), generator=generator)
            centroids[empty] = vectors[pick]
    return centroids
