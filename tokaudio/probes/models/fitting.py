"""Fitting a probe: the same result from the same seed, stopped where validation no longer gains, within a time.

    with seeded(3):
        model = ...
        fitted = fit(model, losses, train, valid, frames=inputs.frames, budget=FitBudget(), seed=3)

`losses(indices)` gives the loss of each item of a batch. Batches hold items of like length, in an order that the seed
draws anew for every epoch. Everything runs on one thread: probes are too small for more, and sums keep their order.
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tokaudio.probes.errors import ProbeError

Losses = Callable[[Sequence[int]], Tensor]
"""Numbers of items to the loss of each of them `[B]`."""


@dataclass(frozen=True, slots=True)
class FitBudget:
    """How long a probe may learn.

    Attributes:
        epochs: at most.
        patience: epochs without gain on the validation items after which it stops.
        batch_items: items of a batch.
        learning_rate: of AdamW.
        weight_decay: likewise; not on biases, norms and vectors of codes.
        seconds: after which no further epoch begins; None for no limit. A result that met it says so.
    """

    epochs: int = 30
    patience: int = 5
    batch_items: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """How fitting went.

    Attributes:
        valid_losses: mean over validation items, after each epoch.
        best_epoch: whose weights were kept, counted from 0.
        out_of_time: whether the time limit ended it.
    """

    valid_losses: tuple[float, ...]
    best_epoch: int
    out_of_time: bool


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make what is drawn within depend on the seed alone, on one thread; leave everything outside as it was.

    Example:
        >>> with seeded(1):
        ...     first = torch.rand(2)
        >>> with seeded(1):
        ...     print(bool((torch.rand(2) == first).all()))
        True
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def bucketed(
    indices: Sequence[int], frames: Callable[[int], int], *, batch_items: int, random: np.random.Generator | None
) -> list[list[int]]:
    """Return batches of items of like length.

    Args:
        indices: of the items.
        frames: length of an item.
        batch_items: items of a batch.
        random: draws which items of like length meet, and the order of batches; None for the order of lengths.

    Example:
        >>> bucketed([0, 1, 2, 3], [9, 1, 8, 2].__getitem__, batch_items=2, random=None)
        [[1, 3], [2, 0]]
    """
    lengths = np.array([frames(index) for index in indices], dtype=np.float64)
    if random is not None:
        lengths *= random.uniform(0.9, 1.1, len(lengths))
    order = np.argsort(lengths, kind="stable")
    batches = [
        [indices[place] for place in order[start : start + batch_items]] for start in range(0, len(order), batch_items)
    ]
    if random is not None:
        random.shuffle(batches)
    return batches


def fit(
    model: nn.Module,
    losses: Losses,
    train: Sequence[int],
    valid: Sequence[int],
    *,
    frames: Callable[[int], int],
    budget: FitBudget,
    seed: int,
) -> Fitted:
    """Fit a model, and leave it with the weights that did best on the validation items.

    Args:
        model: whose parameters are fitted; it is put into training and evaluation mode as need be.
        losses: of items, by the model.
        train: numbers of the items to learn from.
        valid: numbers of the items that say when to stop.
        frames: length of an item, for batches.
        budget: how long.
        seed: of the order of batches.

    Raises:
        ProbeError: there is nothing to train or validate on, or the loss is not finite.

    Example:
        >>> with seeded(0):
        ...     layer = nn.Linear(1, 1)
        ...     points = torch.linspace(-1, 1, 32)[:, None]
        ...     squares = lambda some: (layer(points[some]) - 2 * points[some]).square()[:, 0]
        ...     budget = FitBudget(learning_rate=0.1, weight_decay=0)
        ...     fitted = fit(layer, squares, range(30), [30, 31], frames=lambda _: 1, budget=budget, seed=0)
        >>> round(layer.weight.item())
        2
    """
    if not len(train) or not len(valid):
        raise ProbeError(f"{len(train)} items to train on and {len(valid)} to validate on; give some of each")
    optimizer = torch.optim.AdamW(_groups(model, budget.weight_decay), lr=budget.learning_rate)
    random, started = np.random.default_rng(seed), time.monotonic()
    best, best_epoch, kept, history = math.inf, 0, copy.deepcopy(model.state_dict()), list[float]()
    for epoch in range(budget.epochs):
        model.train()
        for batch in bucketed(train, frames, batch_items=budget.batch_items, random=random):
            optimizer.zero_grad(set_to_none=True)
            loss = losses(batch).mean()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        history.append(mean_loss(model, losses, valid, frames=frames))
        if not math.isfinite(history[-1]):
            raise ProbeError(f"the loss is {history[-1]} after {epoch + 1} epochs; look for values that are not finite")
        if history[-1] < best:
            best, best_epoch, kept = history[-1], epoch, copy.deepcopy(model.state_dict())
        out_of_time = budget.seconds is not None and time.monotonic() - started >= budget.seconds
        if epoch - best_epoch >= budget.patience or out_of_time:
            break
    model.load_state_dict(kept)
    model.eval()
    return Fitted(tuple(history), best_epoch, out_of_time)


def mean_loss(
    model: nn.Module, losses: Losses, indices: Sequence[int], *, frames: Callable[[int], int], batch_items: int = 128
) -> float:
    """Return the mean loss of items, with the model in evaluation mode and without gradients.

    Example:
        >>> mean_loss(nn.Identity(), lambda some: torch.tensor(some) * 1.0, [1, 3], frames=lambda _: 1)
        2.0
    """
    model.eval()
    total = 0.0
    with torch.no_grad():
        for batch in bucketed(indices, frames, batch_items=batch_items, random=None):
            total += float(losses(batch).sum())
    return total / len(indices)


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    embedded = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding)}
    learned = [one for one in model.parameters() if one.requires_grad]
    plain = [one for one in learned if one.ndim < 2 or id(one) in embedded]
    decayed = [one for one in learned if one.ndim >= 2 and id(one) not in embedded]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
