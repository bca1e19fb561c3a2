"""A layer of the transformer, with its norms after or before its parts."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.ssl.attention import Attention
from tokaudio.nn.ssl.sizes import SpeechSizes

# Frames that go through products together, so that what lies between two products stays in the cache.
_ROWS = 512


class SpeechLayer(nn.Module):
    """Attention and a feed-forward part (arXiv:1706.03762), each added to its input.

    Shape:
        input and output `[B, T, D]`; distances `[H, 2 * T - 1]` where the model has them.

    Example:
        >>> SpeechLayer(SpeechSizes(width=32, heads=2, inner=64))(torch.zeros(1, 5, 32)).shape
        torch.Size([1, 5, 32])
    """

    def __init__(self, sizes: SpeechSizes) -> None:
        super().__init__()
        self.norm_first = sizes.norm_first
        self.attention = Attention(sizes.width, sizes.heads, gated=sizes.buckets > 0)
        self.norm1, self.norm2 = (nn.LayerNorm(sizes.width, eps=sizes.epsilon) for _ in range(2))
        self.up, self.down = nn.Linear(sizes.width, sizes.inner), nn.Linear(sizes.inner, sizes.width)

    def forward(self, x: Tensor, distances: Tensor | None = None) -> Tensor:
        """Map `[B, T, D]` to `[B, T, D]`."""
        seen = self.attention.seen(self.norm1(x) if self.norm_first else x, distances)
        return by_rows(self._mixed, x, seen)

    def _mixed(self, x: Tensor, seen: Tensor) -> Tensor:
        """Map the input and what attention has seen, `[n, D]` each, to the result."""
        x = x + self.attention.out(seen)
        if self.norm_first:
            mixed: Tensor = x + self._fed(self.norm2(x))
            return mixed
        x = self.norm1(x)
        mixed = self.norm2(x + self._fed(x))
        return mixed

    def _fed(self, x: Tensor) -> Tensor:
        inner = self.up(x)
        inner = F.gelu(inner) if torch.is_grad_enabled() else torch.ops.aten.gelu_(inner)
        out: Tensor = self.down(inner)
        return out


def by_rows(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Return a function of single frames `[B, T, ...]`, computed for some frames after the other.

    Example:
        >>> by_rows(torch.add, torch.ones(1, 2, 3), torch.ones(1, 2, 3)).sum()
        tensor(12.)
    """
    if torch.is_grad_enabled() or inputs[0].device.type != "cpu":
        return function(*inputs)
    parts = zip(*(x.flatten(0, 1).split(_ROWS) for x in inputs), strict=True)
    out = [function(*part) for part in parts]
    return (torch.cat(out) if len(out) > 1 else out[0]).unflatten(0, inputs[0].shape[:2])
