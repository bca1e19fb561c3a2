"""Attention of steps that see a window to both sides, in work that grows with the window and not with all steps.

Heads are normalised, and turned by their positions (RoPE, arXiv:2104.09864).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.transformer import Rotation

# Steps that look at a time: few enough that what they see is hardly more than their windows.
_TILE = 64


def turned_heads(parts: Tensor, index: int, norm: nn.LayerNorm, rotation: Rotation) -> Tensor:
    """Return one of P parts of a projection as heads `[..., H, n, d]`, normalised, the first half of each turned.

    Dimension i is turned together with dimension i + d / 4.

    Args:
        parts: `[..., n, P, H, d]`.
        index: of the part.
        norm: over d.
        rotation: cosines and sines of the positions, `[n, d / 4]` each.

    Example:
        >>> still, norm = (torch.ones(1, 1), torch.zeros(1, 1)), nn.LayerNorm(4, eps=0)
        >>> turned_heads(torch.tensor([3.0, 3.0, 1.0, 1.0]).view(1, 1, 1, 4), 0, norm, still).round().tolist()
        [[[1.0, 1.0, -1.0, -1.0]]]
    """
    # Head by head in memory: rows of one head that lie a power of two apart would share a few places of the cache.
    heads = norm(parts.select(-3, index).transpose(-3, -2))
    cosine, sine = rotation
    first, second, rest = heads.tensor_split((len(cosine[0]), 2 * len(cosine[0])), dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine, rest], dim=-1)


def windowed(query: Tensor, key: Tensor, value: Tensor, window: tuple[int, int], first: int = 0) -> Tensor:
    """Return what queries `[..., H, n, d]` find among keys and values `[..., H, m, d]`, as `[..., n, H * d]`.

    Args:
        query: of steps that look.
        key: of steps that are there to be seen.
        value: of the same.
        window: steps before and after a step that it sees, besides itself.
        first: index of the key that belongs to the first query's step.

    Example:
        >>> values = torch.tensor([1.0, 2.0, 4.0]).view(1, 3, 1)
        >>> windowed(torch.zeros(1, 3, 1), torch.zeros(1, 3, 1), values, (1, 0)).T
        tensor([[1.0000, 1.5000, 3.0000]])
    """
    before, after = window
    tile = min(query.shape[-2], _TILE)
    # Of a whole tile: its first step sees the keys from the first one on.
    reach = torch.arange(tile + before + after, device=query.device) - torch.arange(tile, device=query.device)[:, None]
    visible = query.new_zeros(reach.shape).masked_fill_((reach < 0) | (reach > before + after), -torch.inf)
    found = []
    for number, steps in enumerate(query.split(_TILE, dim=-2)):
        low, count = first + number * _TILE - before, steps.shape[-2]
        start, stop = max(0, low), min(key.shape[-2], low + before + count + after)
        heads = [steps, key[..., start:stop, :], value[..., start:stop, :]]
        # Without a batch PyTorch takes a slower way.
        q, k, v = (part[None] for part in heads) if query.ndim == 3 else heads
        seen = F.scaled_dot_product_attention(q, k, v, visible[:count, start - low : stop - low])
        found.append((seen[0] if query.ndim == 3 else seen).transpose(-3, -2).flatten(-2))
    return found[0] if len(found) == 1 else torch.cat(found, dim=-2)
