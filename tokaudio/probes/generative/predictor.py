"""Tokens from tokens: what is heard goes through a small Conformer, and each codebook's code is predicted in turn.

    model = TokenPredictor(front_of(inputs, train, width=128), sizes, sources=2, tables=tables)
    model.losses(heard, lengths, targets)   # [B], least over the ways in which sources may be exchanged
    model.predict(heard, lengths)           # [B, sources, K, T]

Codes are scored by how far the vectors of the tokenizer's own codebooks agree with a predicted vector: with minutes of
speech, most codes are too rare to learn an output of their own for. Codebook k is told which codes were chosen for
those before it, so that residual codebooks can correct what earlier ones left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.probes.models.sequence_bodies import ConformerBody, frame_mask
from tokaudio.probes.models.token_features import TokenFeatures

WIDTH = 128
"""Of the frames within."""
_VECTOR = 64
_SHARPENED = 1.6


class TokenOutputs(nn.Module):
    """Codes of all codebooks from one vector for each frame, one codebook after the other.

    Args:
        sizes: of the codebooks `[K]`.
        width: D, of the frames.
        tables: the tokenizer's codebooks, which stay as they are; random vectors that are trained if None.

    Example:
        >>> outputs = TokenOutputs([4, 8], width=16)
        >>> frames, codes = torch.zeros(3, 16), torch.zeros(3, 2, dtype=torch.int64)
        >>> outputs.nats(frames, codes).shape, outputs.choose(frames).shape
        (torch.Size([3, 2]), torch.Size([3, 2]))
    """

    def __init__(self, sizes: Sequence[int], *, width: int, tables: Sequence[Tensor] | None = None) -> None:
        super().__init__()
        self.features = TokenFeatures(sizes, width=_VECTOR, tables=tables, trainable=tables is None)
        with torch.no_grad():
            # Residual codebooks are ever smaller; here all are alike in size.
            for part in self.features.vectors.weight.split(list(sizes)):
                part.div_(part.square().mean().sqrt().clamp(min=1e-6))
        self.biases = nn.Parameter(torch.zeros(sum(sizes)))
        self.scales = nn.Parameter(torch.full((len(sizes),), 1 / 16))
        self.tell = nn.ModuleList(nn.Linear(_VECTOR, width) for _ in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in sizes)
        self.outs = nn.ModuleList(nn.Linear(width, _VECTOR) for _ in sizes)

    def _scores(self, k: int, frames: Tensor) -> Tensor:
        table = self.features.vectors.weight.split(list(self.features.sizes))[k]
        bias = self.biases.split(list(self.features.sizes))[k]
        near = self.outs[k](self.norms[k](frames)) @ table.T - table.square().sum(dim=1) / 2
        scores: Tensor = near * self.scales[k] + bias
        return scores

    def _told(self, k: int, frames: Tensor, codes: Tensor) -> Tensor:
        told: Tensor = frames + self.tell[k](self.features.vectors(codes + self.features.offsets[k]))
        return told

    def cost(self, frames: Tensor, codes: Tensor) -> Tensor:
        """Return the mean of `-log p` over codebooks `[N]`; the k-th counts 1 / k, for earlier ones hold more."""
        nats = self.nats(frames, codes)
        weights = 1 / torch.arange(1, nats.shape[1] + 1)
        return nats @ (weights / weights.sum())

    def nats(self, frames: Tensor, codes: Tensor) -> Tensor:
        """Return `-log p` of codes `[N, K]`, each given the ones before it, for frames `[N, D]`."""
        found = []
        for k in range(codes.shape[1]):
            found.append(F.cross_entropy(self._scores(k, frames), codes[:, k], reduction="none"))
            frames = self._told(k, frames, codes[:, k])
        return torch.stack(found, dim=1)

    def choose(self, frames: Tensor, *, expected: bool = False) -> Tensor:
        """Return codes `[N, K]` of frames `[N, D]`, each given those chosen before it.

        Args:
            frames: the frames.
            expected: choose the code whose vector is nearest to the mean of all by their probabilities (sharpened a
                little), and not the likeliest one: where many are about as likely, the likeliest is a matter of luck.
        """
        chosen = []
        for k, table in enumerate(self.features.vectors.weight.split(list(self.features.sizes))):
            scores = self._scores(k, frames)
            if expected:
                mean = (scores * _SHARPENED).softmax(dim=1) @ table
                scores = mean @ table.T - table.square().sum(dim=1) / 2
            chosen.append(scores.argmax(dim=1))
            frames = self._told(k, frames, chosen[-1])
        return torch.stack(chosen, dim=1)


class TokenPredictor(nn.Module):
    """Tokens of one or more sources from what is heard of their mixture.

    Args:
        front: that makes frames `[B, T, WIDTH]` of what is heard.
        sizes: of the codebooks `[K]`.
        sources: N, how many sounds are wanted.
        tables: the tokenizer's codebooks.
        layers: of the Conformer.
    """

    def __init__(
        self,
        front: nn.Module,
        sizes: Sequence[int],
        *,
        sources: int = 1,
        tables: Sequence[Tensor] | None = None,
        layers: int = 1,
    ) -> None:
        super().__init__()
        self.front = front
        self.body = ConformerBody(WIDTH, width=WIDTH, layers=layers, kernel=15)
        self.parts = nn.ModuleList(nn.Linear(2 * WIDTH, WIDTH) for _ in range(sources))
        self.outputs = TokenOutputs(sizes, width=WIDTH, tables=tables)
        self.share = 1.0

    def _frames(self, heard: Tensor, lengths: Tensor) -> Tensor:
        """Return a vector for each source and frame `[B, N, T, WIDTH]`."""
        given = self.front(heard)
        made, _ = self.body(given, lengths)
        both = torch.cat([given[:, : made.shape[1]], made], dim=2)
        return torch.stack([part(both) for part in self.parts], dim=1)

    def losses(self, heard: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return the mean `-log p` of each item's codes `[B]`, for the best order of its sources.

        While training, a share of the frames is drawn, for scoring all codes takes most of the time.

        Args:
            heard: what `front` reads.
            lengths: frames of each item `[B]`.
            targets: codes `[B, N, K, T]`.
        """
        frames = self._frames(heard, lengths)
        batch, sources = frames.shape[:2]
        mask = frame_mask(frames[:, 0], lengths)[..., 0]
        if self.training and self.share < 1:
            mask = mask * (torch.rand(mask.shape) < self.share)
        items, times = mask.nonzero(as_tuple=True)
        count = torch.bincount(items, minlength=batch).clamp(min=1)
        cost = torch.stack(
            [
                torch.stack([self._cost(frames[:, s], targets[:, t], items, times, count) for t in range(sources)])
                for s in range(sources)
            ]
        )  # [said, target, B]
        return best_order(cost)

    def _cost(self, frames: Tensor, codes: Tensor, items: Tensor, times: Tensor, count: Tensor) -> Tensor:
        nats = self.outputs.cost(frames[items, times], codes[items, :, times])
        return torch.zeros(len(count)).index_add(0, items, nats) / count

    @torch.no_grad()
    def predict(self, heard: Tensor, lengths: Tensor) -> Tensor:
        """Return codes `[B, N, K, T]`."""
        frames = self._frames(heard, lengths)
        codes = self.outputs.choose(frames.flatten(0, 2))
        return codes.view(*frames.shape[:3], -1).transpose(2, 3)


def best_order(cost: Tensor) -> Tensor:
    """Return the least mean cost of each item `[B]` over all orders of its sources.

    Permutation-invariant training: Yu et al., arXiv:1607.00325.

    Args:
        cost: of each prediction for each target `[N, N, B]`.

    Example:
        >>> best_order(torch.tensor([[[5.0], [1.0]], [[2.0], [5.0]]]))
        tensor([1.5000])
    """
    sources = range(len(cost))
    orders = [torch.stack([cost[s, t] for s, t in zip(sources, order, strict=True)]) for order in permutations(sources)]
    return torch.stack(orders).mean(dim=1).amin(dim=0)
