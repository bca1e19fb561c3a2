"""The encoder and the decoder of Stable Codec (Parker et al. 2024, arXiv:2411.19842): transformers on patches of sound.

Sound is cut into patches, which are the channels of everything that follows; between transformers, few convolutions
change the rate.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from tokaudio.nn.causal_unit import SnakeBeta
from tokaudio.nn.conv import Conv1d, ConvTranspose1d
from tokaudio.nn.stages import Aligned, Pipeline, Pointwise, Sequence, Stage
from tokaudio.nn.window_transformer import window_layers


@dataclass(frozen=True, slots=True)
class StableSide:
    """The sizes of the encoder, or of the decoder, which has them from its end to its beginning.

    Attributes:
        channels: of each block, on the side of the latents, and before them of the convolution next to the patches.
        strides: of each block.
        depths: transformer layers of each block.
        window: steps before and after a step that it sees in every layer.
        snake: whether a SnakeBeta stands before each convolution that changes the rate, and at the end.
        head: dimensions of an attention head.

    Raises:
        ValueError: if a number is out of range, or the lists do not agree.

    Example:
        >>> StableSide((256, 256), (2,), (8,), (31, 32)).blocks
        1
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    depths: tuple[int, ...]
    window: tuple[int, int]
    snake: bool = False
    head: int = 128

    def __post_init__(self) -> None:
        for name, least in (("channels", 1), ("strides", 1), ("depths", 0), ("window", 0)):
            value = tuple(getattr(self, name))
            object.__setattr__(self, name, value)
            if not value or not all(type(number) is int and number >= least for number in value):
                raise ValueError(f"{name} is {value}, not whole numbers from {least}")
        if not len(self.channels) - 1 == len(self.strides) == len(self.depths) or len(self.window) != 2:
            raise ValueError("there must be as many strides as depths, one more of channels, and two sides of a window")
        if type(self.snake) is not bool or type(self.head) is not int:
            raise ValueError(
                f"snake is {self.snake!r} and head {self.head!r}; they must be true or false, and a number"
            )
        for block, stride in enumerate(self.strides):
            if stride == 1 and self.channels[block] != self.channels[block + 1]:
                raise ValueError("a block of stride 1 cannot change the channels")

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.strides)

    def activation(self, channels: int) -> nn.Module:
        """Return what stands before a convolution."""
        return SnakeBeta(channels) if self.snake else nn.Identity()


class Patches(nn.Module):
    """Sound as patches of so many samples each, which become channels.

    Example:
        >>> import torch
        >>> Patches(2)(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
        tensor([[[1., 3.],
                 [2., 4.]]])
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, 1, S]`, S a multiple of the size, to `[B, size, S / size]`."""
        return x[:, 0].unflatten(1, (-1, self.size)).transpose(1, 2)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pipeline([Aligned(self.size), Pointwise(lambda steps: steps.reshape(-1, self.size))])


class Unpatched(nn.Module):
    """Patches as sound again.

    Example:
        >>> import torch
        >>> Unpatched()(Patches(2)(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])))
        tensor([[[1., 2., 3., 4.]]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, size, T]` to `[B, 1, T * size]`."""
        return x.transpose(1, 2).flatten(1)[:, None]

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pointwise(lambda steps: steps.reshape(-1, 1))


def stable_encoder(patch: int, latent_dim: int, side: StableSide) -> Sequence:
    """Return the network from samples to latents.

    Args:
        patch: samples that become channels.
        latent_dim: D.
        side: the other sizes.

    Shape:
        input `[B, 1, S]`, S a multiple of the patch and of the product of the strides; output `[B, D, T]`.

    Example:
        >>> import torch
        >>> side = StableSide((16, 32), (2,), (1,), (3, 2), head=8)
        >>> stable_encoder(4, 6, side)(torch.zeros(1, 1, 80)).shape
        torch.Size([1, 6, 10])
    """
    parts: list[nn.Module] = [Patches(patch), Conv1d(patch, side.channels[0], 7, padding=(3, 3))]
    for block, stride in enumerate(side.strides):
        before, after = side.channels[block : block + 2]
        edge = -(-stride // 2)
        resize = Conv1d(before, after, 2 * stride, stride=stride, padding=(edge, edge)) if stride > 1 else nn.Identity()
        layers = window_layers(after, side.depths[block], _window(side), head=side.head)
        parts.append(Sequence(side.activation(before), resize, layers))
    last = side.channels[-1]
    return Sequence(*parts, side.activation(last), Conv1d(last, latent_dim, 3, padding=(1, 1)))


def stable_decoder(latent_dim: int, patch: int, side: StableSide, *, soft_clip: bool = False) -> Sequence:
    """Return the network from latents to samples.

    Args:
        latent_dim: D.
        patch: samples that are channels at the end.
        side: the other sizes.
        soft_clip: whether samples go through tanh.

    Shape:
        input `[B, D, T]`, output `[B, 1, S]`.

    Example:
        >>> import torch
        >>> side = StableSide((16, 32), (2,), (1,), (3, 2), head=8)
        >>> stable_decoder(6, 4, side)(torch.zeros(1, 6, 10)).shape
        torch.Size([1, 1, 80])
    """
    parts: list[nn.Module] = [Conv1d(latent_dim, side.channels[-1], 3, padding=(1, 1))]
    for block in reversed(range(side.blocks)):
        after, before = side.channels[block : block + 2]
        stride, edge = side.strides[block], -(-side.strides[block] // 2)
        layers = window_layers(before, side.depths[block], _window(side), head=side.head)
        up: nn.Module = nn.Identity()
        if stride > 1:
            up = ConvTranspose1d(before, after, 2 * stride, stride=stride, trim=(edge, edge))
        parts.append(Sequence(layers, side.activation(before), up))
    first = side.channels[0]
    exit_ = Conv1d(first, patch, 7, padding=(3, 3), bias=False)
    return Sequence(*parts, side.activation(first), exit_, Unpatched(), nn.Tanh() if soft_clip else nn.Identity())


def _window(side: StableSide) -> tuple[int, int]:
    return side.window[0], side.window[1]
