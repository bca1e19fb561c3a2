"""Linear layers on however many steps, by the product that is fastest on a CPU for so many.

Few steps cost what it takes to read the weights, which oneDNN does faster than BLAS; it also gates on the way out.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Up to so many rows oneDNN is faster than MKL (measured on AVX-512: 1.6 times for 12 rows, 1.06 for 250, 1 for 500).
_FEW = 500


@cache
def _one_dnn() -> Any:
    """Return oneDNN's linear layer `(x, weight, bias, function, [], "")`, or None where PyTorch has none that works."""
    try:
        linear: Any = torch.ops.mkldnn._linear_pointwise
        x, bias = torch.tensor([[1.0, -2.0]]), torch.tensor([2.0])
        with torch.no_grad():
            gates = linear(x, torch.ones(1, 2), bias, "swish", [], "")
            found = linear.binary(x, gates, torch.ones(1, 2), None, "mul")
        right = torch.allclose(found, torch.tensor([[-0.7310586]]), atol=1e-5)
    except Exception:  # it is not part of PyTorch's public interface
        return None
    return linear if right else None


def product(linear: nn.Linear, x: Tensor) -> Tensor:
    """Return a linear layer of `[..., C]`.

    Example:
        >>> linear = nn.Linear(3, 2)
        >>> torch.allclose(product(linear, torch.ones(4, 3)), linear(torch.ones(4, 3)), atol=1e-6)
        True
    """
    one_dnn = _routine(x, linear.weight)
    out: Tensor = linear(x) if one_dnn is None else one_dnn(x, linear.weight, linear.bias, "none", [], "")
    return out


def gated_product(up: nn.Linear, down: nn.Linear, x: Tensor) -> Tensor:
    """Return `down(passed * silu(gates))` of `[..., C]`; `up` gives what may pass, then the gates (arXiv:2002.05202).

    Example:
        >>> gated_product(nn.Linear(3, 8), nn.Linear(4, 2), torch.ones(5, 3)).shape
        torch.Size([5, 2])
    """
    # Two products, not halves of one: rows that lie a power of two apart in memory make the next product slow.
    weight, weight_gates = up.weight.chunk(2)
    bias, bias_gates = (None, None) if up.bias is None else up.bias.chunk(2)
    one_dnn = _routine(x, up.weight)
    if one_dnn is not None:
        gates = one_dnn(x, weight_gates, bias_gates, "swish", [], "")
        return product(down, one_dnn.binary(x, gates, weight, bias, "mul"))
    passed, gates = F.linear(x, weight, bias), F.linear(x, weight_gates, bias_gates)
    # In place where nobody needs what was there: fresh memory costs more than the function.
    learning = torch.is_grad_enabled()
    return product(down, passed * F.silu(gates) if learning else passed.mul_(F.silu(gates, inplace=True)))


def _routine(x: Tensor, weight: Tensor) -> Any:
    """Return oneDNN's linear layer where it can be used and pays, else None."""
    rows = x.numel() // max(1, x.shape[-1])
    plain = all(value.device.type == "cpu" and value.dtype == torch.float32 for value in (x, weight))
    pays = 0 < rows <= _FEW and plain and x.is_contiguous() and weight.is_contiguous()
    return _one_dnn() if pays and not torch.is_grad_enabled() else None
