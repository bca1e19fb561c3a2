"""ConvNeXt blocks that look back only, of DualCodec (arXiv:2505.13000, section 3.1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d, causal
from tokaudio.nn.stages import Added, Pipeline, Pointwise, Sequence, Stage

_TAPS, _EPS = 7, 1e-6


class CausalConvNeXt(nn.Module):
    """Depthwise convolution over the past, norm, and a perceptron per frame, added to the input.

    Args:
        dim: D.
        hidden: width inside the perceptron.

    Shape:
        input and output `[B, D, T]`.

    Example:
        >>> import torch
        >>> CausalConvNeXt(8, 16)(torch.zeros(1, 8, 5)).shape
        torch.Size([1, 8, 5])
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.dwconv = Conv1d(dim, dim, _TAPS, groups=dim, padding=causal(_TAPS))
        self.norm = nn.LayerNorm(dim, eps=_EPS)
        self.pwconv1, self.pwconv2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, D, T]`."""
        return x + self._mixed(self.dwconv(x).transpose(1, 2)).transpose(1, 2)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Added(Pipeline([self.dwconv.stage(), Pointwise(self._mixed)]))

    def _mixed(self, rows: Tensor) -> Tensor:
        """Map each frame of `[..., D]`, after the convolution, to what is added to the input."""
        mixed: Tensor = self.pwconv2(F.gelu(self.pwconv1(self.norm(rows))))
        return mixed


def narrowing(width: int, dim: int, hidden: int, blocks: int) -> Sequence:
    """Return a product of single frames from `width` to `dim`, and blocks.

    Shape:
        input `[B, width, T]`, output `[B, dim, T]`.

    Example:
        >>> import torch
        >>> narrowing(16, 8, 24, blocks=2)(torch.zeros(1, 16, 5)).shape
        torch.Size([1, 8, 5])
    """
    return Sequence(Conv1d(width, dim, 1), *(CausalConvNeXt(dim, hidden) for _ in range(blocks)))


def widening(dim: int, width: int, hidden: int, blocks: int) -> Sequence:
    """Return blocks, and a product of single frames from `dim` to `width`.

    Shape:
        input `[B, dim, T]`, output `[B, width, T]`.

    Example:
        >>> import torch
        >>> widening(8, 16, 24, blocks=2)(torch.zeros(1, 8, 5)).shape
        torch.Size([1, 16, 5])
    """
    return Sequence(*(CausalConvNeXt(dim, hidden) for _ in range(blocks)), Conv1d(dim, width, 1))
