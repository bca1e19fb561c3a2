"""Warped mel distance: nothing for the same speech at another pace, as much as the slow twin says otherwise."""

import numpy as np
import pytest

from tokaudio.metrics.spectral import mel_spectrogram
from tokaudio.metrics.warping import warped_mel_distance


def _steps(*lengths: int) -> np.ndarray:
    tones = [np.sin(2 * np.pi * (300 + 400 * place) * np.arange(n) / 16_000) for place, n in enumerate(lengths)]
    return np.concatenate(tones)


def test_another_pace_costs_far_less_than_other_sounds() -> None:
    pace = warped_mel_distance(_steps(4096, 4096), _steps(2048, 8192), 16_000)
    other = warped_mel_distance(_steps(4096, 4096), _steps(4096, 4096)[::-1], 16_000)
    assert pace < 0.15 * other


@pytest.mark.parametrize("sizes", [(700, 3000), (2000, 2000), (3000, 300)])
def test_the_path_is_the_best_one(sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    first, second = (random.standard_normal(size) for size in sizes)
    logs = [np.log10(np.maximum(mel_spectrogram(one, 16_000), 1e-5)) for one in (first, second)]
    rows, columns = (one.shape[1] for one in logs)
    cost = np.full((rows + 1, columns + 1), np.inf)
    cost[0, 0] = 0
    for row in range(rows):
        for column in range(columns):
            far = np.abs(logs[0][:, row] - logs[1][:, column]).mean()
            ways = cost[row, column] + 2 * far, cost[row, column + 1] + far, cost[row + 1, column] + far
            cost[row + 1, column + 1] = min(ways)
    assert warped_mel_distance(first, second, 16_000) == pytest.approx(cost[-1, -1] / (rows + columns))
