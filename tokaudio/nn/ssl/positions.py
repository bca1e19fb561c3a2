"""How frames know where they are: a convolution over wide neighbourhoods, and WavLM's distances."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import laid_out


class PositionalConv(nn.Module):
    """A grouped convolution of many taps and GELU (arXiv:2006.11477, section 2), added to its input.

    Shape:
        input and output `[B, T, D]`.

    Example:
        >>> PositionalConv(32, taps=128, groups=16)(torch.zeros(1, 5, 32)).shape
        torch.Size([1, 5, 32])
    """

    def __init__(self, width: int, *, taps: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, taps, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, T, D]` to `[B, T, D]`."""
        left = self.conv.kernel_size[0] // 2
        padded = F.pad(x, (0, 0, left, self.conv.kernel_size[0] - 1 - left))
        # A picture of height one with channels last is what is fastest on a CPU.
        picture, weight = padded.transpose(1, 2)[:, :, None], laid_out(self.conv.weight)[:, :, None]
        mixed = F.conv2d(picture, weight, self.conv.bias, groups=self.conv.groups)
        return x + F.gelu(mixed[:, :, 0].transpose(1, 2))


class Distances(nn.Module):
    """One value per head for the distance of a key from its query (arXiv:2110.13900, section 3.1).

    Distances are told apart one by one up to a quarter of the buckets, then ever more coarsely up to the longest.

    Example:
        >>> Distances(heads=2, buckets=32, longest=80)(5).shape
        torch.Size([2, 9])
    """

    def __init__(self, heads: int, *, buckets: int, longest: int) -> None:
        super().__init__()
        self.table = nn.Embedding(buckets, heads)
        self.longest = longest

    def forward(self, count: int) -> Tensor:
        """Return the values `[H, 2 * count - 1]` of distances -(count - 1) to count - 1."""
        distances = torch.arange(1 - count, count, device=self.table.weight.device)
        values: Tensor = self.table(self.buckets(distances))
        return values.T.contiguous()

    def buckets(self, distances: Tensor) -> Tensor:
        """Return the bucket of each distance; keys that come after their query have the upper half.

        Example:
            >>> Distances(heads=1, buckets=32, longest=80).buckets(torch.tensor([-900, -8, -1, 0, 1, 9]))
            tensor([15,  8,  1,  0, 17, 24])
        """
        half = self.table.num_embeddings // 2
        exact = half // 2
        far = distances.abs()
        # In float32, in this order: other roundings would move the borders.
        coarse = torch.log(far.clamp(min=1).float() / exact) / math.log(self.longest / exact) * (half - exact)
        coarse = (exact + coarse).long().clamp(max=half - 1)
        return (distances > 0).long() * half + torch.where(far < exact, far, coarse)
