"""Durations of letters: those that were planted, and always all frames."""

import numpy as np
import pytest

from tokaudio.probes.errors import ProbeError
from tokaudio.probes.generative.letters_to_frames import letter_durations, path_durations
from tokaudio.probes.models.fitting import FitBudget, seeded
from tokaudio.probes.models.inputs import CodeInputs

BUDGET = FitBudget(epochs=12, patience=12, batch_items=4, learning_rate=5e-3)


def test_planted_letters_are_found_in_their_frames() -> None:
    random = np.random.default_rng(0)
    spelt = [random.permutation(np.arange(1, 5))[:3].tolist() for _ in range(24)]
    lasts = [random.integers(3, 8, 3) for _ in spelt]
    rows = [np.repeat(word, long)[None].astype(np.int32) for word, long in zip(spelt, lasts, strict=True)]
    inputs = CodeInputs("planted", rows, (5,))
    with seeded(0):
        found = letter_durations(inputs, spelt, range(20), range(20, 24), letters=4, budget=BUDGET, seed=0)
    off = [np.abs(one - long).max() for one, long in zip(found, lasts, strict=True)]
    assert all(one.sum() == long.sum() for one, long in zip(found, lasts, strict=True))
    assert np.mean(off) < 2.5


def test_the_path_goes_through_all_letters_even_where_they_are_unlikely() -> None:
    logs = np.log(np.full((9, 4), 1e-4))
    logs[:, 3] = 0.0
    found = path_durations(logs, np.array([1, 1, 2]))
    assert found.sum() == 9 and (found >= 1).all()


def test_doubled_letters_have_a_pause_between_them() -> None:
    logs = np.log(np.full((5, 2), 0.01))
    logs[[0, 1, 3, 4], 1] = logs[2, 0] = np.log(0.99)
    assert path_durations(logs, np.array([1, 1])).tolist() == [2, 3]


def test_more_letters_than_frames_are_refused() -> None:
    inputs = CodeInputs("planted", [np.zeros((1, 2), np.int32)] * 2, (5,))
    with pytest.raises(ProbeError, match="2 frames for 3 letters"):
        letter_durations(inputs, [[1, 2, 3]] * 2, [0], [1], letters=3, budget=BUDGET, seed=0)
