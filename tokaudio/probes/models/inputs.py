"""What a probe reads of each clip: codes, or vectors, one array for each clip.

tokens = CodeInputs("tokens", codes, spec.codebook_sizes)
model_front = front_of(tokens, train, width=64)
model_front(*tokens.batch([3, 1]))  # [2, T, 64]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tokaudio.probes.errors import ProbeError
from tokaudio.probes.models.fusion import make_fusion
from tokaudio.probes.models.token_features import TokenFeatures


@dataclass(frozen=True, eq=False)
class CodeInputs:
    """Codes of each clip.

    Attributes:
        name: of what was read, such as `tokens`.
        items: of each clip, integers `[K, T]`.
        sizes: of the codebooks `[K]`.
        tables: the tokenizer's codebooks, K tables `[V, D]`, where features start from them.
    """

    name: str
    items: Sequence[NDArray[Any]]
    sizes: tuple[int, ...]
    tables: Sequence[Tensor] | None = None

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return codes `[B, K, T]` of clips, zero beyond their lengths, and the lengths `[B]`, 1 at least."""
        rows = [self.items[index] for index in indices]
        lengths = torch.tensor([max(1, row.shape[1]) for row in rows])
        codes = torch.zeros(len(rows), len(self.sizes), int(lengths.max()), dtype=torch.int64)
        for number, row in enumerate(rows):
            codes[number, :, : row.shape[1]] = torch.from_numpy(row.astype(np.int64))
        return codes, lengths

    def frames(self, index: int) -> int:
        """Return how many frames a clip has."""
        return int(self.items[index].shape[1])


@dataclass(frozen=True, eq=False)
class VectorInputs:
    """Vectors of each clip.

    Attributes:
        name: of what was read, such as `continuous`.
        items: of each clip, floats `[D, T]`.
    """

    name: str
    items: Sequence[NDArray[Any]]

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return vectors `[B, T, D]` of clips, zero beyond their lengths, and the lengths `[B]`, 1 at least."""
        rows = [self.items[index] for index in indices]
        lengths = torch.tensor([max(1, row.shape[1]) for row in rows])
        frames = torch.zeros(len(rows), int(lengths.max()), rows[0].shape[0])
        for number, row in enumerate(rows):
            frames[number, : row.shape[1]] = torch.from_numpy(row.T.astype(np.float32))
        return frames, lengths

    def frames(self, index: int) -> int:
        """Return how many frames a clip has."""
        return int(self.items[index].shape[1])


Inputs = CodeInputs | VectorInputs


class CodeFront(nn.Module):
    """Codes to one vector for each frame: vectors of codes, fused over codebooks.

    Example:
        >>> CodeFront([4, 4], width=8)(torch.zeros(1, 2, 5, dtype=torch.int64)).shape
        torch.Size([1, 5, 8])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        width: int,
        fusion: str = "attention",
        tables: Sequence[Tensor] | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__()
        self.features = TokenFeatures(sizes, width=width, tables=tables, trainable=trainable)
        self.fusion = make_fusion(fusion, streams=len(sizes), width=width)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes `[B, K, T]` to frames `[B, T, width]`."""
        frames: Tensor = self.fusion(self.features(codes))
        return frames


class VectorFront(nn.Module):
    """Vectors to the width of the probe, each of their dimensions brought to mean 0 and deviation 1 first.

    Args:
        mean: of each dimension `[D]`, over the clips to train on.
        deviation: likewise.
        width: of the result.

    Example:
        >>> VectorFront(torch.zeros(3), torch.ones(3), width=8)(torch.zeros(1, 5, 3)).shape
        torch.Size([1, 5, 8])
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor, *, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation.clamp(min=1e-5))
        self.project = nn.Linear(len(mean), width)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map vectors `[B, T, D]` to frames `[B, T, width]`."""
        frames: Tensor = self.project((vectors - self.mean) / self.deviation)
        return frames


def front_of(
    inputs: Inputs, train: Sequence[int], *, width: int, fusion: str = "attention", trainable: bool = True
) -> nn.Module:
    """Return the first layers of a probe for some inputs, not yet fitted.

    Args:
        inputs: what is to be read.
        train: numbers of the clips that it will be fitted to; of vectors, these set mean and deviation.
        width: of the frames that are made.
        fusion: over codebooks; see [`make_fusion`][tokaudio.probes.models.fusion.make_fusion].
        trainable: whether fitting changes the vectors of codes.

    Raises:
        ProbeError: there is nothing to train on.

    Example:
        >>> front_of(VectorInputs("x", [np.zeros((3, 9))]), [0], width=8).project
        Linear(in_features=3, out_features=8, bias=True)
    """
    if not len(train):
        raise ProbeError("there is no clip to train on; give one at least")
    if isinstance(inputs, CodeInputs):
        return CodeFront(inputs.sizes, width=width, fusion=fusion, tables=inputs.tables, trainable=trainable)
    sums, squares, count = np.zeros(inputs.items[0].shape[0]), np.zeros(inputs.items[0].shape[0]), 0
    for index in train:
        row = inputs.items[index].astype(np.float64)
        sums, squares, count = sums + row.sum(axis=1), squares + np.square(row).sum(axis=1), count + row.shape[1]
    mean = sums / max(count, 1)
    deviation = np.sqrt(np.maximum(squares / max(count, 1) - np.square(mean), 0))
    return VectorFront(torch.from_numpy(mean).float(), torch.from_numpy(deviation).float(), width=width)
