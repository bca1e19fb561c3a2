"""A causal transformer with gated feed-forward parts and root-mean-square norms, on whole signals and block by block.

As language models since LLaMA (arXiv:2302.13971, section 2.2) have it; with the sliding window and the stage of
[`CausalTransformer`][tokaudio.nn.transformer.CausalTransformer].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.transformer import CausalTransformer, Rotation, rotate


class GatedTransformer(CausalTransformer):
    """Transformer with RMS norm (arXiv:1910.07467) before each part, SwiGLU (arXiv:2002.05202) and layer scale.

    Args:
        width: D of the steps.
        layers: number of layers.
        heads: of the attention.
        head_dim: width of a head, even; heads need not add up to D.
        hidden: width between the feed-forward layers.
        window: steps that each step sees, itself included.
        max_period: of the slowest rotation, in steps times 2 pi.
        layer_scale: first value of the factors on what a layer adds.
        eps: of the norms.

    Shape:
        input and output `[B, D, T]`.

    Example:
        >>> network = GatedTransformer(8, layers=2, heads=2, head_dim=6, hidden=16, window=4)
        >>> network(torch.zeros(1, 8, 5)).shape
        torch.Size([1, 8, 5])
    """

    def __init__(
        self,
        width: int,
        *,
        layers: int,
        heads: int,
        head_dim: int,
        hidden: int,
        window: int,
        max_period: float = 10_000.0,
        layer_scale: float = 0.01,
        eps: float = 1e-5,
    ) -> None:
        # Positions and windows are those of a transformer as wide as its heads; its layers are others.
        super().__init__(heads * head_dim, layers=0, heads=heads, hidden=hidden, window=window, max_period=max_period)
        self.layers = nn.ModuleList(
            GatedLayer(width, heads, head_dim, hidden, layer_scale=layer_scale, eps=eps) for _ in range(layers)
        )


class GatedLayer(nn.Module):
    """Attention and a gated feed-forward part, each with RMS norm before and layer scale after it."""

    def __init__(self, width: int, heads: int, head_dim: int, hidden: int, *, layer_scale: float, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.RMSNorm(width, eps=eps), nn.RMSNorm(width, eps=eps)
        # Rows of queries, keys and values, each head by head; rows of gates, then of what they let through.
        self.qkv = nn.Linear(width, 3 * heads * head_dim, bias=False)
        self.out = nn.Linear(heads * head_dim, width, bias=False)
        self.gates, self.down = nn.Linear(width, 2 * hidden, bias=False), nn.Linear(hidden, width, bias=False)
        self.scale1 = nn.Parameter(torch.full((width,), layer_scale))
        self.scale2 = nn.Parameter(torch.full((width,), layer_scale))

    def forward(
        self, x: Tensor, rotation: Rotation, visible: Tensor, past: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map steps `[B, n, D]` to steps `[B, n, D]` and the keys and values `[B, m + n, 2, H, d]` seen so far.

        Args:
            x: the steps.
            rotation: of their positions.
            visible: added to the scores, `[n, m + n]`.
            past: keys and values of the m steps before, `[B, m, 2, H, d]`.
        """
        made = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1))
        query, key = rotate(made[..., :2, :, :].flatten(-3, -2), rotation).chunk(2, dim=-2)
        seen = torch.stack([key, made[..., 2, :, :]], dim=-3)
        seen = seen if past is None else torch.cat([past, seen], dim=1)
        query, keys, values = (part.transpose(-3, -2) for part in (query, seen[..., 0, :, :], seen[..., 1, :, :]))
        mixed = F.scaled_dot_product_attention(query, keys, values, visible)
        x = torch.addcmul(x, self.scale1, self.out(mixed.transpose(-3, -2).flatten(-2)))
        gate, inner = self.gates(self.norm2(x)).chunk(2, dim=-1)
        return torch.addcmul(x, self.scale2, self.down(F.silu(gate) * inner)), seen
