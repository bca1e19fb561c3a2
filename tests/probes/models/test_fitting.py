"""Fitting: the same from the same seed, stopped in time, batches of like length that lose nothing."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tokaudio.probes.errors import ProbeError
from tokaudio.probes.models.fitting import FitBudget, bucketed, fit, mean_loss, seeded


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 5))
def test_batches_hold_every_item_once(lengths: list[int], size: int, seed: int) -> None:
    for random in (None, np.random.default_rng(seed)):
        batches = bucketed(range(len(lengths)), lengths.__getitem__, batch_items=size, random=random)
        assert sorted(number for batch in batches for number in batch) == list(range(len(lengths)))
        assert all(len(batch) <= size for batch in batches)


def _problem(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    points = torch.randn(60, 4, generator=torch.Generator().manual_seed(9))
    with seeded(seed):
        layer = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 2))
    return layer, points, (points[:, 0] > 0).long()


def _fit(seed: int, budget: FitBudget | None = None) -> tuple[nn.Module, tuple[float, ...], int]:
    model, points, classes = _problem(seed)

    def losses(some: list[int]) -> Tensor:
        return F.cross_entropy(model(points[some]), classes[some], reduction="none")

    with seeded(seed):
        fitted = fit(
            model, losses, range(40), range(40, 60), frames=lambda _: 1, budget=budget or FitBudget(epochs=8), seed=seed
        )
    assert abs(mean_loss(model, losses, range(40, 60), frames=lambda _: 1) - min(fitted.valid_losses)) < 1e-6
    return model, fitted.valid_losses, fitted.best_epoch


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not() -> None:
    first, again, other = _fit(1), _fit(1), _fit(2)
    assert first[1] == again[1] != other[1]
    for mine, theirs in zip(first[0].parameters(), again[0].parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_it_stops_after_epochs_without_gain_and_keeps_the_best() -> None:
    _, losses, best = _fit(1, FitBudget(epochs=200, patience=3, learning_rate=0.3))
    assert len(losses) < 200
    assert len(losses) == best + 4
    assert losses[best] == min(losses)


def test_time_ends_it_after_an_epoch() -> None:
    assert len(_fit(1, FitBudget(seconds=0.0))[1]) == 1


def test_seeded_leaves_the_generator_and_threads_outside_alone() -> None:
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    with seeded(1):
        torch.rand(3)
        assert torch.get_num_threads() == 1
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_what_cannot_be_fitted_is_refused() -> None:
    layer = nn.Linear(1, 1)
    with pytest.raises(ProbeError, match="0 items to train on and 1 to validate on"):
        fit(layer, lambda _: torch.zeros(1), [], [0], frames=lambda _: 1, budget=FitBudget(), seed=0)
    endless = lambda some: layer(torch.ones(len(some), 1))[:, 0] * float("inf")  # noqa: E731
    with pytest.raises(ProbeError, match="the loss is"):
        fit(layer, endless, [0], [1], frames=lambda _: 1, budget=FitBudget(), seed=0)
