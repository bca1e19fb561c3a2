"""Layers that see a whole signal at the frame rate: attention of every frame to every other, norms over time.

They stand between the convolutions and the ConvNeXt blocks of WavTokenizer's decoder (arXiv:2408.16532, section 3.3).
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d
from tokaudio.nn.kept import Kept
from tokaudio.nn.stages import Residual, Sequence, Stage, Whole, stage_of
from tokaudio.nn.winograd import centred, factors_of, pays

# Groups of every norm over time.
GROUPS = 32
# Frames whose squares are summed together.
_ROWS = 768
# Queries that attend together.
_QUERIES = 256


class TimeNorm(nn.Module):
    """Group norm with 32 groups, whose statistics run over all of time.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> TimeNorm(64)(torch.ones(1, 64, 5)).abs().max().item()
        0.0
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        return F.group_norm(x, GROUPS, self.weight, self.bias, 1e-6)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Whole(self._whole)

    def _whole(self, steps: Tensor) -> Tensor:
        # Sums over time first: a fast way through memory, unlike torch's own variance over the first axis.
        means = (steps.sum(0) / len(steps)).view(GROUPS, -1)
        mean = means.mean(1, keepdim=True)
        middle = mean.expand_as(means).flatten()
        squares = torch.stack([(part - middle).square_().sum(0) for part in steps.split(_ROWS)]).sum(0)
        variance = (squares / len(steps)).view(GROUPS, -1).mean(1, keepdim=True)
        scale = self.weight * (variance + 1e-6).rsqrt().expand_as(means).flatten()
        return torch.addcmul(self.bias - middle * scale, steps, scale)


class ResnetUnit(Residual):
    """Norm, swish and convolution, twice, added to the input.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> ResnetUnit(64)(torch.zeros(1, 64, 5)).shape
        torch.Size([1, 64, 5])
    """

    def __init__(self, channels: int) -> None:
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [TimeNorm(channels), nn.SiLU(), Conv1d(channels, channels, 3, padding=(1, 1))]
        super().__init__(Sequence(*layers))
        self._factors = Kept[Tensor](), Kept[Tensor]()

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Whole(self._whole)

    def _whole(self, steps: Tensor) -> Tensor:
        out, factors = steps, iter(self._factors)
        for layer in self.body.children():
            if isinstance(layer, Conv1d):
                kept, weight = next(factors), layer.weight
                if pays(out, layer.out_channels):
                    out = centred(out, kept.of([weight], partial(factors_of, weight)), layer.bias)
                else:
                    out = wide_product(layer, out)
            else:
                out = F.silu(out, inplace=True) if isinstance(layer, nn.SiLU) else stage_of(layer)(out, True)
        return out.add_(steps)


class GlobalAttention(nn.Module):
    """One attention head over all of time, added to the input.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> GlobalAttention(64)(torch.zeros(1, 64, 5)).shape
        torch.Size([1, 64, 5])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = TimeNorm(channels)
        self.q, self.k, self.v, self.proj_out = (Conv1d(channels, channels, 1) for _ in range(4))
        for conv in (self.q, self.k, self.v, self.proj_out):
            turned(conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        normed = self.norm(x)
        q, k, v = (layer(normed).transpose(1, 2) for layer in (self.q, self.k, self.v))
        seen: Tensor = self.proj_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2))
        return x + seen

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Whole(self._whole)

    def _whole(self, steps: Tensor) -> Tensor:
        normed = self.norm.stage()(steps, True)
        k, v = wide_product(self.k, normed), wide_product(self.v, normed)
        out = torch.empty_like(steps)
        # Some queries at a time: the table of all with all would grow with the square of the duration.
        for queries, past, results in zip(
            normed.split(_QUERIES), steps.split(_QUERIES), out.split(_QUERIES), strict=True
        ):
            scores = torch.mm(wide_product(self.q, queries) * steps.shape[1] ** -0.5, k.T)
            torch.add(wide_product(self.proj_out, torch.softmax(scores, 1) @ v), past, out=results)
        return out


def wide_product(conv: Conv1d, steps: Tensor) -> Tensor:
    """Return a convolution of stride 1 and odd length over a whole signal `[n, C]`, padded with zeros, as `[n, D]`.

    The weight is laid out `[taps, C, D]` in memory at the first call: wide products of few rows are faster so.

    Example:
        >>> conv = Conv1d(2, 3, 3, padding=(1, 1))
        >>> steps = torch.arange(8.0).view(4, 2)
        >>> torch.allclose(wide_product(conv, steps), conv(steps.T[None])[0].T, atol=1e-6)
        True
    """
    weight, reach = turned(conv.weight), conv.kernel_size // 2
    bias = steps.new_zeros(conv.out_channels) if conv.bias is None else conv.bias
    out = torch.addmm(bias, steps, weight[reach])
    for tap in range(conv.kernel_size):
        shift = tap - reach
        if 0 < abs(shift) < len(steps):
            there, here = (slice(shift, None), slice(-shift)) if shift > 0 else (slice(shift), slice(-shift, None))
            out[here].addmm_(steps[there], weight[tap])
    return out


def turned(weight: Tensor) -> Tensor:
    """Return a weight with its axes in the opposite order, in memory too from the first call on.

    Example:
        >>> weight = torch.zeros(4, 3, 2)
        >>> turned(weight).shape, turned(weight).data_ptr() == weight.data_ptr(), weight.stride()
        (torch.Size([2, 3, 4]), True, (1, 4, 12))
    """
    axes = tuple(range(weight.ndim - 1, -1, -1))
    if not weight.permute(axes).is_contiguous():
        weight.data = weight.data.permute(axes).contiguous().permute(axes)
    return weight.permute(axes)
