"""Noise that a decoder adds, the same wherever a signal is cut: a function of a seed and a position.

SNAC's decoder mixes in fresh noise at every call (arXiv:2410.14411, section 3.3), so that the same codes never sound
the same twice. Here position t of level l always receives the same value under the same seed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d
from tokaudio.nn.stages import Stage

_CHUNK = 4096
_MASK = 2**64 - 1


def noise_at(start: int, count: int, *, seed: int, level: int = 0) -> Tensor:
    """Return standard normal values `[count]` for the positions from `start` on, each its own whatever is asked for.

    Args:
        start: first position, in steps.
        count: of positions.
        seed: another seed gives other values.
        level: so does another level of a network.

    Example:
        >>> torch.equal(noise_at(3000, 2000, seed=1), noise_at(0, 9000, seed=1)[3000:5000])
        True
    """
    pieces = [
        _chunk(index, seed, level)[max(start - index * _CHUNK, 0) : start + count - index * _CHUNK]
        for index in range(start // _CHUNK, -(-(start + count) // _CHUNK))
    ]
    return torch.cat(pieces) if pieces else torch.empty(0)


def _chunk(index: int, seed: int, level: int) -> Tensor:
    mixed = 0
    for part in (seed, level, index):
        mixed = _scramble((mixed + part) & _MASK)
    # The sign bit is dropped: not every version of torch takes all 64 bits.
    generator = torch.Generator().manual_seed(mixed >> 1)
    return torch.randn(_CHUNK, generator=generator, dtype=torch.float32)


def _scramble(value: int) -> int:
    """Return 64 bits that look nothing like the given ones (SplitMix64: doi 10.1145/2714064.2660195)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class NoiseBlock(nn.Module):
    """`x + noise * mix(x)`: noise of one value per step, shaped by what is there.

    In training the noise is drawn afresh; else it follows from `seed`, and every item of a batch receives the same.

    Args:
        channels: C.
        level: which of a network's noise blocks this is.

    Attributes:
        seed: of the noise; None for none.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> block = NoiseBlock(2).eval()
        >>> x = torch.ones(1, 2, 5)
        >>> torch.equal(block(x), block(x)), torch.equal(block(x), x)
        (True, False)
    """

    def __init__(self, channels: int, *, level: int = 0) -> None:
        super().__init__()
        self.mix = Conv1d(channels, channels, 1, bias=False)
        self.level = level
        self.seed: int | None = 0

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        if self.training:
            return x + self.mix(x * torch.randn_like(x[:, :1]))
        if self.seed is None:
            return x
        noise = noise_at(0, x.shape[2], seed=self.seed, level=self.level)
        return x + self.mix(x * noise.to(x))

    def stage(self) -> Stage:
        """Return a fresh stage, with the seed as it is now."""
        return NoiseStage(self)


class NoiseStage:
    """A noise block in the course of one signal."""

    def __init__(self, block: NoiseBlock) -> None:
        self._mix, self._seed, self._level = block.mix, block.seed, block.level
        self._position = 0

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map `[n, C]` to `[n, C]`."""
        if self._seed is None or not len(block):
            return block
        noise = noise_at(self._position, len(block), seed=self._seed, level=self._level).to(block)
        self._position += len(block)
        return torch.addmm(block, block * noise[:, None], self._mix.weight[:, :, 0].T)
