"""What the frames of a sample say beyond counts: what each codebook adds, and what a line reads off its vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from tokaudio.analysis.frames.incremental import IncrementalInformation, incremental_information
from tokaudio.analysis.frames.linear_probe import ProbeScore, linear_probe
from tokaudio.analysis.frames.observing import Column
from tokaudio.analysis.frames.sampling import SampledFrames
from tokaudio.analysis.sections import Rows

# Voicing is asked for as a label; all else that is heard, as values.
_MOST_DIMENSIONS = 2048


@dataclass(frozen=True, slots=True)
class Probed:
    """What a linear probe reads off the vectors of one codebook about one attribute.

    Attributes:
        codebook: its number.
        attribute: such as `pitch` or `phone`.
        score: on held-out frames.
    """

    codebook: int
    attribute: str
    score: ProbeScore

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {"codebook": self.codebook, "attribute": self.attribute, **self.score.to_dict()}


def increments(
    frames: SampledFrames,
    labels: Mapping[str, Column],
    *,
    seed: int = 0,
    advance: Callable[[], None] | None = None,
) -> Rows[IncrementalInformation]:
    """Return what the first codebooks say together about each attribute; without those it cannot be told for.

    Args:
        frames: of the sample.
        labels: integers `[N]` by attribute, values in bins, -1 for none.
        seed: of the choice of frames.
        advance: called after each attribute.

    Example:
        >>> from tokaudio.analysis.frames.sampling import FrameSample
        >>> sample = FrameSample()
        >>> for number in range(40):
        ...     codes = np.random.default_rng(number).integers(0, 4, (2, 100))
        ...     sample.add(codes, {"phone": codes[1]})
        >>> frames = sample.finish()
        >>> [round(bits, 1) for bits in increments(frames, frames.columns).rows[0].bits]
        [0.0, 2.0]
    """
    found = []
    for name, label in labels.items():
        one = incremental_information(
            frames.codes, label, frames.folds, groups=frames.groups, attribute=name, seed=seed
        )
        if one is not None:
            found.append(one)
        if advance is not None:
            advance()
    return Rows(tuple(found))


def probes(frames: SampledFrames, attributes: Sequence[str], vectors: Sequence[Tensor]) -> Rows[Probed] | None:
    """Return what a linear probe reads off the vectors of each codebook.

    Args:
        frames: of the sample.
        attributes: names of its columns.
        vectors: of each codebook `[V, D]`.

    Returns:
        The scores; None where vectors are not one table for each codebook, or too wide.

    Example:
        >>> from tokaudio.analysis.frames.sampling import FrameSample
        >>> import torch
        >>> sample = FrameSample()
        >>> for number in range(40):
        ...     codes = np.random.default_rng(number).integers(0, 8, (1, 100))
        ...     sample.add(codes, {"energy": codes[0] * 3.0})
        >>> table = torch.arange(8.0)[:, None]
        >>> round(probes(sample.finish(), ["energy"], [table]).rows[0].score.r2, 3)
        1.0
    """
    if len(vectors) != len(frames.codes) or any(table.shape[1] > _MOST_DIMENSIONS for table in vectors):
        return None
    found = []
    for number, (codes, table) in enumerate(zip(frames.codes, vectors, strict=True)):
        rows = np.asarray(table.detach().cpu(), dtype=np.float64)
        for name in attributes:
            score = linear_probe(rows, codes, frames.columns[name], frames.folds)
            if score is not None:
                found.append(Probed(number, name, score))
    return Rows(tuple(found))
