"""A probe that tells classes apart: fitted to some clips, asked about others.

found = classify(inputs, labels, split, config, seed=0)
found.predicted  # class of each test clip
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tokaudio.probes.models.fitting import FitBudget, Fitted, bucketed, fit, seeded
from tokaudio.probes.models.heads import AngularMargin, Head, make_head
from tokaudio.probes.models.inputs import Inputs, front_of

Integers = NDArray[np.int64]
WIDTH = 64
"""Of the frames that heads receive, for every probe."""


class Split(NamedTuple):
    """Numbers of the clips to train on, to validate on, and to test on."""

    train: Sequence[int]
    valid: Sequence[int]
    test: Sequence[int]


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """What a probe is made of.

    Attributes:
        head: a name that [`make_head`][tokaudio.probes.models.heads.make_head] knows.
        fusion: a name that [`make_fusion`][tokaudio.probes.models.fusion.make_fusion] knows.
        trainable: whether fitting changes the vectors of codes.
        budget: how long it may learn.
    """

    head: str = "xvector"
    fusion: str = "attention"
    trainable: bool = True
    budget: FitBudget = field(default_factory=FitBudget)


class Probe(nn.Module):
    """Frames from inputs, and a head on them.

    Args:
        front: of `front_of`.
        head: of `make_head`.
    """

    def __init__(self, front: nn.Module, head: Head) -> None:
        super().__init__()
        self.front, self.head = front, head

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Map codes `[B, K, T]` or vectors `[B, T, D]` to the outputs of the head `[B, outputs]`."""
        scores: Tensor = self.head(self.front(inputs), lengths)
        return scores

    def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Map codes or vectors to the vectors `[B, W]` that the head's outputs are a linear map of."""
        return self.head.embed(self.front(inputs), lengths)


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """What a probe said.

    Attributes:
        predicted: class of each test clip, in the order of the split.
        fitted: how fitting went.
    """

    predicted: Integers
    fitted: Fitted


def classify(inputs: Inputs, labels: Integers, split: Split, config: ProbeConfig, *, seed: int) -> Classified:
    """Fit a probe to the classes of clips, and return what it takes the test clips for.

    Args:
        inputs: of all clips.
        labels: class of each clip, from 0.
        split: clips to train on, to validate on, and to test on.
        config: of the probe.
        seed: of everything random.

    Raises:
        ProbeError: there are no clips to train or validate on.

    Example:
        >>> from tokaudio.probes.models.inputs import CodeInputs
        >>> labels = np.arange(60) % 2
        >>> inputs = CodeInputs("tokens", [np.full((1, 5), label) for label in labels], (2,))
        >>> split = Split(range(40), range(40, 50), range(50, 60))
        >>> found = classify(inputs, labels, split, ProbeConfig("linear"), seed=0)
        >>> bool((found.predicted == labels[50:]).all())
        True
    """
    targets = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    with seeded(seed):
        front = front_of(inputs, split.train, width=WIDTH, fusion=config.fusion, trainable=config.trainable)
        probe = Probe(front, make_head(config.head, width=WIDTH, outputs=int(targets.max()) + 1))

        def losses(some: Sequence[int]) -> Tensor:
            return F.cross_entropy(probe(*inputs.batch(some)), targets[list(some)], reduction="none")

        fitted = fit(probe, losses, split.train, split.valid, frames=inputs.frames, budget=config.budget, seed=seed)
        predicted = outputs_of(probe, inputs, split.test).argmax(dim=1)
    return Classified(predicted.numpy(), fitted)


def outputs_of(probe: Probe, inputs: Inputs, indices: Sequence[int], *, embedded: bool = False) -> Tensor:
    """Return the outputs `[N, outputs]` of a probe for clips, or with `embedded` the vectors before its last layer."""
    places = {index: place for place, index in enumerate(indices)}
    rows: list[Tensor] = [torch.empty(0)] * len(indices)
    probe.eval()
    with torch.no_grad():
        for batch in bucketed(list(indices), inputs.frames, batch_items=128, random=None):
            given = inputs.batch(batch)
            made = probe.embed(*given) if embedded else probe(*given)
            for index, row in zip(batch, made, strict=True):
                rows[places[index]] = row
    return torch.stack(rows)


def speaker_vectors(
    inputs: Inputs, labels: Integers, split: Split, config: ProbeConfig, *, seed: int
) -> tuple[Tensor, Fitted]:
    """Fit a probe to tell the speakers of some clips apart, and return vectors `[N, W]` of clips of other speakers.

    Trained with an angular margin, as speaker verification is in DASB; the vectors have the mean of those of the
    training clips taken off.

    Args:
        inputs: of all clips.
        labels: speaker of each clip; those to train on must be numbered from 0.
        split: clips to train on, to validate on (of the same speakers), and to make vectors of (of others).
        config: of the probe.
        seed: of everything random.

    Raises:
        ProbeError: there are no clips to train or validate on.
    """
    targets = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    with seeded(seed):
        front = front_of(inputs, split.train, width=WIDTH, fusion=config.fusion, trainable=config.trainable)
        probe = Probe(front, make_head(config.head, width=WIDTH, outputs=1))
        speakers = int(targets[list(split.train)].max()) + 1
        margin = AngularMargin(probe.head.out.in_features, speakers)

        def losses(some: Sequence[int]) -> Tensor:
            loss: Tensor = margin(probe.embed(*inputs.batch(some)), targets[list(some)])
            return loss.expand(len(some))

        both = nn.ModuleList([probe, margin])
        fitted = fit(both, losses, split.train, split.valid, frames=inputs.frames, budget=config.budget, seed=seed)
        mean = outputs_of(probe, inputs, split.train, embedded=True).mean(dim=0)
        return outputs_of(probe, inputs, split.test, embedded=True) - mean, fitted
