"""How far two spectra are apart when one may go faster or slower than the other: the mel distance on the best path.

For speech that was made from text, which nobody says at the pace of the recording that it stands beside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.metrics.spectral import mel_spectrogram

_FLOOR = 1e-5


def warped_mel_distance(
    reference: ArrayLike, estimate: ArrayLike, sample_rate: int, *, hop_length: int = 256, num_mels: int = 80
) -> float:
    """Return the mean absolute difference of two log10 mel spectrograms along the path on which it is least.

    Dynamic time warping with steps of one frame in either or both (Sakoe and Chiba, IEEE TASSP 26:43, 1978, symmetric
    form: a step in both counts twice, so that all paths weigh the same).

    Args:
        reference: Waveform `[S]`.
        estimate: Waveform of any length.
        sample_rate: Of both, in Hz.
        hop_length: Samples from one frame to the next.
        num_mels: Number of mel bands.

    Raises:
        AudioError: A waveform is empty or not finite.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).standard_normal(4_000)
        >>> warped_mel_distance(noise, noise, 16_000), warped_mel_distance(noise, 0.1 * noise, 16_000) > 0.9
        (0.0, True)
    """
    first, second = (
        np.log10(np.maximum(mel_spectrogram(one, sample_rate, hop_length=hop_length, num_mels=num_mels), _FLOOR))
        for one in (reference, estimate)
    )
    far: NDArray[np.float64] = np.abs(first[:, :, None] - second[:, None, :]).mean(axis=0)
    rows, columns = far.shape
    # One diagonal after the other: all that its cells depend on is in the two before.
    cost = np.full((rows + 1, columns + 1), np.inf)
    cost[0, 0] = 0.0
    for diagonal in range(2, rows + columns + 1):
        row = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        column = diagonal - row
        here = far[row - 1, column - 1]
        before = np.minimum(cost[row - 1, column], cost[row, column - 1]) + here
        cost[row, column] = np.minimum(before, cost[row - 1, column - 1] + 2 * here)
    return float(cost[rows, columns] / (rows + columns))
