"""Life and death of codewords that an optimizer moves: one that nothing chooses any more takes over a vector.

The revival of SoundStream (Zeghidour et al. 2021, arXiv:2107.03312, section III-C) for tables that are parameters of
their own; [`Codebook`][tokaudio.quantizers.codebook.Codebook] does the same to its own table.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tokaudio.quantizers.processes import add_up, draw_joined


class CodeLife(nn.Module):
    """Counts how often codes are used in training, and revives the dead ones.

    Attributes:
        counts: moving average of how often each code is used per step `[V]`.
        revivals: how often codes were revived.

    Example:
        >>> life, table = CodeLife(2, decay=0.5, revive_below=0.6), torch.zeros(2, 1)
        >>> life.step(table, torch.tensor([[7.0], [7.0]]), torch.tensor([0, 0]))
        1
        >>> table.flatten()
        tensor([0., 7.])
    """

    counts: Tensor

    def __init__(self, size: int, *, decay: float = 0.99, revive_below: float = 0.02, seed: int = 0) -> None:
        """Count V = `size` codes.

        Args:
            size: V.
            decay: of the moving average, per step.
            revive_below: a code whose average count per step falls below this takes over a random vector.
            seed: of the vectors that are drawn.
        """
        super().__init__()
        self.size, self.decay, self.revive_below, self.seed, self.revivals = size, decay, revive_below, seed, 0
        self.register_buffer("counts", torch.ones(size), persistent=False)

    @torch.no_grad()
    def step(self, table: Tensor, vectors: Tensor, index: Tensor) -> int:
        """Count the codes `[N]` that vectors `[N, D]` got, and write vectors over the dead rows of a table `[V, D]`.

        Vectors that are not finite, or whose squares are not, count for nothing, everywhere if they are the part of one
        process. With several processes all have to take this step.

        Returns:
            The number of codes revived.
        """
        usable = torch.isfinite(vectors.float().square().sum())
        counts = add_up(torch.cat([torch.bincount(index, minlength=self.size), (~usable).long()[None]]))
        if bool(counts[-1] > 0) or not bool(counts[:-1].any()):
            return 0
        self.counts.lerp_(counts[:-1].to(self.counts.dtype), 1 - self.decay)
        dead = (self.counts < self.revive_below).nonzero().squeeze(1)
        if len(dead) == 0:
            return 0
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.revivals)
        table[dead] = draw_joined(vectors, len(dead), generator).to(table.dtype)
        self.counts[dead] = max(10 * self.revive_below, 0.1)
        self.revivals += 1
        return len(dead)

    def learning_state(self) -> dict[str, Tensor | int]:
        """Return copies of what training must keep to be resumed exactly."""
        return {"counts": self.counts.clone(), "revivals": self.revivals}

    def load_learning_state(self, state: Mapping[str, Tensor | int]) -> None:
        """Restore what `learning_state` returned."""
        self.counts.copy_(torch.as_tensor(state["counts"]))
        self.revivals = int(state["revivals"])
