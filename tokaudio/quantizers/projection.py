"""Linear maps in front of and behind a search: in float32, so that codes do not depend on autocast."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Projection(nn.Linear):
    """A linear layer that computes in float32 (float64 if given some), whatever its weights are, autocast or not.

    A code is decided by differences that half precision cannot hold, so that a projection before a search must be as
    exact as the search itself.

    Example:
        >>> layer = Projection(4, 2).bfloat16()
        >>> layer(torch.zeros(3, 4, dtype=torch.bfloat16)).dtype
        torch.float32
    """

    def forward(self, rows: Tensor) -> Tensor:
        """Map rows `[..., D]` to `[..., d]`."""
        with torch.autocast(rows.device.type, enabled=False):
            dtype = torch.promote_types(torch.promote_types(rows.dtype, self.weight.dtype), torch.float32)
            bias = None if self.bias is None else self.bias.to(dtype)
            return F.linear(rows.to(dtype), self.weight.to(dtype), bias)

    def across(self, latents: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, d, T]`, in the order in which they lie in memory."""
        with torch.autocast(latents.device.type, enabled=False):
            dtype = torch.promote_types(torch.promote_types(latents.dtype, self.weight.dtype), torch.float32)
            matrix = self.weight.to(dtype).expand(len(latents), -1, -1)
            columns = latents.to(dtype).contiguous()
            return (
                matrix @ columns if self.bias is None else torch.baddbmm(self.bias.to(dtype)[:, None], matrix, columns)
            )


def project_across(layer: nn.Module, latents: Tensor) -> Tensor:
    """Map `[B, D, T]` to `[B, d, T]` by what `projection` returned.

    Example:
        >>> latents = torch.randn(2, 4, 7)
        >>> project_across(projection(4, 3), latents).shape, project_across(projection(4, 4), latents) is latents
        (torch.Size([2, 3, 7]), True)
    """
    return layer.across(latents) if isinstance(layer, Projection) else latents


def projection(given: int, wanted: int) -> nn.Module:
    """Return a projection from one width to another, or the identity where they are equal.

    Example:
        >>> type(projection(4, 4)).__name__, type(projection(4, 2)).__name__
        ('Identity', 'Projection')
    """
    return nn.Identity() if given == wanted else Projection(given, wanted)
