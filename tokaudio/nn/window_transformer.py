"""A transformer over time whose steps see a window to both sides, on whole signals and block by block.

The layers of Stable Codec (Parker et al. 2024, arXiv:2411.19842): queries and keys are normalised and half of each is
turned by its position, a gated feed-forward part, layer scale. A step waits for what its window holds of the future.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokaudio.nn.products import gated_product, product
from tokaudio.nn.stages import Sequence, Stage
from tokaudio.nn.transformer import Rotation
from tokaudio.nn.window_attention import turned_heads, windowed

_BASE = 10_000.0


class WindowLayer(nn.Module):
    """Attention within a window and a gated feed-forward part, each with a norm before and a scale after it.

    Args:
        dim: D.
        window: steps before and after a step that it sees, besides itself.
        head: dimensions of a head, which divides D; half of them are turned.
        expansion: width between the feed-forward layers, times D.
        eps: of the norms before each part.

    Shape:
        input and output `[B, D, T]`.

    Example:
        >>> WindowLayer(16, (2, 1), head=8)(torch.zeros(1, 16, 5)).shape
        torch.Size([1, 16, 5])
    """

    def __init__(
        self, dim: int, window: tuple[int, int], *, head: int = 128, expansion: int = 4, eps: float = 1e-2
    ) -> None:
        super().__init__()
        if head < 4 or head % 4 or dim % head:
            raise ValueError(f"head must be a multiple of 4 that divides {dim}, got {head}")
        if min(window) < 0:
            raise ValueError(f"window must be two numbers from 0, got {window}")
        self.window, self.head = window, head
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=eps), nn.LayerNorm(dim, eps=eps)
        # Rows of queries, keys and values, each head by head.
        self.qkv, self.out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.query_norm, self.key_norm = nn.LayerNorm(head, eps=1e-6), nn.LayerNorm(head, eps=1e-6)
        # Rows of what is let through, then of the gate.
        self.up, self.down = nn.Linear(dim, 2 * expansion * dim), nn.Linear(expansion * dim, dim)
        self.scale1, self.scale2 = nn.Parameter(torch.full((dim,), 1e-2)), nn.Parameter(torch.full((dim,), 1e-2))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, D, T]`."""
        steps = x.transpose(1, 2)
        return self.finish(steps, windowed(*self.heads(steps, 0), self.window)).transpose(1, 2)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return WindowStage(self)

    def heads(self, steps: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values `[..., H, n, d]` of steps `[..., n, D]` from position `start` on."""
        parts = product(self.qkv, self.norm1(steps)).unflatten(-1, (3, -1, self.head))
        rotation = self.rotation(start, steps.shape[-2], steps.device)
        query, key = (turned_heads(parts, i, norm, rotation) for i, norm in enumerate((self.query_norm, self.key_norm)))
        return query, key, parts.select(-3, 2).transpose(-3, -2).contiguous()

    def rotation(self, start: int, count: int, device: torch.device) -> Rotation:
        """Return cosines and sines of `count` positions from `start` on, `[count, head / 4]` each.

        In float32 throughout, as published models were trained and are run.
        """
        phases = torch.arange(start, start + count, device=device).float()[:, None] * frequencies(self.head, device)
        return phases.cos(), phases.sin()

    def finish(self, steps: Tensor, seen: Tensor) -> Tensor:
        """Return the layer's results `[..., n, D]` of steps and of what they found."""
        steps = torch.addcmul(steps, self.scale1, product(self.out, seen))
        return torch.addcmul(steps, self.scale2, gated_product(self.up, self.down, self.norm2(steps)))


class WindowStage:
    """A window layer in the course of one signal: it keeps what later windows reach back to."""

    def __init__(self, layer: WindowLayer) -> None:
        self._layer = layer
        # Steps that have come, and of these, that are done with.
        self._come, self._done = 0, 0
        self._waiting: Tensor | None = None
        self._query: Tensor | None = None
        # Keys and values from position `_first` on.
        self._seen: tuple[Tensor, Tensor] | None = None
        self._first = 0

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, D]` to the steps `[m, D]` whose windows are complete."""
        layer = self._layer
        before, after = layer.window
        if len(block):
            query, key, value = layer.heads(block, self._come)
            self._waiting, self._query = _joined(self._waiting, block), _joined(self._query, query)
            seen = (None, None) if self._seen is None else self._seen
            self._seen = _joined(seen[0], key), _joined(seen[1], value)
            self._come += len(block)
        end = self._come if last else max(self._done, self._come - after)
        count = end - self._done
        if self._waiting is None or self._query is None or self._seen is None or not count:
            return block[:0]
        keys, values = self._seen
        seen_by = windowed(self._query[:, :count], keys, values, layer.window, self._done - self._first)
        out = layer.finish(self._waiting[:count], seen_by)
        self._waiting, self._query = self._waiting[count:].clone(), self._query[:, count:].clone()
        kept = max(0, end - before)
        self._seen = keys[:, kept - self._first :].clone(), values[:, kept - self._first :].clone()
        self._done, self._first = end, kept
        return out


def frequencies(head: int, device: torch.device | str = "cpu") -> Tensor:
    """Return the radians per step of the turned dimensions of a head, `[head / 4]`, as published files hold them.

    Example:
        >>> frequencies(16).tolist()
        [1.0, 0.10000000149011612, 0.009999999776482582, 0.0010000000474974513]
    """
    turned = head // 2
    return 1.0 / _BASE ** (torch.arange(0, turned, 2, device=device).float() / turned)


def window_layers(dim: int, depth: int, window: tuple[int, int], *, head: int) -> Sequence:
    """Return layers one after the other.

    Example:
        >>> len(window_layers(16, 3, (2, 2), head=8))
        3
    """
    return Sequence(*(WindowLayer(dim, window, head=head) for _ in range(depth)))


def _joined(before: Tensor | None, steps: Tensor) -> Tensor:
    """Return steps `[..., n, D]` after those before them."""
    return steps if before is None or not before.shape[-2] else torch.cat([before, steps], dim=-2)
