"""The encoder of Whisper (arXiv:2212.04356, section 2.2) as a model of speech: mel frames to any hidden states.

It was trained on windows of 30 s, filled up with silence, and gives one vector per 20 ms. Layer 0 is what enters the
transformer, with its positions; the last state has been through the final norm. Layers above the highest one that is
asked for are not run. The mel frames of a sound come from
[`WhisperModel`][tokaudio.tokenizers.whisper.WhisperModel].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.speech_encoder import strided
from tokaudio.nn.ssl.layer import SpeechLayer
from tokaudio.nn.ssl.sizes import SpeechSizes
from tokaudio.nn.windows import Windows

# Raw logarithms of no energy at all, and how far below the loudest value a value counts.
SILENCE, _RANGE = -10.0, 8.0


@dataclass(frozen=True)
class WhisperSizes:
    """Sizes of an encoder; the defaults are those of Whisper tiny.

    Attributes:
        width: D.
        layers: of the transformer.
        heads: of its attention.
        inner: width inside its feed-forward parts.
        mels: M, values per mel frame: 80, or 128 in the third large version.
        positions: frames of one window, a multiple of 6: 1500 of 20 ms.
        filled: whether signals are filled up with silence to one window, as in training; else they are computed at
            their own length, which is faster and gives other states.
        epsilon: of the layer norms.

    Raises:
        ValueError: sizes do not fit together.

    Example:
        >>> sizes = WhisperSizes()
        >>> sizes.hop_length, sizes.frames(16_001), sizes.windows
        (320, 51, Windows(steps=1000, context=250))
    """

    width: int = 384
    layers: int = 4
    heads: int = 6
    inner: int = 1536
    mels: int = 80
    positions: int = 1500
    filled: bool = True
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width {self.width} must be even, and a multiple of heads, {self.heads}")
        if self.positions % 6:
            raise ValueError(f"positions must be a multiple of 6, got {self.positions}")
        if self.mels < 1 or self.layers < 0:
            raise ValueError(f"there cannot be {self.mels} mels and {self.layers} layers")

    @property
    def hop_length(self) -> int:
        """Samples from frame to frame."""
        return 320

    @property
    def shortest(self) -> int:
        """Samples of the shortest signal that has a frame."""
        return 1

    @property
    def windows(self) -> Windows:
        """How the model itself cuts signals that are longer than one window: with overlap, merged at its middle."""
        return Windows(self.positions * 2 // 3, self.positions // 6)

    def frames(self, num_samples: int) -> int:
        """Return how many frames a signal has; the last one may be a part of one."""
        return -(-num_samples // self.hop_length)


class WhisperEncoder(nn.Module):
    """Mel frames to the hidden states of any layers.

    It takes raw logarithms of mel energies in rows: a row per frame of 20 ms, of the two mel frames that are its own
    and the two that are the next one's. What follows a signal within its last row is heard too.

    Args:
        sizes: what it is made of.
        layers: how many layers of the transformer there are to be, from the first; all by default.

    Example:
        >>> encoder = WhisperEncoder(WhisperSizes(width=8, layers=2, heads=2, inner=16, mels=4, positions=12)).eval()
        >>> encoder.later_states(torch.zeros(5, 16), layers=(0, 2)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, sizes: WhisperSizes, *, layers: int | None = None) -> None:
        super().__init__()
        self.sizes = sizes
        kept = sizes.layers if layers is None else layers
        if not 0 <= kept <= sizes.layers:
            raise ValueError(f"layers must be from 0 to {sizes.layers}, got {kept}")
        self.conv1 = nn.Conv1d(sizes.mels, sizes.width, 3, padding=1)
        self.conv2 = nn.Conv1d(sizes.width, sizes.width, 3, stride=2, padding=1)
        self.positions: Tensor
        self.register_buffer("positions", sinusoids(sizes.positions, sizes.width))
        part = SpeechSizes(
            width=sizes.width,
            heads=sizes.heads,
            inner=sizes.inner,
            norm_first=True,
            position_groups=1,
            epsilon=sizes.epsilon,
        )
        self.layers = nn.ModuleList(SpeechLayer(part) for _ in range(kept))
        if kept == sizes.layers:
            self.norm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)

    @property
    def windows(self) -> Windows | None:
        """How the model itself cuts longer signals."""
        return self.sizes.windows

    def later_states(self, frames: Tensor, layers: Sequence[int] | None = None) -> Tensor:
        """Return hidden states `[len(layers), T, D]` of rows of mel frames `[T, 4 * M]`.

        More rows than one window has go through windows that overlap by a third; each half of an overlap is taken from
        the window that sees more around it.

        Args:
            frames: raw logarithms, as [`rows`][tokaudio.nn.ssl.whisper.rows] lays them out.
            layers: numbers from 0 to the number of layers, in any order, negative ones from the end; all by default.

        Raises:
            ValueError: for a layer that is not there.
        """
        return self.batch_states(frames[None], layers)[:, 0]

    def batch_states(self, frames: Tensor, layers: Sequence[int] | None = None) -> Tensor:
        """Return hidden states `[len(layers), B, T, D]` of rows `[B, T, 4 * M]`, together: for training, or a GPU."""
        wanted = self._numbers(layers)
        count, longest, context = frames.shape[1], self.sizes.positions, self.sizes.windows.context
        if count <= longest:
            return self._chosen(frames, wanted)
        parts: list[Tensor] = []
        given = start = 0
        while given < count:
            end = min(count, start + longest)
            until = count if end == count else end - context
            parts.append(self._chosen(frames[:, start:end], wanted)[:, :, given - start : until - start])
            given, start = until, start + self.sizes.windows.steps
        return torch.cat(parts, dim=2)

    def _chosen(self, frames: Tensor, wanted: Sequence[int]) -> Tensor:
        """Return the wanted states of one window `[B, T, 4 * M]`, T at most `positions`."""
        count = frames.shape[1]
        x = self._entering(frames)
        kept = {number: x[:, :count] for number, x in enumerate(self._states(x, max(wanted))) if number in wanted}
        return torch.stack([kept[number] for number in wanted])

    def _entering(self, frames: Tensor) -> Tensor:
        """Return what enters the transformer, `[B, positions, D]`, or `[B, T, D]` of signals that are not filled up."""
        sizes, count = self.sizes, frames.shape[1]
        own, following = frames.unflatten(2, (4, -1)).split(2, dim=2)
        mel = torch.cat([own.flatten(1, 2), following[:, -1]], dim=1)
        # The two frames after the last row may lie beyond the window, where nothing is heard.
        mel = mel[:, : 2 * sizes.positions]
        if sizes.filled:
            mel = F.pad(mel, (0, 0, 0, 2 * sizes.positions - mel.shape[1]), value=SILENCE)
        loudest = mel.amax((1, 2), keepdim=True)
        mel = (torch.maximum(mel, loudest - _RANGE) + 4.0) / 4.0
        x = F.gelu(strided(F.gelu(strided(mel, self.conv1)), self.conv2))
        x = x if sizes.filled else x[:, :count]
        return x + self.positions[: x.shape[1]]

    def _states(self, x: Tensor, highest: int) -> Iterator[Tensor]:
        """Yield the hidden states 0 to `highest`, `[B, T, D]` each."""
        for layer in self.layers[:highest]:
            yield x
            x = layer(x)
        yield self.norm(x) if highest == self.sizes.layers else x

    def _numbers(self, layers: Sequence[int] | None) -> list[int]:
        count = len(self.layers)
        wanted = list(range(count + 1)) if layers is None else [n + count + 1 if n < 0 else n for n in layers]
        if not wanted or not all(0 <= number <= count for number in wanted):
            raise ValueError(f"layers must be from 0 to {count}, got {layers}")
        return wanted


def rows(mel: Tensor, count: int) -> Tensor:
    """Lay raw mel frames `[n, M]` out in `count` rows `[count, 4 * M]`, with silence where there are too few.

    Example:
        >>> rows(torch.arange(5.0)[:, None], 2)
        tensor([[  0.,   1.,   2.,   3.],
                [  2.,   3.,   4., -10.]])
    """
    wanted = 2 * count + 2
    mel = F.pad(mel[:wanted], (0, 0, 0, max(0, wanted - len(mel))), value=SILENCE)
    pairs = mel.reshape(count + 1, -1)
    return torch.cat([pairs[:-1], pairs[1:]], dim=1)


def sinusoids(count: int, width: int) -> Tensor:
    """Return the positions that Whisper adds, `[count, width]`: sines, then cosines, of geometric frequencies.

    Their wavelengths go from 2 pi to 20000 pi steps, in equal ratios with both ends included (unlike
    arXiv:1706.03762, section 3.5, which never reaches the upper end).

    Example:
        >>> sinusoids(2, 4)[1]
        tensor([8.4147e-01, 1.0000e-04, 5.4030e-01, 1.0000e+00])
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * (-math.log(10_000.0) / max(1, half - 1)))
    phases = torch.arange(count, dtype=torch.float32)[:, None] * frequencies
    return torch.cat([phases.sin(), phases.cos()], dim=1)
