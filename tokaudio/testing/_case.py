"""The tokenizer under test and the sounds it is tried on."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens


def sound(num_samples: int, sample_rate: int, *, channels: int = 1, seed: int = 0) -> Tensor:
    """Return a synthetic sound `[C, S]` that moves through pitch, loudness and noise like speech does.

    Example:
        >>> sound(800, 16_000, channels=2).shape
        torch.Size([2, 800])
    """
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(num_samples, dtype=torch.float64) / sample_rate
    rows = []
    for _ in range(channels):
        pitch, sweep, pulse, phase = (float(v) for v in torch.rand(4, generator=generator, dtype=torch.float64))
        base = 2 * math.pi * ((90 + 160 * pitch) * time + 25 * sweep * torch.sin(2 * math.pi * 0.7 * time))
        voice = sum(torch.sin(harmonic * base + phase * harmonic) / harmonic for harmonic in range(1, 12))
        noise = torch.randn(num_samples, generator=generator, dtype=torch.float64)
        loud = 0.5 + 0.5 * torch.sin(2 * math.pi * (1.5 + 2 * pulse) * time)
        rows.append(0.12 * loud * voice + 0.03 * (1.05 - loud) * noise)
    return torch.stack(rows).float()


@dataclass
class Case:
    """A tokenizer, and everything that its laws share.

    Attributes:
        tokenizer: under test; left as it was found.
        folder: for files.
        longest: seconds of the longest clip.
        seed: of every random choice.
        residual: whether a prefix of the codebooks is an encoding of its own.
        thorough: try many more cases.
        imports: modules that a fresh process has to import before it can load the tokenizer.
    """

    tokenizer: Tokenizer
    folder: Path
    longest: float
    seed: int
    residual: bool
    thorough: bool
    imports: tuple[str, ...]

    @property
    def rate(self) -> int:
        """Sample rate in Hz of what is encoded."""
        return self.tokenizer.spec.sample_rate

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.tokenizer.spec.hop_length

    def sound(self, num_samples: int, *, seed: int = 0) -> Tensor:
        """Return a sound `[C, S]` at the tokenizer's rate."""
        return sound(num_samples, self.rate, channels=self.tokenizer.spec.channels, seed=self.seed * 7919 + seed)

    def pick(self, low: int, high: int, count: int, *, seed: int = 0) -> list[int]:
        """Return `count` random numbers from `low` to `high`, both possible."""
        generator = torch.Generator().manual_seed(self.seed * 7919 + seed)
        return torch.randint(low, high + 1, (count,), generator=generator).tolist()

    @functools.cached_property
    def clips(self) -> list[Tensor]:
        """Clips `[C, S]`: a short one, a whole number of frames, an odd length, and the longest."""
        rate, hop = self.rate, self.hop
        lengths = [rate // 3 + 1, max(1, rate // hop) * hop, 2 * rate + hop // 2 + 1, round(self.longest * rate) + 3]
        return [self.sound(length, seed=index) for index, length in enumerate(lengths)]

    @functools.cached_property
    def tokens(self) -> list[Tokens]:
        """Every clip encoded alone and whole: what all other ways are compared with."""
        return [self.tokenizer.encode(clip) for clip in self.clips]

    @functools.cached_property
    def sounds(self) -> list[Tensor]:
        """Every clip's tokens decoded alone and whole, `[C, S]`."""
        return [self.decode(tokens)[0] for tokens in self.tokens]

    def decode(self, tokens: Tokens) -> Tensor:
        """Return the sound `[B, C, S]` of tokens; S = 0 where the tokenizer encodes only."""
        if self.tokenizer.decodes:
            return self.tokenizer.decode(tokens)
        return torch.zeros(len(tokens), self.tokenizer.spec.channels, 0, dtype=torch.float32)

    def pieces(self, length: int, *, seed: int) -> list[int]:
        """Return random piece lengths, some of them 0, that add up to `length`."""
        count = self.pick(1, 12, 1, seed=seed)[0]
        cuts = sorted([0, length, *self.pick(0, length, count, seed=seed + 1)])
        return [stop - start for start, stop in itertools.pairwise(cuts)]
