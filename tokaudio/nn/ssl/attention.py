"""Attention of every frame to every frame, without ever holding a table of all with all."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Scores that are held at a time, of one head, so that they stay in the processor's cache; and queries at the least.
_SCORES, _LEAST_ROWS = 2**18, 64
# Queries that attend together where PyTorch does it.
_QUERIES = 256


class Attention(nn.Module):
    """Attention with several heads; with distances, WavLM's gated bias (arXiv:2110.13900, section 3.1).

    Args:
        width: D.
        heads: H.
        gated: whether each query weighs the distances by what it is.

    Shape:
        input and output `[B, T, D]`; distances `[H, 2 * T - 1]`.

    Example:
        >>> Attention(8, 2)(torch.zeros(1, 5, 8)).shape
        torch.Size([1, 5, 8])
    """

    def __init__(self, width: int, heads: int, *, gated: bool = False) -> None:
        super().__init__()
        self.heads = heads
        # Queries, keys and values in one product.
        self.inputs, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        if gated:
            self.gate = nn.Linear(width // heads, 8)
            self.gate_scale = nn.Parameter(torch.ones(heads))

    def forward(self, x: Tensor, distances: Tensor | None = None) -> Tensor:
        """Map `[B, T, D]` to `[B, T, D]`."""
        out: Tensor = self.out(self.seen(x, distances))
        return out

    def seen(self, x: Tensor, distances: Tensor | None = None) -> Tensor:
        """Map `[B, T, D]` to what the heads see `[B, T, D]`, before they are mixed."""
        query, key, value = self.inputs(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if distances is None:
            return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        gates = self.gates(x)
        items = [biased(*item, distances).transpose(0, 1) for item in zip(query, key, value, gates, strict=True)]
        return (torch.stack(items) if len(items) > 1 else items[0][None]).flatten(2)

    def gates(self, x: Tensor) -> Tensor:
        """Return how much each query of `[B, T, D]` heeds the distances, `[B, H, T]`."""
        parts = self.gate(x.unflatten(-1, (self.heads, -1))).unflatten(-1, (2, 4)).sum(-1).sigmoid()
        gates: Tensor = parts[..., 0] * (parts[..., 1] * self.gate_scale - 1.0) + 2.0
        return gates.transpose(1, 2)


def biased(query: Tensor, key: Tensor, value: Tensor, gates: Tensor, distances: Tensor) -> Tensor:
    """Return attention with `gates x distances` added to the scores, some queries at a time.

    Args:
        query: `[H, T, d]`, as are key and value.
        key: what is compared with it.
        value: what is averaged.
        gates: `[H, T]`.
        distances: of keys from queries `[H, 2 * T - 1]`.

    Returns:
        `[H, T, d]`, which may be a view of memory `[T, H, d]`.

    Example:
        >>> zeros = torch.zeros(2, 3, 4)
        >>> biased(zeros, zeros, zeros + 1.0, torch.ones(2, 3), torch.zeros(2, 5)).unique()
        tensor([1.])
    """
    compiled = _compiled() if query.device.type == "cpu" and not torch.is_grad_enabled() else None
    if compiled is None or query.dtype != torch.float32:
        return _biased_by_torch(query, key, value, gates, distances)
    heads, count, width = query.shape
    rows = min(count, max(_LEAST_ROWS, _SCORES // count))
    held = query.new_empty(rows, count)
    out = query.new_empty(count, heads, width).transpose(0, 1)
    gates, distances = gates.contiguous(), distances.contiguous()
    for head in range(heads):
        keys, values = (key[head] * width**-0.5).T.contiguous(), value[head].contiguous()
        for start in range(0, count, rows):
            end = min(count, start + rows)
            scores = held[: end - start]
            torch.mm(query[head, start:end], keys, out=scores)
            compiled.add_distances(scores.numpy(), gates[head, start:end].numpy(), distances[head].numpy(), start)
            torch.softmax(scores, -1, out=scores)
            torch.mm(scores, values, out=out[head, start:end])
    return out


def _biased_by_torch(query: Tensor, key: Tensor, value: Tensor, gates: Tensor, distances: Tensor) -> Tensor:
    count = query.shape[1]
    # Row i of the table is for query count - 1 - i.
    table = distances.unfold(1, count, 1)
    out = []
    for start in range(0, count, _QUERIES):
        end = min(count, start + _QUERIES)
        bias = table[:, count - end : count - start].flip(1) * gates[:, start:end, None]
        out.append(F.scaled_dot_product_attention(query[:, start:end], key, value, bias))
    return torch.cat(out, dim=1)


@cache
def _compiled() -> Any:
    """Return the compiled sum, or None where numba is missing or broken."""
    try:
        from tokaudio.nn.ssl import _numba_distances
    except Exception:  # numba fails in many ways on platforms that it does not know
        return None
    return _numba_distances
