"""How far two spectra are apart: the mel distance, in numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokaudio.audio.mel import mel_filterbank
from tokaudio.errors import AudioError
from tokaudio.metrics.intelligibility import validate


def mel_spectrogram(
    audio: ArrayLike, sample_rate: int, *, n_fft: int = 1024, hop_length: int = 256, num_mels: int = 80
) -> NDArray[np.float64]:
    """Return the mel magnitude spectrogram of a waveform.

    Frames are centred (zero-padded by half a window on both sides) under a periodic Hann window, and magnitudes are
    divided by the sum of the window, so that a full-scale sine has magnitude 0.5 at any `n_fft`.

    Args:
        audio: Waveform `[S]`.
        sample_rate: In Hz.
        n_fft: Window and transform length, in samples.
        hop_length: Samples from one frame to the next.
        num_mels: Number of mel bands.

    Returns:
        Magnitudes `[num_mels, 1 + S // hop_length]`.

    Raises:
        AudioError: The audio is not one-dimensional, empty or not finite, or an argument is not positive.

    Example:
        >>> import numpy as np
        >>> mel_spectrogram(np.zeros(16_000), 16_000).shape
        (80, 63)
    """
    samples, _ = validate(audio, audio, sample_rate)
    if hop_length < 1:
        raise AudioError(f"hop_length {hop_length}: must be positive; pass the samples from one frame to the next")
    filters = mel_filterbank(sample_rate, n_fft, num_mels)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    padded = np.pad(samples, n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[: samples.size + 1 : hop_length]
    magnitudes = np.abs(np.fft.rfft(frames * (window / window.sum()), axis=1))
    mel: NDArray[np.float64] = filters @ magnitudes.T
    return mel


def mel_distance(
    reference: ArrayLike,
    estimate: ArrayLike,
    sample_rate: int,
    *,
    n_fft: int = 1024,
    hop_length: int = 256,
    num_mels: int = 80,
    floor: float = 1e-5,
) -> float:
    """Return the mean absolute difference of two log10 mel spectrograms.

    The distance that neural codecs are commonly trained and compared with, at one resolution: R. Kumar et al.,
    "High-Fidelity Audio Compression with Improved RVQGAN", arXiv:2306.06546, section 3.3 (there summed over several
    window lengths). A uniform gain error of 20 dB is a distance of 1. Figures compare only at equal settings.

    Args:
        reference: Original waveform `[S]`.
        estimate: Reconstruction `[S]`, aligned in time with the reference.
        sample_rate: Rate of both, in Hz.
        n_fft: Window and transform length, in samples.
        hop_length: Samples from one frame to the next.
        num_mels: Number of mel bands.
        floor: Magnitude below which everything counts as equally silent (1e-5 is -100 dB).

    Returns:
        Distance in units of log10 magnitude, 0 for identical waveforms.

    Raises:
        AudioError: The waveforms cannot be compared, or an argument is not positive.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).standard_normal(16_000)
        >>> round(mel_distance(noise, 0.1 * noise, 16_000), 6)
        1.0
    """
    original, rebuilt = validate(reference, estimate, sample_rate)
    if not floor > 0:
        raise AudioError(f"floor {floor}: must be positive; pass the magnitude that counts as silence")
    logs = [
        np.log10(
            np.maximum(mel_spectrogram(x, sample_rate, n_fft=n_fft, hop_length=hop_length, num_mels=num_mels), floor)
        )
        for x in (original, rebuilt)
    ]
    return float(np.mean(np.abs(logs[0] - logs[1])))


def evaluate(reference: ArrayLike, estimate: ArrayLike, sample_rate: int) -> dict[str, float]:
    """Return all metrics of this module for one pair, at their default settings: `mel_distance`.

    Args:
        reference: Original waveform `[S]`.
        estimate: Reconstruction `[S]`, aligned in time with the reference.
        sample_rate: Rate of both, in Hz.

    Raises:
        AudioError: The waveforms cannot be compared.

    Example:
        >>> import numpy as np
        >>> evaluate(np.ones(4_000), np.ones(4_000), 16_000)
        {'mel_distance': 0.0}
    """
    return {"mel_distance": mel_distance(reference, estimate, sample_rate)}
