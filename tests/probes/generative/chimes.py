"""A tokenizer that hears chimes: which of four low tones and which of four high ones sound in each frame, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.audio.manifest import Recording
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.base import Tokenizer

RATE, HOP = 8_000, 160
LOW = (200.0, 300.0, 400.0, 500.0)
HIGH = (1000.0, 1500.0, 2000.0, 2500.0)
QUIET = 0.02


class Chimes(Tokenizer):
    """Codes 0 to 3 of each codebook are its tones, 4 is silence."""

    def __init__(self) -> None:
        books = (CodebookSpec(5),) * 2
        super().__init__(TokenizerSpec("chimes", "compression", RATE, HOP, books, chunking="none"))
        times = torch.arange(HOP) / RATE
        tones = torch.tensor([LOW, HIGH])[..., None] * times
        waves = torch.stack([torch.cos(2 * torch.pi * tones), torch.sin(2 * torch.pi * tones)])
        self.register_buffer("waves", waves)  # [2, 2, 4, HOP]

    def config(self) -> dict[str, Any]:
        return {"family": "chimes"}

    def _features(self, samples: Tensor) -> Tensor:
        frames = torch.nn.functional.pad(samples[0], (0, -samples.shape[1] % HOP)).reshape(-1, HOP)
        parts = torch.einsum("ts,pkvs->pkvt", frames, self.waves) / HOP * 2
        return parts.square().sum(dim=0).sqrt().flatten(0, 1)

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        loud = self._features(samples).view(2, 4, -1)
        codes = torch.where(loud.amax(dim=1) > QUIET, loud.argmax(dim=1), 4)
        return codes[:num_codebooks]

    def _embed(self, codes: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(codes, 5).float().sum(dim=0).T

    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        silent = torch.zeros(2, 1, HOP)
        table = torch.cat([self.waves[1], silent], dim=1)
        sound = sum(table[k][row] for k, row in enumerate(codes))
        return 0.2 * torch.as_tensor(sound).reshape(1, -1)[:, :num_samples]

    def codebooks(self) -> list[Tensor]:
        return [torch.eye(5)] * 2

    _streaming = None  # type: ignore[assignment]


Chimes.__abstractmethods__ = frozenset()  # streams are never asked for


def ring(low: list[int], high: list[int] | None = None) -> NDArray[np.float32]:
    """Return the sound of tones, one of each codebook in each frame."""
    codes = torch.tensor([low, [4] * len(low) if high is None else high])
    return Chimes()._decode(codes, HOP * len(low))[0].numpy()


def written(folder: Path, name: str, samples: NDArray[np.float32], **facts: str) -> Recording:
    """Write a recording, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return Recording(path, path.name, facts)
