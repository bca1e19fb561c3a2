"""A tokenizer whose two codebooks mean something: how loud a frame is, and which of four tones it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.base import Streaming, Tokenizer

RATE, HOP = 16_000, 160
TONES = (500.0, 1_000.0, 2_000.0, 4_000.0)
LEVELS = 8
"""Steps of 6 dB below full scale; the last one is silence."""


class ToneTokenizer(Tokenizer):
    """Codebook 0: level, codebook 1: tone. Decoding gives the tone at the level."""

    waves: Tensor

    def __init__(self, name: str = "tones") -> None:
        books = (CodebookSpec(LEVELS, role="level"), CodebookSpec(len(TONES), role="tone"))
        super().__init__(TokenizerSpec(name, "compression", RATE, HOP, books))
        times = torch.arange(HOP, dtype=torch.float64) / RATE
        waves = torch.stack([torch.sin(2 * torch.pi * hertz * times) for hertz in TONES])
        self.register_buffer("waves", waves.float())
        self.register_buffer("steps", torch.cat([0.5 ** torch.arange(LEVELS - 1.0), torch.zeros(1)]))

    def config(self) -> dict[str, Any]:
        return {}

    def codebooks(self) -> list[Tensor]:
        level = torch.stack([torch.arange(float(LEVELS)), torch.zeros(LEVELS)], dim=1)
        tone = torch.stack([torch.zeros(len(TONES)), torch.arange(float(len(TONES)))], dim=1)
        return [level, tone]

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        frames = torch.nn.functional.pad(samples[0], (0, -samples.shape[1] % HOP)).unflatten(0, (-1, HOP))
        level = frames.square().mean(1).mul(2).sqrt()
        tone = (frames @ self.waves.T).abs().argmax(1)
        step = torch.round(-torch.log2(level.clamp_min(1e-9))).clamp(0, LEVELS - 1).long()
        return torch.stack([step, tone])[:num_codebooks]

    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        tone = self.waves[codes[1]] if len(codes) > 1 else self.waves.mean(0).expand(codes.shape[1], -1)
        return (self.steps[codes[0]][:, None] * tone).flatten()[None, :num_samples]

    def _features(self, samples: Tensor) -> Tensor:
        return self._embed(self._encode(samples, 2)[None])[0]

    def _embed(self, codes: Tensor) -> Tensor:
        return sum(table[codes[:, k]].transpose(1, 2) for k, table in enumerate(self.codebooks()[: codes.shape[1]]))

    def _streaming(self, num_codebooks: int) -> Streaming:
        def encode(samples: Tensor) -> Tensor:
            return self._encode(samples, num_codebooks)

        def decode(codes: Tensor) -> Tensor:
            return self._decode(codes, codes.shape[1] * HOP)

        no_codes, no_sound = torch.zeros(num_codebooks, 0, dtype=torch.int64), torch.zeros(1, 0)
        return Streaming(FrameStream(encode, HOP, no_codes), FrameStream(decode, 1, no_sound))


class FrameStream:
    """Whole frames of what arrives, each for itself; the rest at the end."""

    def __init__(self, run: Callable[[Tensor], Tensor], size: int, nothing: Tensor) -> None:
        self.run, self._size, self._nothing = run, size, nothing
        self._held: list[Tensor] = []
        self.pushed = 0
        self.extras: Mapping[str, Tensor] = {}

    def push(self, piece: Tensor) -> Tensor:
        self.pushed += piece.shape[1]
        held = torch.cat([*self._held, piece], dim=1)
        whole = held.shape[1] // self._size * self._size
        self._held = [held[:, whole:]]
        return self.run(held[:, :whole]) if whole else self._nothing

    def flush(self) -> Tensor:
        rest, self._held = torch.cat(self._held, dim=1) if self._held else self._nothing, []
        return self.run(rest) if rest.shape[1] else self._nothing


def melody(tones: list[int], levels: list[int], frames: int = 10) -> Tensor:
    """Return a sound `[S]` that holds each tone at its level for so many frames."""
    codec = ToneTokenizer()
    pieces = [codec.steps[level] * codec.waves[tone].tile(frames) for tone, level in zip(tones, levels, strict=True)]
    return torch.cat(pieces)


def random_melody(seed: int, notes: int = 12) -> Tensor:
    """Return a melody by chance, without silence."""
    random = np.random.default_rng(seed)
    return melody(random.integers(0, len(TONES), notes).tolist(), random.integers(0, 4, notes).tolist())
