"""Log-mel spectra at the centres of a tokenizer's frames, piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio import StreamResampler, as_audio, to_channels
from tokaudio.audio.mel import slaney_filterbank
from tokaudio.spec import TokenizerSpec

Levels = NDArray[np.float32]

_WINDOW_SECONDS = 0.025
_FLOOR = 1e-10
# Frames of a piece.
_FRAMES = 2048


def mel_frames(blocks: Iterable[Any], sample_rate: int, spec: TokenizerSpec, *, num_mels: int = 40) -> Iterator[Levels]:
    """Yield levels in dB of mel bands at the centres of frames `[n, num_mels]`, on a grid without gaps.

    Bands are of equal area on Slaney's mel scale, windows of 25 ms (Hann), levels at least -100 dB. On the grid, frame
    i lies at `(i + 0.5) * hop_length` samples, whether or not the tokenizer codes segments.

    Args:
        blocks: samples `[C, n]`, one after the other; channels are averaged.
        sample_rate: of them, in Hz.
        spec: of the tokenizer whose frames are meant.
        num_mels: number of bands.

    Raises:
        AudioError: if a block is unusable.
        AnalysisError: if there are no bands.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> np.concatenate(list(mel_frames([np.zeros((1, 8_000))], 8_000, spec))).shape
        (50, 40)
    """
    if num_mels < 1:
        raise AnalysisError(f"num_mels is {num_mels}; give 1 or more")
    rate, hop = spec.sample_rate, spec.hop_length
    length = max(2, round(_WINDOW_SECONDS * rate))
    n_fft = _transform(length)
    filters = slaney_filterbank(rate, n_fft, num_mels).T
    window = np.hanning(length + 2)[1:-1]
    for pieces in _windows(_mono(blocks, sample_rate, rate), hop, length):
        powers = np.abs(np.fft.rfft(pieces * window, n_fft)) ** 2 / np.sum(window**2)
        yield (10 * np.log10(np.maximum(powers @ filters, _FLOOR))).astype(np.float32)


def mel_centres(sample_rate: int, num_mels: int = 40) -> NDArray[np.float64]:
    """Return the frequency in Hz at which each band of `mel_frames` is highest `[num_mels]`, to the nearest bin.

    Example:
        >>> mel_centres(16_000)[[0, 39]].astype(int).tolist()
        [62, 7406]
    """
    n_fft = _transform(max(2, round(_WINDOW_SECONDS * sample_rate)))
    bins = slaney_filterbank(sample_rate, n_fft, num_mels).argmax(1)
    centres: NDArray[np.float64] = bins * sample_rate / n_fft
    return centres


def _transform(length: int) -> int:
    """Return a length of the transform that is fine enough for the lowest bands at low rates, too."""
    return max(512, 1 << (length - 1).bit_length())


def _mono(blocks: Iterable[Any], sample_rate: int, rate: int) -> Iterator[NDArray[np.float64]]:
    """Yield samples `[n]` at another rate."""
    resampler = StreamResampler(sample_rate, rate, 1)
    for block in blocks:
        samples, _ = to_channels(as_audio(block).samples.detach().cpu(), 1)
        yield resampler.push(samples[0].numpy())[0].astype(np.float64)
    yield resampler.flush()[0].astype(np.float64)


def _windows(waves: Iterable[NDArray[np.float64]], hop: int, length: int) -> Iterator[NDArray[np.float64]]:
    """Yield the windows of all frames `[n, length]`, zeros before the first sample and after the last."""
    # Behind half a window of zeros, the window of frame i begins at sample i * hop + hop // 2.
    held, first, frame, taken = np.zeros(length // 2), 0, 0, 0
    for wave in waves:
        held, taken = np.concatenate([held, wave]), taken + len(wave)
        while (count := min(_FRAMES, _ready(first + len(held), frame, hop, length))) > 0:
            begin = frame * hop + hop // 2 - first
            yield np.lib.stride_tricks.sliding_window_view(held[begin:], length)[: count * hop : hop]
            frame += count
            dropped = min(len(held), frame * hop + hop // 2 - first)
            held, first = held[dropped:], first + dropped
    total = -(-taken // hop)
    if frame < total:
        begin = frame * hop + hop // 2 - first
        filled = np.concatenate([held, np.zeros(length + (total - frame) * hop)])[max(0, begin) :]
        yield np.lib.stride_tricks.sliding_window_view(filled, length)[: (total - frame) * hop : hop]


def _ready(end: int, frame: int, hop: int, length: int) -> int:
    """Return how many frames from `frame` on have their window before `end`."""
    return (end - length - hop // 2) // hop + 1 - frame
