"""Is a recording of the test set also among those to train on, perhaps louder, cut, or coded again?

    prints = [fingerprint_of(samples, rate) for samples, rate in clips]
    near_duplicates(prints, train=[0, 1], test=[2])  # pairs of clips that are one recording

Signs of differences of energies, along time and frequency, 32 for each step (Haitsma and Kalker 2002, ISMIR): they stay
when a recording is made louder or coded again, and are different for another recording of the same words. Two clips
that have a whole step in common are laid over each other there, and compared bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Prints = NDArray[np.uint32]

_RATE, _WINDOW, _HOP = 8000, 2048, 64
_LOWEST, _HIGHEST, _BANDS = 200.0, 3200.0, 33
# Below the loudest step by so many dB, a step says nothing of the recording.
_QUIET_DB = 40.0
_FEWEST_STEPS = 24
_MOST_ERRORS = 0.2
# Steps overlap, so that few of them agree by chance: one in a million pairs of words by the same voice has a fifth of
# its bits wrong over 0.3 s. What is shorter than this many steps (0.5 s) must agree better, in proportion.
_ENOUGH_STEPS = 64
# Steps whose bits are all alike occur in silence and in steady tones.
_EMPTY = np.array([0, 0xFFFFFFFF], dtype=np.uint32)


class Duplicate(NamedTuple):
    """A clip of the test set that is, or holds a part of, one to train on.

    Attributes:
        train: number of the clip to train on.
        test: number of the clip to test on.
        errors: share of bits that differ; 0.5 for unlike recordings.
        seconds: that were compared.
    """

    train: int
    test: int
    errors: float
    seconds: float


def fingerprint_of(samples: Array, sample_rate: int) -> Prints:
    """Return the fingerprint of sound, one number of 32 bits for each 8 ms; 0 where it is silent.

    Args:
        samples: float `[C, S]`.
        sample_rate: in Hz.

    Example:
        >>> sound = np.random.default_rng(0).normal(size=(1, 16_000))
        >>> prints = fingerprint_of(sound, 16_000)
        >>> len(prints), bool((fingerprint_of(sound / 4, 16_000) == prints).all())
        (93, True)
    """
    import soxr

    wave = np.asarray(samples, dtype=np.float64).mean(axis=0)
    wave = soxr.resample(wave, sample_rate, _RATE)
    if len(wave) < _WINDOW + _HOP:
        return np.zeros(0, dtype=np.uint32)
    frames = np.lib.stride_tricks.sliding_window_view(wave, _WINDOW)[::_HOP] * np.hanning(_WINDOW)
    spectrum = np.square(np.abs(np.fft.rfft(frames)))
    edges = np.geomspace(_LOWEST, _HIGHEST, _BANDS + 1) * _WINDOW / _RATE
    sums = np.concatenate([np.zeros((len(spectrum), 1)), np.cumsum(spectrum, axis=1)], axis=1)
    places = np.round(edges).astype(np.int64)
    places = np.maximum.accumulate(np.maximum(places, places[0] + np.arange(_BANDS + 1)))
    energies = np.diff(sums[:, places], axis=1)
    across = energies[:, :-1] - energies[:, 1:]
    bits = (across[1:] - across[:-1]) > 0
    numbers = (bits.astype(np.uint32) << np.arange(32, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
    loud = energies[1:].sum(axis=1)
    numbers[loud <= loud.max() * 10 ** (-_QUIET_DB / 10)] = 0
    return numbers


def near_duplicates(prints: Sequence[Prints], train: Sequence[int], test: Sequence[int]) -> list[Duplicate]:
    """Return clips of the test set that are near duplicates of clips to train on, one for each pair of clips.

    Args:
        prints: fingerprint of each clip.
        train: numbers of clips.
        test: numbers of others.

    Example:
        >>> sound = np.random.default_rng(0).normal(size=(1, 16_000))
        >>> cut = fingerprint_of(0.1 * sound[:, 3000:], 16_000)
        >>> [(one.train, one.test) for one in near_duplicates([fingerprint_of(sound, 16_000), cut], [0], [1])]
        [(0, 1)]
    """
    mine, theirs = _steps(prints, train), _steps(prints, test)
    shared = np.intersect1d(mine[0], theirs[0])
    shared = shared[~np.isin(shared, _EMPTY)]
    found: dict[tuple[int, int], Duplicate] = {}
    tried: set[tuple[int, int, int]] = set()
    for value in shared:
        for left, at in zip(*_at(mine, value), strict=True):
            for right, there in zip(*_at(theirs, value), strict=True):
                key = (int(left), int(right), int(at) - int(there))
                if key in tried or key[:2] in found:
                    continue
                tried.add(key)
                errors, steps = _compared(prints[key[0]], prints[key[1]], key[2])
                if steps >= _FEWEST_STEPS and errors <= _MOST_ERRORS * min(1.0, steps / _ENOUGH_STEPS):
                    found[key[:2]] = Duplicate(key[0], key[1], errors, steps * _HOP / _RATE)
    return sorted(found.values())


_Steps = tuple[Prints, NDArray[np.int64], NDArray[np.int64]]


def _steps(prints: Sequence[Prints], clips: Sequence[int]) -> _Steps:
    """Return all steps of clips in the order of their values, with clip and place of each."""
    lengths = [len(prints[clip]) for clip in clips]
    values = np.concatenate([np.zeros(0, dtype=np.uint32), *(prints[clip] for clip in clips)])
    owners = np.repeat(np.asarray(clips, dtype=np.int64), lengths)
    places = np.concatenate([np.zeros(0, dtype=np.int64), *(np.arange(length) for length in lengths)])
    order = np.argsort(values, kind="stable")
    return values[order], owners[order], places[order]


def _at(steps: _Steps, value: np.uint32) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, last = np.searchsorted(steps[0], value, side="left"), np.searchsorted(steps[0], value, side="right")
    return steps[1][first:last], steps[2][first:last]


def _compared(left: Prints, right: Prints, shift: int) -> tuple[float, int]:
    """Return the share of bits that differ where two clips overlap and are loud, and how many steps that is."""
    start, stop = max(0, shift), min(len(left), len(right) + shift)
    if stop <= start:
        return 1.0, 0
    mine, theirs = left[start:stop], right[start - shift : stop - shift]
    loud = (mine != 0) & (theirs != 0)
    if not loud.any():
        return 1.0, 0
    wrong = np.unpackbits((mine[loud] ^ theirs[loud]).view(np.uint8)).sum()
    return float(wrong / (32 * loud.sum())), int(loud.sum())
