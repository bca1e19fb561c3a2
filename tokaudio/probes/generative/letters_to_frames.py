"""Which frames say which letter: CTC on the tokens themselves, and the likeliest path through each clip's letters.

A recogniser is fitted to the clips that are learnt from (Graves et al. 2006, ICML), only to be asked which of their
frames hold which of the letters that are known to be there. What it makes of other clips does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tokaudio.probes.errors import ProbeError
from tokaudio.probes.models.fitting import FitBudget, bucketed, fit
from tokaudio.probes.models.heads import FrameHead
from tokaudio.probes.models.inputs import CodeInputs, front_of
from tokaudio.probes.models.sequence_bodies import BiLstmBody

Array = NDArray[Any]
_WIDTH = 64


def letter_durations(
    inputs: CodeInputs,
    spelt: Sequence[Sequence[int]],
    train: Sequence[int],
    valid: Sequence[int],
    *,
    letters: int,
    budget: FitBudget,
    seed: int,
) -> list[Array]:
    """Return how many frames each letter of each clip takes `[L]`, which add up to the clip's frames.

    Args:
        inputs: codes of the clips.
        spelt: letters of each clip, as numbers from 1 on.
        train: clips that the recogniser learns from.
        valid: clips that say when it has learnt enough; durations are found for these too.
        letters: how many there are.
        budget: how long it may learn.
        seed: of its weights and of the order of clips.

    Raises:
        ProbeError: a clip has fewer frames than letters.
    """
    chosen = [*train, *valid]
    for number in chosen:
        if inputs.frames(number) < len(spelt[number]):
            raise ProbeError(
                f"clip {number} has {inputs.frames(number)} frames for {len(spelt[number])} letters; "
                "use a tokenizer with more frames, or leave the clip out"
            )
    front = front_of(inputs, train, width=_WIDTH, trainable=False)
    head = FrameHead(BiLstmBody(_WIDTH), letters + 1)

    def losses(some: Sequence[int]) -> Tensor:
        codes, lengths = inputs.batch(some)
        scores, lengths = head(front(codes), lengths)
        targets = [torch.tensor(spelt[number]) for number in some]
        sizes = torch.tensor([len(one) for one in targets])
        logs = scores.log_softmax(dim=2).transpose(0, 1)
        return F.ctc_loss(logs, torch.cat(targets), lengths, sizes, reduction="none", zero_infinity=True) / sizes

    model = nn.ModuleList([front, head])
    fit(model, losses, train, valid, frames=inputs.frames, budget=budget, seed=seed)
    found: list[Array] = [np.zeros(0, dtype=np.int64)] * len(spelt)
    with torch.no_grad():
        for batch in bucketed(chosen, inputs.frames, batch_items=32, random=None):
            codes, lengths = inputs.batch(batch)
            scores, lengths = head(front(codes), lengths)
            logs = scores.log_softmax(dim=2).double().numpy()
            for number, row, length in zip(batch, logs, lengths.tolist(), strict=True):
                found[number] = path_durations(row[:length], np.asarray(spelt[number]))
    return found


def path_durations(logs: Array, spelt: Array) -> Array:
    """Return the frames of each letter `[L]` on the likeliest CTC path; a pause is halved between its neighbours.

    Args:
        logs: log probabilities `[T, V]`, of which 0 is the blank.
        spelt: letters `[L]`, from 1 on.

    Example:
        >>> logs = np.log(np.full((6, 3), 0.1))
        >>> logs[[0, 1, 4], [1, 1, 2]] = logs[[2, 3, 5], 0] = 0.0
        >>> path_durations(logs, np.array([1, 2])).tolist()
        [3, 3]
    """
    states = np.zeros(2 * len(spelt) + 1, dtype=np.int64)
    states[1::2] = spelt
    frames, count = len(logs), len(states)
    emitted = logs[:, states]
    # A letter may follow a letter without a blank between them unless it is the same letter.
    jumps = np.zeros(count, dtype=bool)
    jumps[3::2] = spelt[1:] != spelt[:-1]
    best = np.full(count, -np.inf)
    best[:2] = emitted[0, :2]
    came = np.zeros((frames, count), dtype=np.int8)
    for frame in range(1, frames):
        ways = np.full((3, count), -np.inf)
        ways[0], ways[1, 1:], ways[2, 2:] = best, best[:-1], np.where(jumps[2:], best[:-2], -np.inf)
        came[frame] = ways.argmax(axis=0)
        best = ways.max(axis=0) + emitted[frame]
    state = count - 1 if best[-1] >= best[-2] else count - 2
    path = np.zeros(frames, dtype=np.int64)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state -= int(came[frame, state])
    return _shared_pauses(np.bincount(path, minlength=count))


def _shared_pauses(times: Array) -> Array:
    """Return the frames of letters `[L]` from those of all states `[2 L + 1]`."""
    pauses, found = times[0::2], times[1::2].copy()
    before, after = pauses // 2, pauses - pauses // 2
    found[:-1] += before[1:-1]
    found[1:] += after[1:-1]
    found[0] += pauses[0]
    found[-1] += pauses[-1]
    return found
