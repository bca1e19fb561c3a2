"""Who speaks, as one vector, and speech in that voice: FACodec's timbre extractor (arXiv:2403.03100, section 3.2).

A transformer without positions mixes all frames; their mean is the voice. The decoder hears it as one scale and one
shift per channel, after a norm that takes the old ones away.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.stages import Pointwise, Stage
from tokaudio.nn.windows import Windowed, Windows


class TimbreLayer(nn.Module):
    """Attention of every frame to every other, then a convolution and a linear layer; a norm before each part."""

    def __init__(self, dim: int, heads: int, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.conv = nn.Conv1d(dim, hidden, kernel_size, padding=kernel_size // 2)
        self.down = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, T, D]` to `[B, T, D]`."""
        heads = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-2, -3)
        seen = F.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        x = x + self.out(seen.transpose(-2, -3).flatten(-2))
        hidden = self.conv(self.norm2(x).transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = x + self.down(F.relu(hidden))
        return mixed


class TimbreEncoder(nn.Module):
    """Latents to vectors of the same rate, whose mean over time is the voice.

    The published network counts positions along the batch and not along time: every frame of a signal that is given
    alone gets the vector of position 0, which is 0, 1, 0, 1, ...

    Args:
        dim: D.
        layers: number of layers.
        heads: of the attention; they divide D.
        hidden: width of the convolution.
        kernel_size: of the convolution, odd.

    Shape:
        input and output `[B, D, T]`.

    Example:
        >>> encoder = TimbreEncoder(8, layers=2, heads=2, hidden=16)
        >>> encoder(torch.zeros(1, 8, 5)).shape, encoder.voice(torch.zeros(1, 8, 5)).shape
        (torch.Size([1, 8, 5]), torch.Size([1, 8]))
    """

    def __init__(self, dim: int, *, layers: int = 4, heads: int = 4, hidden: int = 1024, kernel_size: int = 5) -> None:
        super().__init__()
        if heads < 1 or dim % (2 * heads):
            raise ValueError(f"heads must divide {dim} into even parts, got {heads}")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        self.layers = nn.ModuleList(TimbreLayer(dim, heads, hidden, kernel_size) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, D, T]`."""
        steps = x.transpose(1, 2) + first_position(x.shape[1]).to(x)
        for layer in self.layers:
            steps = layer(steps)
        out: Tensor = self.norm(steps)
        return out.transpose(1, 2)

    def voice(self, x: Tensor) -> Tensor:
        """Return the voice `[B, D]` of latents `[B, D, T]`."""
        return self(x).mean(2)


def first_position(dim: int) -> Tensor:
    """Return the sines and cosines of position 0 (arXiv:1706.03762, section 3.5), `[D]`.

    Example:
        >>> first_position(4)
        tensor([0., 1., 0., 1.])
    """
    return torch.arange(dim).remainder(2).float()


class VoiceMeter:
    """Measures the voice of latents that arrive block by block.

    Exact up to `windows.longest_whole` frames. Longer signals are cut into windows, each of which sees only itself and
    its context: the mean of their vectors is an approximation.

    Args:
        encoder: gives the vectors.
        windows: how long signals are cut.

    Example:
        >>> encoder = TimbreEncoder(8, layers=1, heads=2, hidden=16)
        >>> meter, latents = VoiceMeter(encoder, Windows(10, 2)), torch.randn(7, 8)
        >>> meter(latents[:3], last=False)
        >>> meter(latents[3:], last=True)
        >>> torch.allclose(meter.voice, encoder.voice(latents.T[None])[0], atol=1e-6)
        True
    """

    def __init__(self, encoder: TimbreEncoder, windows: Windows) -> None:
        self._stage = Windowed(lambda steps: encoder(steps.T[None])[0].T, windows)
        self._sum: Tensor | None = None
        self._count = 0

    def __call__(self, block: Tensor, last: bool) -> None:
        """Take the next latents `[n, D]`; `last` ends the signal."""
        vectors = self._stage(block, last)
        if len(vectors):
            total = vectors.sum(0, dtype=torch.float64)
            self._sum = total if self._sum is None else self._sum + total
            self._count += len(vectors)

    @property
    def voice(self) -> Tensor:
        """The voice `[D]`, once the signal has ended."""
        assert self._sum is not None
        return (self._sum / self._count).float()


class Voiced(nn.Module):
    """Gives speech a voice: a norm over the channels of every frame, then the voice's own scale and shift.

    Args:
        dim: D.

    Shape:
        input and output `[B, D, T]`, with a voice `[B, D]`.

    Example:
        >>> Voiced(4)(torch.ones(1, 4, 3), torch.zeros(1, 4)).shape
        torch.Size([1, 4, 3])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.style = nn.Linear(dim, 2 * dim)
        with torch.no_grad():
            self.style.bias.copy_(torch.cat([torch.ones(dim), torch.zeros(dim)]))

    def forward(self, x: Tensor, voice: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, D, T]`."""
        scale, shift = self.style(voice)[:, :, None].chunk(2, dim=1)
        normed = F.layer_norm(x.transpose(1, 2), x.shape[1:2]).transpose(1, 2)
        out: Tensor = normed * scale + shift
        return out

    def stage(self, voice: Tensor) -> Stage:
        """Return a fresh stage for speech in a voice `[D]`."""
        scale, shift = self.style(voice[None])[0].chunk(2)
        return Pointwise(lambda steps: torch.addcmul(shift, F.layer_norm(steps, steps.shape[1:]), scale))
