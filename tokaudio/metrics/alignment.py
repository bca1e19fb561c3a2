"""How much of a sound is the wanted one: SI-SDR, after the delay that a coder may add is taken out.

A reconstruction that comes 8 samples early sounds the same and has an SI-SDR some 20 dB lower: without alignment, the
figure tells of delays and of nothing else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.errors import AudioError
from tokaudio.metrics.intelligibility import validate

MAX_SHIFT_SECONDS = 0.01
_LOWEST_DB, _HIGHEST_DB = -60.0, 120.0


def si_sdr(reference: ArrayLike, estimate: ArrayLike, sample_rate: int) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB (Le Roux et al., arXiv:1811.02508, eq. 3).

    Args:
        reference: Wanted waveform `[S]`.
        estimate: What there is of it `[S]`, aligned in time.
        sample_rate: Of both, in Hz.

    Returns:
        Between -60 and 120 dB, which stand for nothing and everything.

    Raises:
        AudioError: The waveforms cannot be compared, or the reference is silent.

    Example:
        >>> import numpy as np
        >>> tone, other = np.sin(np.arange(1000)), np.cos(np.arange(1000))
        >>> round(si_sdr(tone, 3 * (tone + 0.1 * other), 16_000))
        20
    """
    wanted, given = (one - one.mean() for one in validate(reference, estimate, sample_rate))
    power = float(wanted @ wanted)
    if power == 0.0:
        raise AudioError("reference: is silent, so there is no ratio; leave it out")
    target = (wanted @ given) / power * wanted
    noise = given - target
    above, below = float(target @ target), float(noise @ noise)
    if above <= 0.0:
        return _LOWEST_DB
    return float(np.clip(10 * np.log10(above / max(below, 1e-300)), _LOWEST_DB, _HIGHEST_DB))


def shift_of(
    reference: ArrayLike, estimate: ArrayLike, sample_rate: int, *, max_shift: float = MAX_SHIFT_SECONDS
) -> int:
    """Return by how many samples the estimate comes late (early if negative), where the two correlate most.

    Args:
        reference: Wanted waveform `[S]`.
        estimate: The other `[S]`.
        sample_rate: Of both, in Hz.
        max_shift: The longest delay that is looked for, in seconds.

    Raises:
        AudioError: The waveforms cannot be compared.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).standard_normal(800)
        >>> shift_of(noise, np.roll(noise, 7), 16_000), shift_of(noise, np.roll(noise, -3), 16_000)
        (7, -3)
    """
    wanted, given = validate(reference, estimate, sample_rate)
    most = min(int(max_shift * sample_rate), wanted.size - 1)
    size = 1 << int(2 * wanted.size - 1).bit_length()
    spectrum = np.fft.rfft(given, size) * np.fft.rfft(wanted, size).conj()
    correlation = np.fft.irfft(spectrum, size)
    shifts = np.arange(-most, most + 1)
    return int(shifts[correlation[shifts].argmax()])


def aligned(
    reference: ArrayLike, estimate: ArrayLike, sample_rate: int, *, max_shift: float = MAX_SHIFT_SECONDS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both waveforms without the delay between them, cut to what they share.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).standard_normal(800)
        >>> wanted, given = aligned(noise, np.roll(noise, 7), 16_000)
        >>> bool((wanted == given).all()), wanted.size
        (True, 793)
    """
    wanted, given = validate(reference, estimate, sample_rate)
    shift = shift_of(wanted, given, sample_rate, max_shift=max_shift)
    kept = wanted.size - abs(shift)
    return wanted[max(0, -shift) :][:kept], given[max(0, shift) :][:kept]


def aligned_si_sdr(
    reference: ArrayLike, estimate: ArrayLike, sample_rate: int, *, max_shift: float = MAX_SHIFT_SECONDS
) -> float:
    """Return the SI-SDR in dB without the delay between the two.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).standard_normal(1600)
        >>> si_sdr(noise, np.roll(noise, 7), 16_000) < -10, aligned_si_sdr(noise, np.roll(noise, 7), 16_000)
        (True, 120.0)
    """
    return si_sdr(*aligned(reference, estimate, sample_rate, max_shift=max_shift), sample_rate)
