"""Elementwise work in one pass over memory, where PyTorch needs several: compiled on first use by numba.

Where numba cannot be had, or off the CPU, PyTorch's own operations do the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.nn.compiled import compiled


def elu(steps: Tensor) -> Tensor:
    """Return x where it is positive, else `exp(x) - 1`, of `[n, C]`.

    Example:
        >>> elu(torch.tensor([[1.0, -1.0]]))
        tensor([[ 1.0000, -0.6321]])
    """
    if torch.is_grad_enabled():
        return F.elu(steps)
    return elu_into(steps, torch.empty(steps.shape, dtype=steps.dtype, device=steps.device))


def elu_into(steps: Tensor, out: Tensor) -> Tensor:
    """Write x where it is positive, else `exp(x) - 1`, of `[n, C]` to memory of the same shape, and return that.

    Example:
        >>> elu_into(torch.tensor([[1.0, -1.0]]), torch.zeros(1, 2))
        tensor([[ 1.0000, -0.6321]])
    """
    loops = compiled("recurrent") if steps.device.type == "cpu" and out.is_contiguous() else None
    if loops is None:
        return out.copy_(F.elu(steps.detach()))
    target = out.detach().view(-1).numpy()
    if steps.data_ptr() == out.data_ptr():
        loops.elu_in_place(target)
    else:
        loops.elu(steps.detach().contiguous().view(-1).numpy(), target)
    return out


def snake(steps: Tensor, alpha: Tensor, scale: Tensor) -> Tensor:
    """Return `x + scale * sin(alpha * x) ** 2` (arXiv:2006.08195, equation 3) of `[n, C]`, per channel `[C]`.

    Example:
        >>> snake(torch.tensor([[1.0]]), torch.tensor([2.0]), torch.tensor([0.5]))
        tensor([[1.4134]])
    """
    loops = compiled("kernels") if steps.device.type == "cpu" and not torch.is_grad_enabled() else None
    if loops is None:
        return steps + scale * torch.sin(alpha * steps).square()
    steps = steps.contiguous()
    out = torch.empty_like(steps)
    loops.snake(steps.numpy(), alpha.detach().numpy(), scale.detach().numpy(), out.numpy())
    return out


def depthwise(steps: Tensor, weight: Tensor, bias: Tensor | None, *, stride: int, dilation: int, count: int) -> Tensor:
    """Return the `[count, C]` first steps of the convolution of every channel of `[n, C]` with its taps `[C, k]`.

    Example:
        >>> depthwise(torch.ones(5, 1), torch.ones(1, 3), None, stride=1, dilation=1, count=3).T
        tensor([[3., 3., 3.]])
    """
    loops = compiled("kernels") if steps.device.type == "cpu" and not torch.is_grad_enabled() else None
    if loops is None:
        out = F.conv1d(steps.T[None], weight[:, None], bias, stride, 0, dilation, steps.shape[1])
        return out[0, :, :count].T.contiguous()
    steps = steps.contiguous()
    out = steps.new_empty(count, steps.shape[1])
    bias = steps.new_zeros(steps.shape[1]) if bias is None else bias.detach()
    loops.depthwise(steps.numpy(), weight.detach().T.contiguous().numpy(), bias.numpy(), stride, dilation, out.numpy())
    return out
