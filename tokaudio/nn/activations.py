"""Activations of published codecs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn import kernels
from tokaudio.nn.stages import Pointwise


class Snake(nn.Module):
    """`x + sin(alpha x)^2 / (alpha + 1e-9)` with one alpha per channel (arXiv:2006.08195; the epsilon is DAC's).

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> Snake(3)(torch.zeros(1, 3, 5)).abs().sum().item()
        0.0
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        alpha = self.alpha[:, None]
        return x + (alpha + 1e-9).reciprocal() * torch.sin(alpha * x).square()

    def stage(self) -> Pointwise:
        """Return a fresh stage."""
        alpha = self.alpha.contiguous()
        scale = (alpha + 1e-9).reciprocal()
        return Pointwise(lambda steps: kernels.snake(steps, alpha, scale))


class ELU(nn.Module):
    """x where it is positive, else `exp(x) - 1` (arXiv:1511.07289).

    Example:
        >>> ELU()(torch.tensor([1.0, -1.0]))
        tensor([ 1.0000, -0.6321])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same."""
        return F.elu(x)

    def stage(self) -> Pointwise:
        """Return a fresh stage."""
        return Pointwise(kernels.elu)
