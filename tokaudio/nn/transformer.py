"""A causal transformer over time with rotary positions and a sliding window, on whole signals and block by block.

The window is what makes it fit for sound of any length: a step looks back at most so far, so that a stage carries
that many keys and values from block to block, and no more.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.whole_signal import turned

# cosines and sines of the positions of a block, [n, 1, d / 2] each.
Rotation = tuple[Tensor, Tensor]


class CausalTransformer(nn.Module):
    """Transformer with layer norm before each part, GELU, layer scale (arXiv:2103.17239) and no biases.

    Positions are rotations of queries and keys (RoPE, arXiv:2104.09864) that pair the first half of a head's
    dimensions with the second.

    Args:
        dim: D.
        layers: number of layers.
        heads: of the attention; they divide D into even parts.
        hidden: width between the two feed-forward layers.
        window: steps that each step sees, itself included.
        max_period: of the slowest rotation, in steps times 2 pi.
        layer_scale: first value of the factors on what a layer adds.
        eps: of the layer norms.

    Shape:
        input and output `[B, D, T]`.

    Example:
        >>> CausalTransformer(8, layers=2, heads=2, hidden=16, window=4)(torch.zeros(1, 8, 5)).shape
        torch.Size([1, 8, 5])
    """

    def __init__(
        self,
        dim: int,
        *,
        layers: int,
        heads: int,
        hidden: int,
        window: int,
        max_period: float = 10_000.0,
        layer_scale: float = 0.01,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        if heads < 1 or dim % (2 * heads):
            raise ValueError(f"heads must divide {dim} into even parts, got {heads}")
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        self.dim, self.heads, self.window, self.max_period = dim, heads, window, max_period
        self.layers = nn.ModuleList(TransformerLayer(dim, heads, hidden, layer_scale, eps) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, D, T]`."""
        steps = x.transpose(1, 2)
        rotation, visible = self.rotation(0, steps.shape[1], x.device), self.visible(0, steps.shape[1], x)
        for layer in self.layers:
            steps, _ = layer(steps, rotation, visible)
        return steps.transpose(1, 2)

    def stage(self) -> TransformerStage:
        """Return a fresh stage."""
        return TransformerStage(self)

    def rotation(self, start: int, count: int, device: torch.device) -> Rotation:
        """Return the rotations of `count` steps from position `start` on.

        In float32 throughout, as published models were trained and are run.
        """
        width = self.dim // self.heads
        exponents = torch.arange(width // 2, dtype=torch.float32, device=device)
        frequencies = torch.exp(exponents * (-math.log(self.max_period) * 2 / width))
        phases = torch.arange(start, start + count, device=device).float()[:, None, None] * frequencies
        return phases.cos(), phases.sin()

    def visible(self, before: int, count: int, like: Tensor) -> Tensor:
        """Return what attention adds to its scores `[count, before + count]`: 0 where a step sees another, else -inf.

        Args:
            before: steps that lie before the first of the `count` steps.
            count: steps that look.
            like: has the dtype and device of the result.
        """
        at = torch.arange(before, before + count, device=like.device)[:, None]
        distance = at - torch.arange(before + count, device=like.device)
        hidden = (distance < 0) | (distance >= self.window)
        return like.new_zeros(hidden.shape).masked_fill_(hidden, -torch.inf)


class TransformerLayer(nn.Module):
    """Attention and a feed-forward part, each with layer norm before and layer scale after it."""

    def __init__(self, dim: int, heads: int, hidden: int, layer_scale: float, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=eps), nn.LayerNorm(dim, eps=eps)
        # Rows of queries, keys and values, each head by head.
        self.qkv, self.out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.up, self.down = nn.Linear(dim, hidden, bias=False), nn.Linear(hidden, dim, bias=False)
        self.scale1 = nn.Parameter(torch.full((dim,), layer_scale))
        self.scale2 = nn.Parameter(torch.full((dim,), layer_scale))

    def forward(
        self, x: Tensor, rotation: Rotation, visible: Tensor, past: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map steps `[B, n, D]` to steps `[B, n, D]` and the keys and values `[B, m + n, 2, H, D / H]` seen so far.

        Args:
            x: the steps.
            rotation: of their positions.
            visible: added to the scores, `[n, m + n]`.
            past: keys and values of the m steps before, `[B, m, 2, H, D / H]`.
        """
        made = product(self.qkv, self.norm1(x)).unflatten(-1, (3, self.heads, -1))
        query, key = rotate(made[..., :2, :, :].flatten(-3, -2), rotation).chunk(2, dim=-2)
        seen = torch.stack([key, made[..., 2, :, :]], dim=-3)
        seen = seen if past is None else torch.cat([past, seen], dim=1)
        query, keys, values = (part.transpose(-3, -2) for part in (query, seen[..., 0, :, :], seen[..., 1, :, :]))
        mixed = F.scaled_dot_product_attention(query, keys, values, visible)
        x = torch.addcmul(x, self.scale1, product(self.out, mixed.transpose(-3, -2).flatten(-2)))
        inner = product(self.up, self.norm2(x))
        # In place where nobody needs what was there: fresh memory costs more than the function.
        inner = F.gelu(inner) if torch.is_grad_enabled() else torch.ops.aten.gelu_(inner)
        return torch.addcmul(x, self.scale2, product(self.down, inner)), seen


class TransformerStage:
    """A causal transformer in the course of one signal: it keeps the keys and values of one window."""

    def __init__(self, transformer: CausalTransformer) -> None:
        self._transformer = transformer
        self._position = 0
        self._past: list[Tensor | None] = [None] * len(transformer.layers)

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, D]` to `[n, D]`; nothing has to wait."""
        network, count = self._transformer, len(block)
        if not count:
            return block
        kept = network.window - 1
        before = min(self._position, kept)
        rotation = network.rotation(self._position, count, block.device)
        visible = network.visible(before, count, block)
        steps = block[None]
        for index, layer in enumerate(network.layers):
            steps, seen = layer(steps, rotation, visible, self._past[index])
            self._past[index] = seen[:, max(0, seen.shape[1] - kept) :].clone()
        self._position += count
        return steps[0]


def product(linear: nn.Linear, x: Tensor) -> Tensor:
    """Return a linear layer without bias of `[..., C]`; for inference on a CPU from weights laid out input by input.

    Few rows then take up to a third less time. The weight changes its layout at the first call and stays the same.

    Example:
        >>> linear = nn.Linear(3, 2, bias=False)
        >>> with torch.no_grad():
        ...     torch.allclose(product(linear, torch.ones(4, 3)), linear(torch.ones(4, 3)))
        True
    """
    if torch.is_grad_enabled() or x.device.type != "cpu":
        out: Tensor = linear(x)
        return out
    return torch.mm(x.reshape(-1, x.shape[-1]), turned(linear.weight)).unflatten(0, x.shape[:-1])


def rotate(heads: Tensor, rotation: Rotation) -> Tensor:
    """Turn vectors `[..., n, H, d]` by their positions: dimension i together with dimension i + d / 2.

    Example:
        >>> quarter = torch.tensor(0.0).view(1, 1, 1), torch.tensor(1.0).view(1, 1, 1)
        >>> rotate(torch.tensor([[[3.0, 4.0]]]), quarter)
        tensor([[[-4.,  3.]]])
    """
    cosine, sine = rotation
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def halves_from_pairs(rows: Tensor, heads: int) -> Tensor:
    """Return projection rows `[D, C]` in our order of a head's dimensions, where neighbours were paired before.

    Published models pair either dimension 2i with 2i + 1, or i with i + d / 2: the same network, other rows.

    Example:
        >>> halves_from_pairs(torch.arange(8.0)[:, None], 2).flatten()
        tensor([0., 2., 1., 3., 4., 6., 5., 7.])
    """
    return rows.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)
