"""The networks of Mimi (arXiv:2410.00037, section 3.3.1): SEANet, a causal transformer, and half its frame rate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d, ConvTranspose1d, causal
from tokaudio.nn.seanet import SEANet
from tokaudio.nn.stages import Pipeline, Stage, stage_of
from tokaudio.nn.transformer import CausalTransformer


@dataclass(frozen=True, kw_only=True)
class TransformerSizes:
    """Sizes of the transformers, one in the encoder and one in the decoder; their width is the latents'.

    Attributes:
        layers: number of layers.
        heads: of the attention.
        hidden: width between the two feed-forward layers.
        window: steps that each step sees, itself included.
        max_period: of the slowest rotation, in steps times 2 pi.
        eps: of the layer norms.
    """

    layers: int = 8
    heads: int = 8
    hidden: int = 2048
    window: int = 250
    max_period: float = 10_000.0
    eps: float = 1e-5

    def make(self, dim: int) -> CausalTransformer:
        """Return an untrained transformer of width `dim`."""
        return CausalTransformer(
            dim,
            layers=self.layers,
            heads=self.heads,
            hidden=self.hidden,
            window=self.window,
            max_period=self.max_period,
            eps=self.eps,
        )


class MimiEncoder(nn.Module):
    """From samples `[B, 1, S]` to latents `[B, D, T]`, one for `hop_length * stride` samples.

    Example:
        >>> net = SEANet(filters=2, dimension=8, ratios=(4, 2), causal=True, padding="zeros", lstm_layers=0)
        >>> sizes = TransformerSizes(layers=1, heads=2, hidden=8)
        >>> MimiEncoder(net, sizes, stride=2)(torch.zeros(1, 1, 32)).shape
        torch.Size([1, 8, 2])
    """

    def __init__(self, net: SEANet, sizes: TransformerSizes, *, stride: int) -> None:
        super().__init__()
        self.seanet, self.transformer = net.encoder(), sizes.make(net.dimension)
        # Unlike the others, this convolution repeats the first and the last step.
        self.downsample = Conv1d(
            net.dimension,
            net.dimension,
            2 * stride,
            stride=stride,
            bias=False,
            padding=causal(2 * stride, stride),
            mode="replicate",
            fit=True,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, S]` to `[B, D, T]`."""
        latents: Tensor = self.downsample(self.transformer(self.seanet(x)))
        return latents

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pipeline([self.seanet.stage(), self.transformer.stage(), self.downsample.stage()])


class MimiDecoder(nn.Module):
    """From vectors `[B, D, T]` to samples `[B, 1, T * hop_length * stride]`.

    Args:
        net: sizes of the SEANet.
        sizes: of the transformer.
        stride: steps per vector.
        depthwise: spread every channel of the vectors alone, as all published weights do: the authors report it as a
            slip that training has made part of the model.

    Example:
        >>> net = SEANet(filters=2, dimension=8, ratios=(4, 2), causal=True, padding="zeros", lstm_layers=0)
        >>> sizes = TransformerSizes(layers=1, heads=2, hidden=8)
        >>> MimiDecoder(net, sizes, stride=2)(torch.zeros(1, 8, 2)).shape
        torch.Size([1, 1, 32])
    """

    def __init__(self, net: SEANet, sizes: TransformerSizes, *, stride: int, depthwise: bool = True) -> None:
        super().__init__()
        self.upsample: nn.Module = (
            DepthwiseUpsampling(net.dimension, stride)
            if depthwise
            else ConvTranspose1d(net.dimension, net.dimension, 2 * stride, stride=stride, trim=(0, stride), bias=False)
        )
        self.transformer, self.seanet = sizes.make(net.dimension), net.decoder()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, C, S]`."""
        samples: Tensor = self.seanet(self.transformer(self.upsample(x)))
        return samples

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pipeline([stage_of(self.upsample), self.transformer.stage(), self.seanet.stage()])


class DepthwiseUpsampling(nn.Module):
    """Transposed convolution of every channel alone, causal, with twice as many taps as its stride and no bias.

    Args:
        channels: C.
        stride: steps of output per step of input.

    Shape:
        input `[B, C, T]`, output `[B, C, T * stride]`.

    Example:
        >>> DepthwiseUpsampling(3, 2)(torch.zeros(1, 3, 5)).shape
        torch.Size([1, 3, 10])
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels, 1, 2 * stride).uniform_(-1, 1) * (2 * stride) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T * stride]`."""
        full = F.conv_transpose1d(x, self.weight, None, self.stride, groups=x.shape[1])
        return full[..., : x.shape[2] * self.stride]

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return _UpsamplingStage(self)


class _UpsamplingStage:
    """A depthwise upsampling in the course of one signal: it keeps the last step."""

    def __init__(self, upsampling: DepthwiseUpsampling) -> None:
        self._stride = upsampling.stride
        # [taps, C]: the first `stride` taps meet the step itself, the others the one before.
        self._now, self._then = upsampling.weight[:, 0].T.split(upsampling.stride)
        self._before = upsampling.weight.new_zeros(1, len(upsampling.weight))

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to `[n * stride, C]`; nothing has to wait."""
        before = torch.cat([self._before, block])
        self._before = before[-1:].clone()
        spread = torch.addcmul(block[:, None] * self._now, before[:-1, None], self._then)
        return spread.flatten(0, 1)
