"""SEANet encoders and decoders (arXiv:2009.02095, section 2; as EnCodec has them: arXiv:2210.13438, section 3.2).

Layers are numbered as in all published checkpoints of this kind, so that names map one to one; see `seanet_name`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from math import ceil, prod
from typing import Literal

from torch import Tensor, nn

from tokaudio.nn.activations import ELU, Snake
from tokaudio.nn.conv import Conv1d, ConvTranspose1d, Padding, causal, centred
from tokaudio.nn.elu_stages import ActivatedConvStage, unit_stage
from tokaudio.nn.lstm import SkipLSTM
from tokaudio.nn.normed import Normed, each_alone, normed_stage
from tokaudio.nn.stages import Pipeline, Residual, Sequence, Sliced, Stage, stage_of

# Numbers in the widest tensor of a slice: half a megabyte, so that input and output of a layer stay in the cache.
_SLICE = 2**17

# The most that a size may be.
_SIZES = {
    "channels": 64,
    "filters": 65536,
    "dimension": 65536,
    "kernel_size": 1024,
    "last_kernel_size": 1024,
    "residual_kernel_size": 1024,
    "residual_layers": 16,
    "dilation_base": 64,
    "compress": 1024,
    "lstm_layers": 16,
}


@dataclass(frozen=True, kw_only=True)
class SEANet:
    """Sizes that an encoder and its decoder share.

    Attributes:
        channels: of the audio.
        filters: channels after the first convolution; doubled at every stride.
        dimension: channels of the latents.
        ratios: strides of the decoder in order; the encoder has them the other way round.
        kernel_size: of the convolution next to the audio, and of the decoder's first.
        last_kernel_size: of the encoder's last convolution, and of the decoder's last.
        residual_kernel_size: of the dilated convolution in a residual unit.
        residual_layers: units per stride.
        dilation_base: unit j of a stride has dilation `dilation_base ** j`.
        compress: a residual unit works at its channels divided by this.
        causal: pad before the signal only.
        padding: what the convolutions are padded with.
        trim_right_ratio: share of a causal transposed convolution's surplus that is cut at the end.
        conv_shortcut: a convolution of one tap, rather than nothing, beside each residual unit.
        lstm_layers: at the bottleneck; 0 for none.
        bidirectional: whether the encoder's LSTM runs in both directions; the decoder's never does.
        activation: of all layers.
        norm: `"group"` for group norm with one group over channels and time after every convolution (EnCodec 48 kHz).

    Example:
        >>> import torch
        >>> net = SEANet(filters=4, dimension=8, ratios=(4, 2), lstm_layers=0)
        >>> net.encoder()(torch.zeros(1, 1, 32)).shape, net.decoder()(torch.zeros(1, 8, 4)).shape
        (torch.Size([1, 8, 4]), torch.Size([1, 1, 32]))
    """

    channels: int = 1
    filters: int = 32
    dimension: int = 128
    ratios: tuple[int, ...] = (8, 5, 4, 2)
    kernel_size: int = 7
    last_kernel_size: int = 7
    residual_kernel_size: int = 3
    residual_layers: int = 1
    dilation_base: int = 2
    compress: int = 2
    causal: bool = False
    padding: Padding = "reflect"
    trim_right_ratio: float = 1.0
    conv_shortcut: bool = True
    lstm_layers: int = 2
    bidirectional: bool = False
    activation: Literal["elu", "snake"] = "elu"
    norm: Literal["none", "group"] = "none"

    def __post_init__(self) -> None:
        """Refuse sizes that no network has, before anything is made."""
        object.__setattr__(self, "ratios", tuple(self.ratios))
        sizes = {name: getattr(self, name) for name in _SIZES} | {f"ratio {i}": r for i, r in enumerate(self.ratios)}
        for name, value in sizes.items():
            least = 0 if name in {"lstm_layers", "residual_layers"} else 1
            if type(value) is not int or not least <= value <= _SIZES.get(name, 1024):
                raise ValueError(f"{name} must be from {least} to {_SIZES.get(name, 1024)}, got {value!r}")
        if not 1 <= len(self.ratios) <= 16:
            raise ValueError(f"ratios must be 1 to 16 numbers, got {len(self.ratios)}")

    @property
    def hop_length(self) -> int:
        """Samples per step of the latents."""
        return prod(self.ratios)

    def encoder(self) -> SEANetEncoder:
        """Return an untrained encoder `[B, C, S]` to `[B, D, T]`."""
        return SEANetEncoder(self)

    def decoder(self) -> SEANetDecoder:
        """Return an untrained decoder `[B, D, T]` to `[B, C, S]`."""
        return SEANetDecoder(self)

    # --- layers ----------------------------------------------------------------------------------------------------

    def conv(self, inputs: int, outputs: int, kernel_size: int, *, stride: int = 1, dilation: int = 1) -> nn.Module:
        """Return a convolution with this network's padding and norm."""
        padding = (causal if self.causal else centred)(kernel_size, stride, dilation)
        layer = Conv1d(
            inputs,
            outputs,
            kernel_size,
            stride=stride,
            dilation=dilation,
            padding=padding,
            mode=self.padding,
            fit=True,
        )
        return layer if self.norm == "none" else Normed(layer, outputs)

    def upsampling(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        """Return a transposed convolution of twice as many taps as its stride."""
        right = ceil(stride * self.trim_right_ratio) if self.causal else stride // 2
        trim = (stride - right, right)
        if self.norm == "none":
            return ConvTranspose1d(inputs, outputs, 2 * stride, stride=stride, trim=trim)
        # The norm counts the steps that are cut off after it, as the published networks have it.
        return Normed(ConvTranspose1d(inputs, outputs, 2 * stride, stride=stride), outputs, trim=trim)

    def act(self, channels: int) -> nn.Module:
        """Return an activation."""
        return ELU() if self.activation == "elu" else Snake(channels)

    def unit(self, channels: int, dilation: int) -> nn.Module:
        """Return a residual unit."""
        hidden = channels // self.compress
        body = Sequence(
            self.act(channels),
            self.conv(channels, hidden, self.residual_kernel_size, dilation=dilation),
            self.act(hidden),
            self.conv(hidden, channels, 1),
        )
        return Residual(body, self.conv(channels, channels, 1) if self.conv_shortcut else None)

    def units(self, channels: int) -> list[nn.Module]:
        """Return the residual units of one stride."""
        return [self.unit(channels, self.dilation_base**number) for number in range(self.residual_layers)]


class SEANetEncoder(nn.Module):
    """From samples `[B, C, S]` to latents `[B, D, ceil(S / hop)]`; made by [`SEANet`][tokaudio.nn.seanet.SEANet]."""

    def __init__(self, net: SEANet) -> None:
        super().__init__()
        self.net = net
        width = net.filters
        layers = [net.conv(net.channels, width, net.kernel_size)]
        for ratio in reversed(net.ratios):
            layers += [*net.units(width), net.act(width), net.conv(width, 2 * width, 2 * ratio, stride=ratio)]
            width *= 2
        # In front of the bottleneck steps are few: what comes before runs in slices.
        self.sliced = len(layers)
        if net.lstm_layers:
            layers.append(SkipLSTM(width, layers=net.lstm_layers, bidirectional=net.bidirectional))
            width *= 2 if net.bidirectional else 1
        layers += [net.act(width), net.conv(width, net.dimension, net.last_kernel_size)]
        self.layers = Sequence(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, S]` to `[B, D, T]`."""
        latents: Tensor = self.layers(x)
        return latents

    def each_alone(self, blocks: Ordered[Tensor]) -> list[Tensor]:
        """Map several whole signals `[n, C]` to `[T, D]`, each as it would be alone."""
        return each_alone(self.layers, blocks)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        if self.net.norm == "group":
            return normed_stage(self.layers)
        front = 1 + (self.net.residual_layers + 2) * min(2, len(self.net.ratios))
        steps = max(self.net.hop_length, _SLICE // self.net.filters)
        return Pipeline([Sliced(staged(list(self.layers)[:front]), steps), staged(list(self.layers)[front:])])


class SEANetDecoder(nn.Module):
    """From latents `[B, D, T]` to samples `[B, C, T * hop]`; made by [`SEANet`][tokaudio.nn.seanet.SEANet]."""

    def __init__(self, net: SEANet) -> None:
        super().__init__()
        self.net = net
        width = net.filters * 2 ** len(net.ratios)
        layers = [net.conv(net.dimension, width, net.kernel_size)]
        if net.lstm_layers:
            layers.append(SkipLSTM(width, layers=net.lstm_layers))
        for ratio in net.ratios:
            layers += [net.act(width), net.upsampling(width, width // 2, ratio), *net.units(width // 2)]
            width //= 2
        layers += [net.act(width), net.conv(width, net.channels, net.last_kernel_size)]
        self.layers = Sequence(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, C, S]`."""
        samples: Tensor = self.layers(x)
        return samples

    def each_alone(self, blocks: Ordered[Tensor]) -> list[Tensor]:
        """Map several whole signals `[T, D]` to `[n, C]`, each as it would be alone."""
        return each_alone(self.layers, blocks)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        if self.net.norm == "group":
            return normed_stage(self.layers)
        tail = 2 + (self.net.residual_layers + 2) * min(2, len(self.net.ratios))
        # A step at the tail's input becomes so many samples.
        growth = prod(self.net.ratios[-2:])
        steps = max(1, _SLICE // self.net.filters // growth)
        return Pipeline([staged(list(self.layers)[:-tail]), Sliced(staged(list(self.layers)[-tail:]), steps)])


def staged(layers: Ordered[nn.Module]) -> Stage:
    """Return one stage of several modules.

    Example:
        >>> import torch
        >>> staged([nn.ReLU(), nn.Tanh()])(torch.zeros(2, 3), last=True).shape
        torch.Size([2, 3])
    """
    stages: list[Stage] = []
    rest = list(layers)
    while rest:
        layer = rest.pop(0)
        following = rest[0] if rest else None
        if isinstance(layer, ELU) and isinstance(following, Conv1d) and following.kernel_size > 1:
            stages.append(ActivatedConvStage(following))
            del rest[0]
        else:
            stages.append(unit_stage(layer) if isinstance(layer, Residual) else stage_of(layer))
    return Pipeline(stages)


def seanet_name(name: str, *, normed: bool = False) -> str:
    """Return our name of a tensor of a SEANet from any of its published names, weight norm folded.

    `layers` or `model` number the layers; a convolution is wrapped once (`conv`) or twice (`conv.conv`,
    `convtr.convtr`), its norm beside it.

    Args:
        name: as published.
        normed: whether the network has group norm, so that convolutions are not alone in their layer.

    Example:
        >>> seanet_name("encoder.model.1.block.3.conv.conv.weight"), seanet_name("encoder.layers.1.shortcut.conv.bias")
        ('encoder.layers.1.body.3.weight', 'encoder.layers.1.shortcut.bias')
        >>> seanet_name("decoder.model.3.convtr.norm.weight", normed=True), seanet_name("encoder.model.13.lstm.bias_l0")
        ('decoder.layers.3.norm.weight', 'encoder.layers.13.lstm.bias_l0')
    """
    name = re.sub(r"(^|\.)model\.(\d+\.)", r"\1layers.\2", name)
    name = re.sub(r"(layers\.\d+\.)block\.", r"\1body.", name)
    name = re.sub(r"\.(?:conv|convtr)\.((?:conv|convtr|norm)\.)", r".\1", name)
    return re.sub(r"\.(?:conv|convtr)\.(weight|bias)$", r".conv.\1" if normed else r".\1", name)
