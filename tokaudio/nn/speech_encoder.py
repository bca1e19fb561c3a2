"""The encoder of Whisper (arXiv:2212.04356, section 2.2) and its relatives.

Two convolutions over mel frames, then a transformer that sees the whole signal: it runs on windows of bounded length.
S3Tokenizer's later versions (arXiv:2412.10117, section 3.1) turn queries and keys by their positions instead of adding
position vectors, and have a convolution over the values beside the attention (FSMN, as in arXiv:2006.01713).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.kernels import depthwise
from tokaudio.nn.transformer import Rotation, rotate

HEAD = 64
_KERNEL = 3
_BASE = 10_000.0


class SpeechEncoder(nn.Module):
    """Mel frames to vectors at a half or a quarter of their rate.

    Args:
        mels: M, values per mel frame.
        width: D, a multiple of 64: every head of the attention has 64 dimensions.
        layers: number of transformer layers.
        stride: of the first convolution, 1 or 2; the second one has stride 2.
        positions: vectors that are added to the first so many steps; 0 to turn queries and keys instead.
        memory: taps of the convolution over the values; 0 for none.

    Shape:
        input `[B, n, M]`, output `[B, T, D]` with T = ceil(ceil(n / stride) / 2).

    Example:
        >>> SpeechEncoder(80, 64, layers=1, stride=2, memory=31)(torch.zeros(1, 13, 80)).shape
        torch.Size([1, 4, 64])
    """

    def __init__(self, mels: int, width: int, *, layers: int, stride: int, positions: int = 0, memory: int = 0) -> None:
        super().__init__()
        if width < HEAD or width % HEAD:
            raise ValueError(f"width must be a multiple of {HEAD}, got {width}")
        if stride not in (1, 2):
            raise ValueError(f"stride must be 1 or 2, got {stride}")
        self.positions = positions
        self.conv1 = nn.Conv1d(mels, width, _KERNEL, stride=stride, padding=1)
        self.conv2 = nn.Conv1d(width, width, _KERNEL, stride=2, padding=1)
        if positions:
            self.positional_embedding = nn.Parameter(torch.zeros(positions, width))
        self.blocks = nn.ModuleList(EncoderLayer(width, memory) for _ in range(layers))

    def forward(self, frames: Tensor) -> Tensor:
        """Map `[B, n, M]` to `[B, T, D]`; items of a batch are all of n frames.

        Raises:
            ValueError: if there are more steps than position vectors.
        """
        x = F.gelu(strided(F.gelu(strided(frames, self.conv1)), self.conv2))
        rotation = None
        if self.positions:
            if x.shape[1] > self.positions:
                raise ValueError(f"{x.shape[1]} steps are more than the {self.positions} with a position")
            x = x + self.positional_embedding[: x.shape[1]]
        else:
            rotation = turns(x.shape[1], x.device)
        for block in self.blocks:
            x = block(x, rotation)
        return x


class EncoderLayer(nn.Module):
    """Attention and a feed-forward part, each with layer norm before it."""

    def __init__(self, width: int, memory: int) -> None:
        super().__init__()
        self.attn = WholeAttention(width, memory)
        self.attn_ln, self.mlp_ln = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, rotation: Rotation | None) -> Tensor:
        """Map `[B, T, D]` to `[B, T, D]`."""
        x = x + self.attn(self.attn_ln(x), rotation)
        mixed: Tensor = x + self.mlp(self.mlp_ln(x))
        return mixed


class WholeAttention(nn.Module):
    """Attention of every step to every step, and a convolution over the values beside it."""

    def __init__(self, width: int, memory: int) -> None:
        super().__init__()
        self.query, self.value, self.out = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=False)
        self.memory = memory
        if memory:
            self.fsmn_block = nn.Conv1d(width, width, memory, groups=width, bias=False)

    def forward(self, x: Tensor, rotation: Rotation | None) -> Tensor:
        """Map `[B, T, D]` to `[B, T, D]`."""
        values = self.value(x)
        query, key, value = (part.unflatten(-1, (-1, HEAD)) for part in (self.query(x), self.key(x), values))
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        heads = (part.transpose(1, 2) for part in (query, key, value))
        seen: Tensor = self.out(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
        return seen + self._remembered(values) if self.memory else seen

    def _remembered(self, values: Tensor) -> Tensor:
        """Return the values `[B, T, D]` plus their convolution, zero beyond both ends."""
        left = (self.memory - 1) // 2
        padded = F.pad(values, (0, 0, left, self.memory - 1 - left))
        weight = self.fsmn_block.weight[:, 0]
        count = values.shape[1]
        mixed = [depthwise(item, weight, None, stride=1, dilation=1, count=count) for item in padded]
        return torch.stack(mixed) + values


def strided(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """Return a convolution of three taps, of `[B, n, C]` over time, as one matrix product: `[B, ceil(n / stride), D]`.

    Example:
        >>> strided(torch.zeros(1, 5, 8), nn.Conv1d(8, 4, 3, stride=2, padding=1)).shape
        torch.Size([1, 3, 4])
    """
    windows = F.pad(x, (0, 0, 1, 1)).unfold(1, _KERNEL, conv.stride[0])
    return F.linear(windows.flatten(2), conv.weight.flatten(1), conv.bias)


def turns(count: int, device: torch.device) -> Rotation:
    """Return the rotations of steps 0 to `count` - 1, `[count, 1, 32]` each, as the published models round them.

    Example:
        >>> cosines, sines = turns(2, torch.device("cpu"))
        >>> cosines.shape, round(float(sines[1, 0, 0]), 4)
        (torch.Size([2, 1, 32]), 0.8415)
    """
    exponents = torch.arange(0, HEAD, 2, dtype=torch.float32, device=device) / HEAD
    phases = torch.outer(torch.arange(count, dtype=torch.float32, device=device), 1.0 / _BASE**exponents)
    return phases.cos()[:, None], phases.sin()[:, None]
