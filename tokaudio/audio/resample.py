"""Sample-rate conversion with soxr HQ, as a stream and as a whole, with the same bits either way.

soxr HQ (libsoxr, <https://sourceforge.net/p/soxr>) keeps aliases below -130 dB. The resampler changes the tokens, so
its name is written into every token file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import soxr
import torch

from tokaudio.audio.checks import check_rate
from tokaudio.errors import AudioError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

RESAMPLER = f"soxr-hq {soxr.__version__} (libsoxr {soxr.__libsoxr_version__})"
"""Provenance of every conversion made here: quality, Python package, library."""

# A whole signal is pushed in pieces of this many samples, which bounds the working memory of soxr.
_PIECE = 1 << 18


def resampled_length(num_samples: int, from_rate: int, to_rate: int) -> int:
    """Return `ceil(num_samples * to_rate / from_rate)`, the exact length of every conversion made here.

    Example:
        >>> resampled_length(44100, 44100, 16000), resampled_length(1, 44100, 16000), resampled_length(0, 8000, 16000)
        (16000, 1, 0)
    """
    return -(-num_samples * to_rate // from_rate)


class StreamResampler:
    """Converts a stream of blocks from one sample rate to another.

    The output does not depend on how the input is cut, and its total is `resampled_length` samples. Each channel has
    a converter of its own, so that a channel's output does not depend on its neighbours. Equal rates pass through.

    Args:
        from_rate: Rate of the input, in Hz.
        to_rate: Rate of the output, in Hz.
        channels: Number of channels C.

    Raises:
        AudioError: If a rate is out of range, or if there are no channels.

    Example:
        >>> stream = StreamResampler(44100, 16000, 1)
        >>> blocks = [stream.push(np.zeros((1, 22050), dtype=np.float32)) for _ in range(2)] + [stream.flush()]
        >>> sum(block.shape[1] for block in blocks)
        16000
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int = 1) -> None:
        self.from_rate = check_rate(from_rate, "resampler")
        self.to_rate = check_rate(to_rate, "resampler")
        if channels < 1:
            raise AudioError(one_line("resampler", f"{channels} channels", "give at least one"))
        self.channels = channels
        self._taken = 0
        self._given = 0
        self._finished = False
        self._streams: list[soxr.ResampleStream] = []
        if self.from_rate != self.to_rate:
            rates = (float(self.from_rate), float(self.to_rate))
            self._streams = [soxr.ResampleStream(*rates, 1, dtype="float32", quality="HQ") for _ in range(channels)]

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take a block `[C, n]` of float32 samples and return what is ready, `[C, m]`, where m may be zero.

        Raises:
            AudioError: If the block is not float32 `[C, n]`, or if the stream has been flushed.
        """
        if self._finished:
            raise AudioError(one_line("resampler", "the stream has ended", "make a new StreamResampler"))
        if block.ndim != 2 or block.shape[0] != self.channels or block.dtype != np.float32:
            problem = f"a block of {block.dtype} {list(block.shape)}"
            raise AudioError(one_line("resampler", problem, f"give float32 [{self.channels}, n]"))
        self._taken += block.shape[1]
        if not self._streams:
            self._given += block.shape[1]
            return block
        pieces = [self._convert(block[:, at : at + _PIECE]) for at in range(0, block.shape[1], _PIECE)]
        ready = _join(pieces, self.channels)
        self._given += ready.shape[1]
        return ready

    def flush(self) -> NDArray[np.float32]:
        """End the stream and return the rest, `[C, m]`, so that the total is `resampled_length` samples.

        Raises:
            AudioError: If the stream has been flushed before.
        """
        if self._finished:
            raise AudioError(one_line("resampler", "the stream has ended", "make a new StreamResampler"))
        self._finished = True
        # soxr rounds its own total to nearest, so that it is short by one or exact, never long.
        want = resampled_length(self._taken, self.from_rate, self.to_rate) - self._given
        rest = np.zeros((self.channels, want), dtype=np.float32)
        if self._streams and self._taken:
            tail = self._convert(np.zeros((self.channels, 0), dtype=np.float32), last=True)[:, :want]
            rest[:, : tail.shape[1]] = tail
        self._given += want
        return rest

    def _convert(self, block: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        rows = zip(self._streams, block, strict=True)
        return np.stack([stream.resample_chunk(np.ascontiguousarray(row), last=last) for stream, row in rows])


def _join(pieces: list[NDArray[np.float32]], channels: int) -> NDArray[np.float32]:
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate(pieces, axis=1) if pieces else np.zeros((channels, 0), dtype=np.float32)


def resample(samples: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Convert whole signals from one sample rate to another.

    Args:
        samples: float32 `[..., S]`. The conversion runs on the CPU; the result is on the device of the input.
        from_rate: Rate of the input, in Hz.
        to_rate: Rate of the output, in Hz.

    Returns:
        float32 `[..., resampled_length(S)]`, the same bits as `StreamResampler` gives; the input itself if the rates
        agree.

    Raises:
        AudioError: If a rate is out of range, or the samples are not float32.

    Example:
        >>> resample(torch.zeros(2, 1, 44100), 44100, 16000).shape
        torch.Size([2, 1, 16000])
    """
    if samples.dtype != torch.float32 or samples.ndim == 0:
        problem = f"samples of {samples.dtype} {list(samples.shape)}"
        raise AudioError(one_line("resample", problem, "give float32 [..., S], see as_audio"))
    if check_rate(from_rate, "resample") == check_rate(to_rate, "resample"):
        return samples
    length = resampled_length(samples.shape[-1], from_rate, to_rate)
    rows = samples.detach().cpu().reshape(math.prod(samples.shape[:-1]), 1, samples.shape[-1]).contiguous().numpy()
    out = np.zeros((len(rows), length), dtype=np.float32)
    for row, target in zip(rows, out, strict=True):
        stream = StreamResampler(from_rate, to_rate, 1)
        head = stream.push(row)
        target[: head.shape[1]] = head[0]
        target[head.shape[1] :] = stream.flush()[0]
    return torch.from_numpy(out).reshape(*samples.shape[:-1], length).to(samples.device)
