"""What can be heard in each frame without any label: pitch, energy, the spectrum's centroid and bands, and cepstra.

Windows are centred on frames, so that what is measured lies where the label of the frame lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.audio.mel import slaney_filterbank
from tokaudio.errors import AudioError

Values = NDArray[np.float64]

LOWEST, HIGHEST = 60.0, 400.0
"""Hz: speech of men, women and most children."""

# Seconds that differences are summed over, as in YIN's evaluation; the longest period lies within them twice.
_WINDOW = 0.034
_SILENT = 1e-5
# Frames that are worked on at once.
_FRAMES = 2048
_BANDS, _CEPSTRA = 40, 13


def pitch(
    samples: ArrayLike,
    sample_rate: int,
    frames: int,
    frame_rate: Fraction | float,
    *,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    threshold: float = 0.2,
) -> Values:
    """Return the fundamental frequency of each frame, in Hz, NaN where there is none.

    YIN (de Cheveigne and Kawahara 2002, doi:10.1121/1.1458024), steps 2 to 5: the first dip of the cumulative mean
    normalised difference function below a threshold, refined by a parabola. A frame without such a dip is unvoiced.

    Args:
        samples: waveform `[S]`.
        sample_rate: in Hz.
        frames: T.
        frame_rate: frames per second.
        lowest: lowest frequency, in Hz.
        highest: highest frequency, in Hz.
        threshold: largest value of the normalised difference, the share of power that does not repeat, twice.

    Raises:
        AudioError: if samples are not `[S]`, or frequencies out of range.

    Example:
        >>> tone = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)
        >>> pitch(tone, 16_000, 50, 50)[10:13].round(1)
        array([200., 200., 200.])
    """
    wave = _wave(samples)
    if not 0 < lowest < highest < sample_rate / 4:
        limits = f"{lowest:g} to {highest:g} Hz at {sample_rate} Hz"
        raise AudioError(f"pitch of {limits}; give limits that ascend, below a quarter of the sample rate")
    longest, shortest = int(np.ceil(sample_rate / lowest)) + 1, int(sample_rate / highest)
    window = round(_WINDOW * sample_rate)
    centres = _centres(frames, frame_rate) * sample_rate
    found = np.full(frames, np.nan)
    for first in range(0, frames, _FRAMES):
        pieces = _windows(wave, centres[first : first + _FRAMES], window + longest)
        found[first : first + len(pieces)] = _dips(_normalised(pieces, window, longest), shortest, threshold)
    frequencies: Values = sample_rate / found
    return frequencies


def energy(samples: ArrayLike, sample_rate: int, frames: int, frame_rate: Fraction | float) -> Values:
    """Return the level of each frame in dB, that of a full-scale square wave being 0; at least -100.

    Args:
        samples: waveform `[S]`.
        sample_rate: in Hz.
        frames: T.
        frame_rate: frames per second; the window, of Hann, is twice as long as a frame.

    Raises:
        AudioError: if samples are not `[S]`.

    Example:
        >>> energy(np.ones(16_000), 16_000, 50, 50)[25].round(3)
        np.float64(0.0)
    """
    length = round(2 * sample_rate / float(frame_rate))
    weights = np.hanning(length + 2)[1:-1]
    pieces = _windows(_wave(samples), _centres(frames, frame_rate) * sample_rate, length)
    power = (pieces**2) @ (weights / weights.sum())
    levels: Values = 10 * np.log10(np.maximum(power, 1e-10))
    return levels


def octave_bands(sample_rate: int) -> list[tuple[float, float]]:
    """Return the limits in Hz of bands about as wide as ears tell apart: to 500 Hz, then octaves, up to half the rate.

    Example:
        >>> octave_bands(16_000)
        [(0.0, 500.0), (500.0, 1000.0), (1000.0, 2000.0), (2000.0, 4000.0), (4000.0, 8000.0)]
        >>> octave_bands(22_050)[-1]
        (8000.0, 11025.0)
    """
    top, edges = sample_rate / 2, [0.0, 500.0]
    while edges[-1] < top:
        edges.append(2 * edges[-1])
    # A narrow rest above the last whole octave belongs to that octave.
    if len(edges) > 2 and top < 1.2 * edges[-2]:
        edges.pop()
    return list(pairwise([*edges[:-1], top]))


def spectral_shape(
    samples: ArrayLike,
    sample_rate: int,
    frames: int,
    frame_rate: Fraction | float,
    bands: Sequence[tuple[float, float]],
) -> tuple[Values, Values]:
    """Return the centroid of each frame's spectrum, in Hz `[T]`, NaN in silence, and the level of bands in dB `[T, B]`.

    The centroid is the mean frequency, weighted by power. Levels are at least -100 dB; a full-scale sine has about -3.

    Args:
        samples: waveform `[S]`.
        sample_rate: in Hz.
        frames: T.
        frame_rate: frames per second; the window, of Hann, is twice as long as a frame.
        bands: lowest and highest frequency in Hz of each, the highest not included, but half the rate is.

    Raises:
        AudioError: if samples are not `[S]`.

    Example:
        >>> tone = np.sin(2 * np.pi * 3000 * np.arange(16_000) / 16_000)
        >>> centroid, levels = spectral_shape(tone, 16_000, 50, 50, [(0, 2000), (2000, 4000)])
        >>> centroid[25].round(), levels[25].round()
        (np.float64(3000.0), array([-100.,   -3.]))
    """
    wave, length = _wave(samples), round(2 * sample_rate / float(frame_rate))
    weights = np.hanning(length + 2)[1:-1]
    size = 1 << (length - 1).bit_length()
    hertz = np.arange(size // 2 + 1) * sample_rate / size
    inside = np.array(
        [(hertz >= low) & ((hertz < high) | (high >= hertz[-1])) for low, high in bands], dtype=np.float64
    )
    # Both halves of the spectrum, as a share of the window's own power: what `energy` measures, by frequency.
    scale = np.where((hertz == 0) | (hertz == hertz[-1]), 1.0, 2.0) / (size * (weights**2).sum())
    centres = _centres(frames, frame_rate) * sample_rate
    centroids, levels = np.full(frames, np.nan), np.empty((frames, len(bands)))
    for first in range(0, frames, _FRAMES):
        pieces = _windows(wave, centres[first : first + _FRAMES], length)
        power = np.abs(np.fft.rfft(pieces * weights, size)) ** 2 * scale
        total = power.sum(axis=1)
        rows = slice(first, first + len(pieces))
        np.divide(power @ hertz, total, out=centroids[rows], where=total > _SILENT**2)
        levels[rows] = 10 * np.log10(np.maximum(power @ inside.T, 1e-10))
    return centroids, levels


def mfcc(samples: ArrayLike, sample_rate: int, frames: int, frame_rate: Fraction | float) -> NDArray[np.float32]:
    """Return 13 mel-frequency cepstral coefficients with their first and second differences `[T, 39]`.

    What HuBERT's first units were clustered on (arXiv:2106.07447, IV-B), here at the frame rate of what they are
    compared with: 40 bands on Slaney's mel scale, windows of 25 ms, differences by regression over 5 frames.

    Args:
        samples: waveform `[S]`.
        sample_rate: in Hz.
        frames: T.
        frame_rate: frames per second.

    Raises:
        AudioError: if samples are not `[S]`.

    Example:
        >>> mfcc(np.random.default_rng(0).normal(size=16_000), 16_000, 50, 50).shape
        (50, 39)
    """
    centres = _centres(frames, frame_rate) * sample_rate
    pieces = _windows(_wave(samples), centres, round(0.025 * sample_rate))
    length = 1 << (pieces.shape[1] - 1).bit_length()
    power = np.abs(np.fft.rfft(pieces * np.hanning(pieces.shape[1]), length)) ** 2
    levels = np.log(np.maximum(power @ slaney_filterbank(sample_rate, length, _BANDS).T, 1e-10))
    angles = np.pi / _BANDS * np.outer(np.arange(_BANDS) + 0.5, np.arange(_CEPSTRA))
    scales = np.sqrt(np.where(np.arange(_CEPSTRA) == 0, 1, 2) / _BANDS)
    base = levels @ (np.cos(angles) * scales)
    slopes = _slopes(base)
    return np.concatenate([base, slopes, _slopes(slopes)], axis=1).astype(np.float32)


def _slopes(rows: Values) -> Values:
    """Return the slope of every column at every row `[T, D]`: regression over 5 rows, the outermost ones repeated."""
    if not len(rows):
        return rows
    at = np.pad(rows, ((2, 2), (0, 0)), mode="edge")
    slopes: Values = (2 * (at[4:] - at[:-4]) + at[3:-1] - at[1:-3]) / 10
    return slopes


def _centres(frames: int, frame_rate: Fraction | float) -> Values:
    """Return where the centre of each frame lies, in seconds `[T]`."""
    return (np.arange(frames, dtype=np.float64) + 0.5) / float(frame_rate)


def _wave(samples: ArrayLike) -> Values:
    wave = np.asarray(samples, dtype=np.float64)
    if wave.ndim != 1 or not wave.size:
        raise AudioError(f"samples are {list(wave.shape)}; give one channel [S]")
    return wave


def _windows(wave: Values, centres: Values, length: int) -> Values:
    """Return samples `[n, length]` around centres `[n]`, in samples; zeros beyond the ends of the signal."""
    starts = np.round(centres).astype(np.int64) - length // 2
    index = starts[:, None] + np.arange(length)
    inside = (index >= 0) & (index < len(wave))
    pieces: Values = np.where(inside, wave[index.clip(0, len(wave) - 1)], 0.0)
    return pieces


def _normalised(pieces: Values, window: int, longest: int) -> Values:
    """Return YIN's cumulative mean normalised difference `[n, longest]` of windows, equation 8."""
    length = 1 << (pieces.shape[1] - 1).bit_length()
    spectrum = np.fft.rfft(pieces, length) * np.fft.rfft(pieces[:, :window], length).conj()
    product = np.fft.irfft(spectrum, length)[:, :longest]
    sums = np.concatenate([np.zeros((len(pieces), 1)), np.cumsum(pieces**2, axis=1)], axis=1)
    powers = sums[:, window : window + longest] - sums[:, :longest]
    # Equation 6, the squared difference of a stretch and the same later, with the square written out.
    difference = np.maximum(powers[:, :1] + powers - 2 * product, 0.0)
    mean = np.cumsum(difference[:, 1:], axis=1) / np.arange(1, longest)
    out = np.ones_like(difference)
    loud = powers[:, 0] > window * _SILENT**2
    out[loud, 1:] = difference[loud, 1:] / np.maximum(mean[loud], 1e-20)
    return out


def _dips(curves: Values, shortest: int, threshold: float) -> Values:
    """Return the lag, in samples, of the first dip of each curve `[n, longest]` below a threshold, NaN for none."""
    middle = curves[:, 1:-1]
    dips = (middle < threshold) & (middle <= curves[:, :-2]) & (middle < curves[:, 2:])
    dips[:, : max(0, shortest - 1)] = False
    rows = np.flatnonzero(dips.any(axis=1))
    lags = dips[rows].argmax(axis=1) + 1
    before, at, after = (curves[rows, lags + step] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    found = np.full(len(curves), np.nan)
    found[rows] = lags + np.where(bend > 0, (before - after) / np.where(bend > 0, 2 * bend, 1.0), 0.0)
    return found
