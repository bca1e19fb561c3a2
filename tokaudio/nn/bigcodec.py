"""The encoder and the decoder of BigCodec (Xin et al. 2024, arXiv:2409.05377, section 2).

Residual units as in DAC, but each SnakeBeta works at twice the rate, and an LSTM stands next to the latents. Nothing
looks further ahead than a few frames; the LSTM looks back over all that was.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from tokaudio.nn.alias_free import AliasFreeSnake
from tokaudio.nn.conv import Conv1d, ConvTranspose1d
from tokaudio.nn.lstm import SkipLSTM
from tokaudio.nn.stages import InSlices, Residual
from tokaudio.nn.stages import Sequence as Modules

# Numbers in a tensor between two layers, so that what a layer reads and writes stays in a core's L2 cache; but at
# least so many steps, so that weights, which do not fit there, are read seldom.
_SLICE, _LEAST_STEPS = 2**18, 1000


def residual_unit(channels: int, dilation: int) -> Residual:
    """Return SnakeBeta, dilated convolution of 7 taps, SnakeBeta, product of single steps; added to what went in.

    Example:
        >>> import torch
        >>> residual_unit(4, 9)(torch.zeros(1, 4, 10)).shape
        torch.Size([1, 4, 10])
    """
    wide = Conv1d(channels, channels, 7, dilation=dilation, padding=(3 * dilation, 3 * dilation))
    return Residual(Modules(AliasFreeSnake(channels), wide, AliasFreeSnake(channels), Conv1d(channels, channels, 1)))


def bigcodec_encoder(
    width: int,
    strides: Sequence[int],
    latent_dim: int,
    *,
    dilations: Sequence[int] = (1, 3, 9),
    lstm_layers: int = 2,
) -> Modules:
    """Return the network from samples to latents.

    Args:
        width: channels after the first convolution; every block doubles them.
        strides: of the blocks, in samples per step.
        latent_dim: D.
        dilations: of the residual units of each block.
        lstm_layers: how many are stacked; 0 for none, as in FACodec.

    Shape:
        input `[B, 1, S]`, S a multiple of the product of the strides; output `[B, D, T]`.

    Example:
        >>> import torch
        >>> bigcodec_encoder(4, (2, 5), 16)(torch.zeros(1, 1, 50)).shape
        torch.Size([1, 16, 5])
    """
    parts: list[nn.Module] = [InSlices(Conv1d(1, width, 7, padding=(3, 3)), steps=_steps(width))]
    for stride in strides:
        edge = (stride + 1) // 2
        down = Conv1d(width, 2 * width, 2 * stride, stride=stride, padding=(edge, edge))
        units = [residual_unit(width, dilation) for dilation in dilations]
        parts.append(InSlices(*units, AliasFreeSnake(width), down, steps=_steps(width)))
        width *= 2
    if lstm_layers:
        parts.append(SkipLSTM(width, layers=lstm_layers))
    return Modules(*parts, AliasFreeSnake(width), Conv1d(width, latent_dim, 3, padding=(1, 1)))


def bigcodec_decoder(
    latent_dim: int,
    width: int,
    strides: Sequence[int],
    *,
    dilations: Sequence[int] = (1, 3, 9),
    lstm_layers: int = 2,
) -> Modules:
    """Return the network from vectors to samples in [-1, 1].

    Args:
        latent_dim: D.
        width: channels after the first convolution; every block halves them.
        strides: of the blocks, in steps per step.
        dilations: of the residual units of each block.
        lstm_layers: how many are stacked; 0 for none, as in FACodec.

    Shape:
        input `[B, D, T]`, output `[B, 1, S]`.

    Example:
        >>> import torch
        >>> bigcodec_decoder(16, 32, (5, 2))(torch.zeros(1, 16, 3)).shape
        torch.Size([1, 1, 30])
    """
    parts: list[nn.Module] = [Conv1d(latent_dim, width, 7, padding=(3, 3))]
    if lstm_layers:
        parts.append(SkipLSTM(width, layers=lstm_layers))
    for stride in strides:
        # An odd stride is cut by one step less at the end, so that every step gives `stride` steps.
        trim = ((stride + 1) // 2, stride // 2)
        up = ConvTranspose1d(width, width // 2, 2 * stride, stride=stride, trim=trim)
        width //= 2
        units = [residual_unit(width, dilation) for dilation in dilations]
        steps = max(1, _steps(width) // stride)
        parts.append(InSlices(AliasFreeSnake(2 * width), up, *units, steps=steps))
    exit_ = Conv1d(width, 1, 7, padding=(3, 3))
    return Modules(*parts, InSlices(AliasFreeSnake(width), exit_, nn.Tanh(), steps=_steps(width)))


def _steps(width: int) -> int:
    return max(_LEAST_STEPS, _SLICE // width)
