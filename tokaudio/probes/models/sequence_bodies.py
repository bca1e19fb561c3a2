"""Bodies that turn frames into frames: a bidirectional LSTM and a small Conformer.

Both may join neighbouring frames first (`stride`), and leave frames beyond an item's length at zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def frame_mask(frames: Tensor, lengths: Tensor) -> Tensor:
    """Return 1 for each frame of an item and 0 beyond, `[B, T, 1]`, for frames `[B, T, ...]`.

    Example:
        >>> frame_mask(torch.zeros(2, 3, 1), torch.tensor([3, 1]))[..., 0].tolist()
        [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return (torch.arange(frames.shape[1], device=frames.device) < lengths[:, None])[..., None].to(torch.float32)


class _Joining(nn.Module):
    """A convolution that makes one frame of several."""

    def __init__(self, given: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv1d(given, width, 2 * stride - 1, stride=stride, padding=stride - 1)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        joined = self.conv((frames * frame_mask(frames, lengths)).transpose(1, 2)).transpose(1, 2)
        lengths = -(-lengths // self.stride)
        return joined[:, : int(lengths.max())].relu(), lengths


class BiLstmBody(nn.Module):
    """A convolution to a common width, and LSTMs in both directions.

    Args:
        given: D, of the frames.
        width: of what is made; half of it for each direction.
        layers: how many, one on the other.
        stride: frames that make one.
        dropout: of what is given to each layer.

    Shape:
        input `[B, T, given]` and lengths `[B]`; output `[B, ceil(T / stride), width]` and lengths.

    Example:
        >>> made, lengths = BiLstmBody(8, width=6)(torch.zeros(2, 5, 8), torch.tensor([5, 2]))
        >>> made.shape, lengths.tolist()
        (torch.Size([2, 5, 6]), [5, 2])
    """

    def __init__(self, given: int, *, width: int = 128, layers: int = 1, stride: int = 1, dropout: float = 0.1) -> None:
        super().__init__()
        self.width = width
        self.join = _Joining(given, width, stride)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, width // 2, layers, batch_first=True, bidirectional=True)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map frames `[B, T, given]` of lengths `[B]`, each 1 at least."""
        joined, lengths = self.join(frames, lengths)
        packed = pack_padded_sequence(self.dropout(joined), lengths, batch_first=True, enforce_sorted=False)
        made, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.dropout(made), lengths


class ConformerBody(nn.Module):
    """Conformer blocks in small (Gulati et al., arXiv:2005.08100): feed-forward, attention, convolution, feed-forward.

    Positions come from the convolutions alone, so that any length will do.

    Args:
        given: D, of the frames.
        width: of what is made.
        layers: how many blocks.
        heads: of attention.
        kernel: of the convolution within a block, in frames.
        stride: frames that make one.
        dropout: of each part of a block.

    Shape:
        input `[B, T, given]` and lengths `[B]`; output `[B, ceil(T / stride), width]` and lengths.

    Example:
        >>> made, lengths = ConformerBody(8, width=8)(torch.zeros(2, 5, 8), torch.tensor([5, 2]))
        >>> made.shape, lengths.tolist()
        (torch.Size([2, 5, 8]), [5, 2])
    """

    def __init__(
        self,
        given: int,
        *,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        kernel: int = 15,
        stride: int = 1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.width = width
        self.join = _Joining(given, width, stride)
        self.blocks = nn.ModuleList(_ConformerBlock(width, heads, kernel, dropout) for _ in range(layers))

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map frames `[B, T, given]` of lengths `[B]`."""
        made, lengths = self.join(frames, lengths)
        mask = frame_mask(made, lengths)
        for block in self.blocks:
            made = block(made * mask, mask)
        return made * mask, lengths


class _ConformerBlock(nn.Module):
    def __init__(self, width: int, heads: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(6))
        self.before, self.after = _feed_forward(width, dropout), _feed_forward(width, dropout)
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.gate = nn.Linear(width, 2 * width)
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.mix = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.Dropout(dropout))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        hidden = frames + self.before(self.norms[0](frames)) / 2
        given = self.norms[1](hidden)
        heard, _ = self.attention(given, given, given, key_padding_mask=mask[..., 0] == 0, need_weights=False)
        hidden = hidden + heard
        gated = nn.functional.glu(self.gate(self.norms[2](hidden)), dim=2) * mask
        conved = self.norms[3](self.conv(gated.transpose(1, 2)).transpose(1, 2))
        hidden = hidden + self.mix(conved)
        hidden = hidden + self.after(self.norms[4](hidden)) / 2
        made: Tensor = self.norms[5](hidden)
        return made


def _feed_forward(width: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(2 * width, width))
