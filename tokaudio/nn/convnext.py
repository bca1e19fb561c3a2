"""ConvNeXt blocks over frames (Liu et al. 2022, arXiv:2201.03545, section 2), in one dimension and channels last.

Every block mixes neighbouring frames with a depthwise convolution and then works on each frame alone, so the receptive
field is finite and known: `kernel_size // 2` frames to each side per block.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrameConv(nn.Module):
    """Convolution over frames with zero padding that keeps their number.

    Frames stay channels-last; inside, they become a channels-last picture of height one, which is the fast layout for
    small kernels on a CPU.

    Shape:
        input `[B, T, D_in]`, output `[B, T, D_out]`.

    Example:
        >>> FrameConv(4, 6, 3)(torch.zeros(2, 10, 4)).shape
        torch.Size([2, 10, 6])
    """

    def __init__(self, in_dim: int, out_dim: int, kernel_size: int, *, groups: int = 1) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd to keep the number of frames, got {kernel_size}")
        self.kernel_size, self.groups = kernel_size, groups
        self.weight = nn.Parameter(torch.empty(out_dim, in_dim // groups, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_dim))
        nn.init.trunc_normal_(self.weight, std=(in_dim // groups * kernel_size) ** -0.5)

    @property
    def reach(self) -> int:
        """Frames seen to each side of an output frame."""
        return self.kernel_size // 2

    def forward(self, frames: Tensor) -> Tensor:
        """Convolve `[B, T, D_in]` to `[B, T, D_out]`."""
        picture = frames.transpose(1, 2).unsqueeze(2)
        padding = (0, self.reach)
        out = F.conv2d(picture, self.weight.unsqueeze(2), self.bias, padding=padding, groups=self.groups)
        return out.squeeze(2).transpose(1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer norm, and a two-layer perceptron per frame, added to the input.

    Shape:
        input and output `[B, T, D]`.

    Example:
        >>> ConvNeXtBlock(8, expansion=2)(torch.zeros(1, 5, 8)).shape
        torch.Size([1, 5, 8])
    """

    def __init__(self, dim: int, *, expansion: float, kernel_size: int = 7, layer_scale: float = 0.3) -> None:
        super().__init__()
        hidden = round(dim * expansion)
        self.conv = FrameConv(dim, dim, kernel_size, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, hidden)
        self.narrow = nn.Linear(hidden, dim)
        self.scale = nn.Parameter(torch.full((dim,), layer_scale))

    def forward(self, frames: Tensor) -> Tensor:
        """Refine frames `[B, T, D]`."""
        hidden = F.gelu(self.widen(self.norm(self.conv(frames))))
        return frames + self.scale * self.narrow(hidden)


class ConvNeXtStack(nn.Module):
    """An entry convolution, some blocks, and a final norm.

    Shape:
        input `[B, T, D_in]`, output `[B, T, D]`.

    Example:
        >>> stack = ConvNeXtStack(4, 8, blocks=2, expansion=2)
        >>> stack(torch.zeros(1, 20, 4)).shape, stack.reach
        (torch.Size([1, 20, 8]), 9)
    """

    def __init__(
        self, in_dim: int, dim: int, *, blocks: int, expansion: float, kernel_size: int = 7, entry_kernel_size: int = 7
    ) -> None:
        super().__init__()
        self.entry = FrameConv(in_dim, dim, entry_kernel_size)
        self.entry_norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(dim, expansion=expansion, kernel_size=kernel_size) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(dim)
        self.reach = entry_kernel_size // 2 + blocks * (kernel_size // 2)

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames `[B, T, D_in]` to `[B, T, D]`."""
        frames = self.entry_norm(self.entry(frames))
        for block in self.blocks:
            frames = block(frames)
        out: Tensor = self.norm(frames)
        return out
