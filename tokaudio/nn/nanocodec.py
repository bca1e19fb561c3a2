"""The encoder and the decoder of NanoCodec (Casanova et al. 2025, arXiv:2508.05835, section 2).

The published encoders look to both sides; the decoders are causal and change the rate by channels in pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d, ConvTranspose1d, Padding, causal
from tokaudio.nn.hifigan import (
    ActivatedConv,
    Activation,
    Clamp,
    PairUpsampling,
    activation,
    in_order,
    residual_layer,
)
from tokaudio.nn.stages import Pipeline, Sliced, Stage, stage_of

# Numbers in a tensor between two layers, so that what a layer reads and writes stays in a core's L2 cache; but at
# least so many steps, so that weights, which do not fit there, are read seldom.
_SLICE, _LEAST_STEPS = 2**18, 512


@dataclass(frozen=True, kw_only=True)
class HiFiGAN:
    """Sizes of one of the two networks.

    Attributes:
        latent_dim: D.
        rates: of the changes of rate, in the order in which they come.
        base_channels: after the first convolution; every change of rate doubles them, or halves them in a decoder.
        in_kernel_size: of the first convolution.
        out_kernel_size: of the last one.
        kernel_sizes: of the residual branches.
        dilations: of the units of each branch.
        activation: of all but the output.
        causal: whether nothing looks ahead.
        padding: what a network that is not causal sees beyond the ends; a causal one sees zeros.
        paired: whether every channel of a rate increase comes from two channels, rather than from all.
        output: what keeps samples in [-1, 1].
    """

    latent_dim: int
    rates: tuple[int, ...]
    base_channels: int
    in_kernel_size: int = 7
    out_kernel_size: int = 7
    kernel_sizes: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[int, ...] = (1, 3, 5)
    activation: Activation = "lrelu"
    causal: bool = False
    padding: Padding = "replicate"
    paired: bool = True
    output: str = "clamp"

    def __post_init__(self) -> None:
        for name in ("rates", "kernel_sizes", "dilations"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        numbers = [self.latent_dim, self.base_channels, self.in_kernel_size, self.out_kernel_size]
        numbers += [*self.rates, *self.kernel_sizes, *self.dilations]
        if not (self.rates and self.kernel_sizes and self.dilations) or min(numbers) < 1:
            raise ValueError("all sizes must be 1 or more, and none of the lists empty")
        if any(size % 2 == 0 for size in (self.in_kernel_size, self.out_kernel_size, *self.kernel_sizes)):
            raise ValueError("kernel sizes must be odd")
        if self.output not in ("tanh", "clamp"):
            raise ValueError(f"output must be tanh or clamp, got {self.output!r}")

    def conv(self, channels: int, out_channels: int, kernel_size: int, dilation: int = 1) -> Conv1d:
        """Return a convolution that keeps the number of steps."""
        reach = (kernel_size - 1) * dilation
        padding = (reach, 0) if self.causal else (reach // 2, reach // 2)
        mode: Padding = "zeros" if self.causal else self.padding
        return Conv1d(channels, out_channels, kernel_size, dilation=dilation, padding=padding, mode=mode)

    def downsampling(self, channels: int, stride: int) -> Conv1d:
        """Return the convolution that doubles the channels and keeps one step of `stride`."""
        edge = (stride + 1) // 2
        padding = causal(2 * stride, stride) if self.causal else (edge, edge)
        mode: Padding = "zeros" if self.causal else self.padding
        return Conv1d(channels, 2 * channels, 2 * stride, stride=stride, padding=padding, mode=mode)

    def upsampling(self, channels: int, stride: int) -> nn.Module:
        """Return the transposed convolution that halves the channels and makes `stride` steps of one."""
        trim = (0, stride) if self.causal else ((stride + 1) // 2, stride // 2)
        if self.paired:
            return PairUpsampling(channels, stride, trim=trim)
        return ConvTranspose1d(channels, channels // 2, 2 * stride, stride=stride, trim=trim)

    def layer(self, channels: int) -> nn.Module:
        """Return the residual branches at a width."""
        return residual_layer(channels, self.activation, self.kernel_sizes, self.dilations, self.conv)


class NanoEncoder(nn.Module):
    """Samples to latents.

    Shape:
        input `[B, 1, S]`, S a multiple of the product of the rates; output `[B, D, T]`.

    Example:
        >>> import torch
        >>> NanoEncoder(HiFiGAN(latent_dim=8, rates=(2, 3), base_channels=4))(torch.zeros(1, 1, 60)).shape
        torch.Size([1, 8, 10])
    """

    def __init__(self, sizes: HiFiGAN) -> None:
        super().__init__()
        width = sizes.base_channels
        self.entry = sizes.conv(1, width, sizes.in_kernel_size)
        self.layers, self.downs = nn.ModuleList(), nn.ModuleList()
        for rate in sizes.rates:
            self.layers.append(sizes.layer(width))
            self.downs.append(ActivatedConv(activation(sizes.activation, width), sizes.downsampling(width, rate)))
            width *= 2
        last = sizes.conv(width, sizes.latent_dim, sizes.out_kernel_size)
        self.exit = ActivatedConv(activation(sizes.activation, width), last)
        self.width = sizes.base_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, 1, S]` to `[B, D, T]`."""
        x = self.entry(x)
        for layer, down in zip(self.layers, self.downs, strict=True):
            x = down(layer(x))
        latents: Tensor = self.exit(x)
        return latents

    def stage(self) -> Stage:
        """Return a fresh stage."""
        stages: list[Stage] = []
        first: Sequence[nn.Module] = [self.entry]
        width = self.width
        for layer, down in zip(self.layers, self.downs, strict=True):
            stages.append(Sliced(in_order([*first, layer, down]), steps_of(width)))
            first, width = [], 2 * width
        return Pipeline([*stages, stage_of(self.exit)])


class NanoDecoder(nn.Module):
    """Vectors to samples in [-1, 1].

    Shape:
        input `[B, D, T]`, output `[B, 1, S]`, S being T times the product of the rates.

    Example:
        >>> import torch
        >>> sizes = HiFiGAN(latent_dim=8, rates=(3, 2), base_channels=12, activation="half_snake", causal=True)
        >>> NanoDecoder(sizes)(torch.zeros(1, 8, 10)).shape
        torch.Size([1, 1, 60])
    """

    def __init__(self, sizes: HiFiGAN) -> None:
        super().__init__()
        width = sizes.base_channels
        if width % (1 << len(sizes.rates)):
            raise ValueError(f"base_channels is {width}, which {len(sizes.rates)} changes of rate cannot halve")
        self.sizes = sizes
        self.entry = sizes.conv(sizes.latent_dim, width, sizes.in_kernel_size)
        self.acts, self.ups, self.layers = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for rate in sizes.rates:
            self.acts.append(activation(sizes.activation, width))
            self.ups.append(sizes.upsampling(width, rate))
            width //= 2
            self.layers.append(sizes.layer(width))
        self.exit = ActivatedConv(activation(sizes.activation, width), sizes.conv(width, 1, sizes.out_kernel_size))
        self.output = nn.Tanh() if sizes.output == "tanh" else Clamp()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, 1, S]`."""
        x = self.entry(x)
        for act, up, layer in zip(self.acts, self.ups, self.layers, strict=True):
            x = layer(up(act(x)))
        samples: Tensor = self.output(self.exit(x))
        return samples

    def stage(self) -> Stage:
        """Return a fresh stage."""
        stages: list[Stage] = [stage_of(self.entry)]
        width = self.sizes.base_channels
        for index, (act, up, layer) in enumerate(zip(self.acts, self.ups, self.layers, strict=True)):
            width //= 2
            rate = self.sizes.rates[index]
            last = [self.exit, self.output] if index + 1 == len(self.ups) else []
            stages.append(Sliced(in_order([act, up, layer, *last]), max(1, steps_of(width) // rate)))
        return Pipeline(stages)


def steps_of(width: int) -> int:
    """Return the steps of a slice at a width.

    Example:
        >>> steps_of(32)
        8192
    """
    return max(_LEAST_STEPS, _SLICE // width)
