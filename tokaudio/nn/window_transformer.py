"""A transformer over time whose steps see a window to both sides, on whole signals and block by block.

The layers of Stable Codec (Parker et al. 2024, arXiv:2411.19842): queries and keys are normalised and half of each is
turned by its position, a gated feed-forward part, layer scale. A step waits for what its window holds of the future.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.stages import Sequence, Stage
from tokaudio.nn.transformer import Rotation, rotate

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
        count = steps.shape[1]
        seen = self.attend(*self.heads(steps, 0), self.visible(0, count, 0, count, x))
        return self.finish(steps, seen).transpose(1, 2)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return WindowStage(self)

    def heads(self, steps: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values `[..., n, H, d]` of steps `[..., n, D]` from position `start` on."""
        parts = self.qkv(self.norm1(steps)).unflatten(-1, (3, -1, self.head))
        query, key, value = parts.unbind(-3)
        rotation = self.rotation(start, steps.shape[-2], steps.device)
        return self._turned(self.query_norm(query), rotation), self._turned(self.key_norm(key), rotation), value

    def _turned(self, heads: Tensor, rotation: Rotation) -> Tensor:
        half = self.head // 2
        return torch.cat([rotate(heads[..., :half], rotation), heads[..., half:]], dim=-1)

    def rotation(self, start: int, count: int, device: torch.device) -> Rotation:
        """Return cosines and sines of `count` positions from `start` on, `[count, 1, head / 4]` each.

        In float32 throughout, as published models were trained and are run.
        """
        phases = torch.arange(start, start + count, device=device).float()[:, None] * frequencies(self.head, device)
        return phases.cos()[:, None], phases.sin()[:, None]

    def visible(self, first: int, count: int, first_key: int, keys: int, like: Tensor) -> Tensor:
        """Return what is added to the scores `[count, keys]` of steps from `first` on: 0 in their windows, else -inf.

        Args:
            first: position of the first step that looks.
            count: steps that look.
            first_key: position of the first step that is there to be seen.
            keys: steps that are.
            like: has the dtype and device of the result.
        """
        steps = torch.arange(first, first + count, device=like.device)[:, None]
        distance = torch.arange(first_key, first_key + keys, device=like.device) - steps
        hidden = (distance < -self.window[0]) | (distance > self.window[1])
        return like.new_zeros(hidden.shape).masked_fill_(hidden, -torch.inf)

    @staticmethod
    def attend(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
        """Return what queries `[..., n, H, d]` find among keys and values `[..., m, H, d]`, as `[..., n, D]`."""
        query, key, value = (part.transpose(-3, -2) for part in (query, key, value))
        return F.scaled_dot_product_attention(query, key, value, visible).transpose(-3, -2).flatten(-2)

    def finish(self, steps: Tensor, seen: Tensor) -> Tensor:
        """Return the layer's results `[..., n, D]` of steps and of what they found."""
        steps = torch.addcmul(steps, self.scale1, self.out(seen))
        passed, gate = self.up(self.norm2(steps)).chunk(2, dim=-1)
        return torch.addcmul(steps, self.scale2, self.down(passed * F.silu(gate)))


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
        near = slice(0, end + after - self._first)
        keys, values = self._seen[0][near], self._seen[1][near]
        visible = layer.visible(self._done, count, self._first, len(keys), block)
        seen_by = layer.attend(self._query[None, :count], keys[None], values[None], visible)[0]
        out = layer.finish(self._waiting[:count], seen_by)
        self._waiting, self._query = self._waiting[count:].clone(), self._query[count:].clone()
        kept = max(0, end - before)
        self._seen = self._seen[0][kept - self._first :].clone(), self._seen[1][kept - self._first :].clone()
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
    return steps if before is None or not len(before) else torch.cat([before, steps])
