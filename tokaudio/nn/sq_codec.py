"""The encoder and the decoder of SQ-Codec (Yang et al. 2024, arXiv:2406.02328, section 3.1): convolutions and PReLU.

Residual units of five dilations at each rate, and strided convolutions between them. Nothing else: the codec is what
its rounding makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d, ConvTranspose1d, causal
from tokaudio.nn.prelu_unit import PReLU, PReLUUnit
from tokaudio.nn.stages import Aligned, InSlices, Pipeline, Pointwise, Stage
from tokaudio.nn.stages import Sequence as Modules

DILATIONS = (1, 3, 5, 7, 9)
# Numbers in a tensor between two layers, so that what a layer reads and writes stays in a core's L2 cache; but at
# least so many steps, so that weights, which do not fit there, are read seldom.
_SLICE, _LEAST_STEPS = 2**18, 1000


class MeanPool(nn.Module):
    """Means of so many steps at a time; what fills no span at the end is left away.

    Example:
        >>> import torch
        >>> MeanPool(2)(torch.tensor([[[1.0, 3.0, 5.0]]]))
        tensor([[[2.]]])
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T // steps]`."""
        return F.avg_pool1d(x, self.steps)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pipeline([Aligned(self.steps), Pointwise(self._means)])

    def _means(self, steps: Tensor) -> Tensor:
        whole = len(steps) // self.steps * self.steps
        return steps[:whole].unflatten(0, (-1, self.steps)).mean(1) if whole else steps[:0]


class Repeat(nn.Module):
    """Every step so many times.

    Example:
        >>> import torch
        >>> Repeat(2)(torch.tensor([[[1.0, 3.0]]]))
        tensor([[[1., 1., 3., 3.]]])
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T * steps]`."""
        return x.repeat_interleave(self.steps, dim=2)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pointwise(lambda steps: steps.repeat_interleave(self.steps, dim=0))


def same_conv(
    in_channels: int, out_channels: int, kernel_size: int, *, back: bool, stride: int = 1, dilation: int = 1
) -> Conv1d:
    """Return a convolution that looks back only, or as far to both sides.

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: taps.
        back: look back only. Strided ones do so by the whole kernel, so that they begin at the first sample.
        stride: steps of input per step of output.
        dilation: distance of the taps.

    Example:
        >>> same_conv(1, 1, 4, back=True, stride=2).padding, same_conv(1, 1, 4, back=False, stride=2).padding
        ((3, 0), (1, 1))
    """
    edge = (kernel_size - 1) * dilation // 2
    padding = causal(kernel_size, 1, dilation) if back else (edge, edge)
    return Conv1d(in_channels, out_channels, kernel_size, stride=stride, dilation=dilation, padding=padding)


def sq_encoder(
    width: int,
    strides: Sequence[int],
    kernels: Sequence[int],
    latent_dim: int,
    *,
    back: bool,
    pool: int = 1,
    edge_kernel: int = 7,
    unit_kernel: int = 7,
) -> Modules:
    """Return the network from samples to latents, before they are squashed and rounded.

    Args:
        width: channels after the first convolution; every block doubles them.
        strides: of the blocks, in samples per step.
        kernels: of the blocks' strided convolutions.
        latent_dim: D.
        back: look back only.
        pool: samples that are averaged behind the first convolution.
        edge_kernel: taps of the first and the last convolution.
        unit_kernel: taps of the residual units.

    Shape:
        input `[B, 1, S]`, output `[B, D, T]`.

    Example:
        >>> import torch
        >>> sq_encoder(4, (2, 5), (4, 10), 16, back=True)(torch.zeros(1, 1, 50)).shape
        torch.Size([1, 16, 5])
    """
    first: list[nn.Module] = [same_conv(1, width, edge_kernel, back=back)]
    if pool > 1:
        first += [same_conv(width, width, edge_kernel, back=back), PReLU(), MeanPool(pool)]
    parts: list[nn.Module] = [InSlices(*first, steps=_steps(width))]
    for stride, kernel in zip(strides, kernels, strict=True):
        units = [PReLUUnit(width, unit_kernel, dilation=dilation, back=back) for dilation in DILATIONS]
        down = same_conv(width, 2 * width, kernel, back=back, stride=stride)
        parts.append(InSlices(*units, down, PReLU(), steps=_steps(width)))
        width *= 2
    return Modules(*parts, same_conv(width, latent_dim, edge_kernel, back=back))


def sq_decoder(
    latent_dim: int,
    width: int,
    strides: Sequence[int],
    kernels: Sequence[int],
    *,
    back: bool,
    pool: int = 1,
    look_kernel: int = 5,
    edge_kernel: int = 7,
    unit_kernel: int = 7,
) -> Modules:
    """Return the network from rounded latents to samples.

    Args:
        latent_dim: D.
        width: channels before the last convolution; every block halves them on the way there.
        strides: of the blocks, in steps per step.
        kernels: of the blocks' transposed convolutions; twice the stride where it looks back only.
        back: look back only, but for the first convolution, which looks to both sides always.
        pool: times that every step is repeated before the last convolution.
        look_kernel: taps of the first convolution.
        edge_kernel: taps of the last convolution.
        unit_kernel: taps of the residual units.

    Shape:
        input `[B, D, T]`, output `[B, 1, S]`.

    Example:
        >>> import torch
        >>> sq_decoder(16, 4, (5, 2), (10, 4), back=True)(torch.zeros(1, 16, 3)).shape
        torch.Size([1, 1, 30])
    """
    channels = width << len(strides)
    parts: list[nn.Module] = [same_conv(latent_dim, channels, look_kernel, back=False)]
    for stride, kernel in zip(strides, kernels, strict=True):
        trim = (0, stride) if back else ((kernel - stride) // 2,) * 2
        up = ConvTranspose1d(channels, channels // 2, kernel, stride=stride, trim=trim)
        channels //= 2
        units = [PReLUUnit(channels, unit_kernel, dilation=dilation, back=back) for dilation in DILATIONS]
        parts.append(InSlices(up, *units, steps=max(1, _steps(channels) // stride)))
    last: list[nn.Module] = []
    if pool > 1:
        last += [Repeat(pool), same_conv(width, width, edge_kernel, back=back), PReLU()]
    return Modules(*parts, InSlices(*last, same_conv(width, 1, edge_kernel, back=back), steps=_steps(width)))


def _steps(width: int) -> int:
    return max(_LEAST_STEPS, _SLICE // width)
