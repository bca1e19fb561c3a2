"""Attention within windows that stand side by side, as SNAC 32k and 44k have it at the frame rate.

No frame sees beyond its window, so windows may come one after the other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.stages import Aligned, Pipeline, Pointwise, Stage


class LocalAttention(nn.Module):
    """`x + attention(norm(x))` within windows of `window` steps, with rotary positions (arXiv:2104.09864).

    Queries and keys are rotated in pairs of entries that lie half a head apart. A last window that is not full sees
    what there is.

    Args:
        channels: C, a multiple of `head_dim`.
        window: steps.
        head_dim: width of a head, even.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> LocalAttention(8, window=4, head_dim=4)(torch.zeros(1, 8, 12)).shape
        torch.Size([1, 8, 12])
    """

    frequencies: Tensor

    def __init__(self, channels: int, *, window: int, head_dim: int = 64) -> None:
        super().__init__()
        if channels % head_dim or head_dim % 2:
            raise ValueError(f"channels must be a multiple of the even head_dim {head_dim}, got {channels}")
        self.window, self.head_dim, self.heads = window, head_dim, channels // head_dim
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.out = nn.Linear(channels, channels, bias=False)
        # In the weights because published files hold them; radians per step, one per pair of entries.
        self.register_buffer("frequencies", 10000.0 ** -(torch.arange(0, head_dim, 2) / head_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        steps = x.transpose(1, 2)
        full = steps.shape[1] // self.window * self.window
        parts = [steps[:, :full].unflatten(1, (-1, self.window))] if full else []
        parts += [steps[:, None, full:]] if full < steps.shape[1] else []
        if not parts:
            return x
        return torch.cat([self.attend(part).flatten(1, 2) for part in parts], dim=1).transpose(1, 2)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pipeline([Aligned(self.window), Pointwise(lambda steps: self(steps.T[None])[0].T.contiguous())])

    def attend(self, windows: Tensor) -> Tensor:
        """Map windows `[..., n, C]` to `[..., n, C]`, every window alone."""
        heads = self.qkv(self.norm(windows)).unflatten(-1, (3, self.heads, self.head_dim))
        query, key, value = heads.movedim(-3, 0).transpose(-2, -3)
        attended = F.scaled_dot_product_attention(self.rotated(query), self.rotated(key), value)
        return windows + self.out(attended.transpose(-2, -3).flatten(-2))

    def rotated(self, heads: Tensor) -> Tensor:
        """Turn every pair of entries of `[..., n, head_dim]` by an angle that grows with the position in the window."""
        angles = torch.arange(heads.shape[-2], device=heads.device)[:, None] * self.frequencies
        cos, sin = angles.cos(), angles.sin()
        first, second = heads.chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
