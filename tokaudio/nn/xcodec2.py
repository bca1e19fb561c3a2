"""Parts of XCodec2 (arXiv:2502.04128, section 3) and NeuCodec (arXiv:2509.09550).

The decoder is a transformer at the frame rate that leaves the sample rate to the inverse Fourier transform.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d
from tokaudio.nn.stages import Pipeline, Residual, Sequence, Sliced, Stage, Whole, stage_of
from tokaudio.nn.vocos import FourierHead, FrameNorm
from tokaudio.nn.whole_signal import ResnetUnit
from tokaudio.nn.windows import Windowed, Windows

# Dimensions of every head of the attention.
HEAD = 64
# Frames that go through layers of single frames together.
_STEPS = 512


def adapter(width: int) -> Sequence:
    """Return four convolutions of three taps; the middle two are skipped by a shortcut behind the first one's ReLU.

    Shape:
        input and output `[B, D, T]`.

    Example:
        >>> adapter(4)(torch.zeros(1, 4, 3)).shape
        torch.Size([1, 4, 3])
    """

    def conv(*, bias: bool) -> Conv1d:
        return Conv1d(width, width, 3, padding=(1, 1), bias=bias)

    inner = Sequence(conv(bias=True), nn.ReLU(), conv(bias=True))
    return Sequence(conv(bias=False), nn.ReLU(), Residual(inner), conv(bias=False))


class FrameTransformer(nn.Module):
    """Transformer over whole signals with root-mean-square norms, swish, and neither positions nor biases.

    Args:
        dim: D, a multiple of 64: every head has 64 dimensions.
        hidden: width inside the feed-forward part.
        eps: of the norms.

    Shape:
        one layer: input and output `[B, T, D]`.

    Example:
        >>> FrameTransformer(64, 128)(torch.zeros(1, 3, 64)).shape
        torch.Size([1, 3, 64])
    """

    def __init__(self, dim: int, hidden: int, eps: float = 1e-6) -> None:
        super().__init__()
        if dim < HEAD or dim % HEAD:
            raise ValueError(f"dim must be a multiple of {HEAD}, got {dim}")
        self.norm1, self.norm2 = nn.RMSNorm(dim, eps=eps), nn.RMSNorm(dim, eps=eps)
        # Rows of queries, keys and values, each head by head.
        self.qkv, self.out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.up, self.down = nn.Linear(dim, hidden, bias=False), nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, T, D]` to `[B, T, D]`."""
        query, key, value = self.qkv(self.norm1(x)).unflatten(-1, (3, -1, HEAD)).unbind(2)
        heads = (part.transpose(1, 2) for part in (query, key, value))
        x = x + self.out(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
        pieces = [piece + self.down(F.silu(self.up(self.norm2(piece)))) for piece in x.split(_STEPS, dim=1)]
        return torch.cat(pieces, dim=1)


class TransformerVocos(nn.Module):
    """Vectors of frames to samples: residual convolutions, a transformer, residual convolutions, inverse transform.

    Args:
        latents: width of what it gets.
        dim: D, a multiple of 64.
        hidden: width inside the transformer's feed-forward parts.
        layers: of the transformer.
        hop_length: samples per frame; the transform has four times as many.

    Attributes:
        windows: how its stage cuts long signals; None to wait for the end always.

    Shape:
        input `[B, latents, T]`, output `[B, 1, T * hop_length]`.

    Example:
        >>> TransformerVocos(8, 64, 128, layers=1, hop_length=4)(torch.zeros(1, 8, 5)).shape
        torch.Size([1, 1, 20])
    """

    def __init__(self, latents: int, dim: int, hidden: int, *, layers: int, hop_length: int) -> None:
        super().__init__()
        self.windows: Windows | None = None
        self.project = nn.Linear(latents, dim)
        self.embed = Conv1d(dim, dim, 7, padding=(3, 3))
        self.before = Sequence(ResnetUnit(dim), ResnetUnit(dim))
        self.layers = nn.ModuleList(FrameTransformer(dim, hidden) for _ in range(layers))
        self.after = Sequence(ResnetUnit(dim), ResnetUnit(dim))
        self.norm = FrameNorm(dim)
        self.head = FourierHead(dim, 4 * hop_length, hop_length)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, latents, T]` to `[B, 1, S]`."""
        x = self.before(self.embed(self.project(x.transpose(1, 2)).transpose(1, 2)))
        steps = x.transpose(1, 2)
        for layer in self.layers:
            steps = layer(steps)
        samples: Tensor = self.head(self.norm(self.after(steps.transpose(1, 2))))
        return samples

    def stage(self) -> Stage:
        """Return a fresh stage from vectors `[T, latents]` to samples `[n, 1]`."""
        whole = Whole(self._whole) if self.windows is None else Windowed(self._whole, self.windows)
        rest = Sliced(Pipeline([self.norm.stage(), self.head.stage()]), _STEPS)
        return Pipeline([stage_of(self.project), self.embed.stage(), whole, rest])

    def _whole(self, steps: Tensor) -> Tensor:
        """Map `[T, D]` of a whole signal to `[T, D]`."""
        if not len(steps):
            return steps
        steps = self.before.stage()(steps, True)[None]
        for layer in self.layers:
            steps = layer(steps)
        return self.after.stage()(steps[0], True)
