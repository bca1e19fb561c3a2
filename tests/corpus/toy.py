"""A tokenizer that costs next to nothing, for jobs that are about everything else: loudness of frames, in 16 steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tokaudio.corpus import tokenize_batch
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.base import Tokenizer

HOP = 80


class Loudness(Tokenizer):
    """Codes frames by their loudness; it decodes nothing."""

    decodes = False

    def __init__(self) -> None:
        super().__init__(TokenizerSpec("loudness", "semantic", 4_000, HOP, (CodebookSpec(16),) * 3, chunking="none"))
        self.register_buffer("steps", torch.linspace(0.0, 1.0, 15))

    def config(self) -> dict[str, Any]:
        return {"family": "loudness"}

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        frames = torch.nn.functional.pad(samples[0], (0, -samples.shape[1] % HOP)).reshape(-1, HOP)
        code = torch.bucketize(3 * frames.abs().mean(1), self.steps)
        return torch.stack([code, 15 - code, code // 2])[:num_codebooks]

    _decode = _features = _embed = _streaming = None  # type: ignore[assignment]

    def codebooks(self) -> list[Tensor]:
        return [self.steps[:, None]] * 3


Loudness.__abstractmethods__ = frozenset()  # what is left out is never asked for


def loudness() -> TokenizeBatch:
    """Return what tokenizes with it in this process, and in those that are forked from it."""
    tokenize = TokenizeBatch("loudness")
    tokenize_batch._loaded["loudness", None, "cpu"] = Loudness().eval()
    return tokenize
