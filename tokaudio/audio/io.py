"""Reading audio files in blocks, with every file either read to its declared end or refused.

Files are opened by descriptor, so that any name works, and only regular files are opened. Samples are float32; PCM is
scaled to [-1, 1).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from tokaudio.audio.checks import check_block, check_channels, check_rate
from tokaudio.audio.opening import open_source
from tokaudio.audio.sources import DecodeError
from tokaudio.errors import AudioError, one_line

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray
    from torch import Tensor

BLOCK_FRAMES = 1 << 16
"""Samples per channel in a block, unless the caller asks for another number."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file says about itself.

    Attributes:
        sample_rate: Rate in Hz.
        channels: Number of channels.
        frames: Samples per channel, or `None` where the container does not say.
        format: Container, as libsndfile names it (`WAV`, `FLAC`, `OGG`, ...).
        subtype: Encoding, as libsndfile names it (`PCM_16`, `VORBIS`, ...).
        truncated: Whether the container declares more than the file holds.
    """

    sample_rate: int
    channels: int
    frames: int | None
    format: str
    subtype: str
    truncated: bool

    @property
    def duration(self) -> float | None:
        """Length in seconds, or `None` where the container does not say."""
        return None if self.frames is None else self.frames / self.sample_rate


class AudioReader:
    """An audio file opened for reading once, front to back, in blocks.

    WAV, FLAC, OGG, Opus, MP3, AIFF, W64, RF64, AU and CAF are read through libsndfile in bounded memory. M4A, AAC,
    WebM and others go through torchcodec where it is installed, and are decoded whole.

    Args:
        path: The file; it must be a regular file (no pipe, device or URL).
        allow_truncated: Read a cut-off file as far as it goes, and set `truncated`, instead of refusing it.

    Attributes:
        path: The file, as given.
        sample_rate: Rate in Hz.
        channels: Number of channels C.
        declared_frames: Samples per channel that the container declares, or `None` where it does not say.
        format: Container, as libsndfile names it.
        subtype: Encoding, as libsndfile names it.
        truncated: Whether the file is known to be cut off; may become true while reading.

    Raises:
        AudioError: If the file is missing, not a regular file, unreadable, empty, of no known format, cut off, or
            has a rate or number of channels out of range.
        MissingDependencyError: If its format needs torchcodec, and that is not installed.

    Example:
        >>> import tempfile
        >>> from tokaudio.audio.writer import write_audio
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_audio(f"{folder}/a.wav", torch.zeros(2, 1000), 8000)
        ...     with AudioReader(f"{folder}/a.wav") as reader:
        ...         [block.shape for block in reader.blocks(600)]
        [(2, 600), (2, 400)]
    """

    def __init__(self, path: str | os.PathLike[str], *, allow_truncated: bool = False) -> None:
        self.path = path
        self.allow_truncated = allow_truncated
        opened = open_source(path)
        self._source = opened.source
        try:
            if opened.shortfall is not None:
                self._cut(opened.shortfall)
            self.truncated = opened.shortfall is not None
            self.sample_rate = check_rate(self._source.sample_rate, _name(path))
            self.channels = check_channels(self._source.channels, _name(path))
        except BaseException:
            self._source.close()
            raise
        self.declared_frames = opened.declared_frames
        self.format = self._source.format
        self.subtype = self._source.subtype
        self._position = 0

    def blocks(
        self, block_frames: int = BLOCK_FRAMES, *, start: int = 0, frames: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the samples from where the reader stands, as float32 `[C, n]`, all but the last with n = block_frames.

        Args:
            block_frames: Samples per channel in a block.
            start: Samples per channel to skip first.
            frames: Samples per channel to yield at most; to the end if `None`.

        Raises:
            AudioError: If a sample is not finite or out of range, or if the file turns out to be cut off or damaged.
        """
        if block_frames < 1 or start < 0 or (frames is not None and frames < 0):
            problem = f"block_frames={block_frames}, start={start}, frames={frames}"
            raise AudioError(one_line(self.path, problem, "give a positive block and no negative position"))
        if not self._skip(start):
            return
        left = frames
        while left is None or left > 0:
            count = block_frames if left is None else min(block_frames, left)
            block, ended = self._read(count)
            if len(block):
                check_block(block.T, _name(self.path), offset=self._position - len(block))
                yield np.ascontiguousarray(block.T)
            if ended:
                return
            left = None if left is None else left - len(block)

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _skip(self, count: int) -> bool:
        """Move ahead, by decoding where the decoder cannot seek exactly; False if the file ends before."""
        if count and self._source.skip(count):
            self._position += count
            return True
        while count:
            block, ended = self._read(min(count, BLOCK_FRAMES))
            count -= len(block)
            if ended:
                return False
        return True

    def _read(self, count: int) -> tuple[NDArray[np.float32], bool]:
        """Return up to `count` samples `[n, C]`, and whether the file ends there."""
        reason = None
        try:
            block = self._source.read(count)
        except DecodeError as error:
            block, reason = error.samples, str(error)
        self._position += len(block)
        if len(block) == count and reason is None:
            return block, False
        declared = self.declared_frames
        if reason is not None or (declared is not None and self._position < declared):
            told = f"sample {self._position}" + ("" if declared is None else f" of {declared}")
            word = "truncated" if reason is None else "truncated or damaged"
            self._cut(f"decoding stops at {told}" + (f" ({reason})" if reason else ""), word)
            self.truncated = True
        return block, True

    def _cut(self, problem: str, word: str = "truncated") -> None:
        if not self.allow_truncated:
            remedy = "copy it again, or use allow_truncated (--allow-truncated) to keep the part that is there"
            raise AudioError(one_line(self.path, f"{word}: {problem}", remedy))


def _name(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    return name if isinstance(name, str) else os.fsdecode(name)


def read_audio(
    path: str | os.PathLike[str], *, start: int = 0, frames: int | None = None, allow_truncated: bool = False
) -> tuple[Tensor, int]:
    """Read a file, or a part of it, into memory.

    Args:
        path: The file.
        start: First sample to read, per channel.
        frames: Samples to read per channel; to the end if `None`, fewer if the file ends before.
        allow_truncated: Read a cut-off file as far as it goes instead of refusing it.

    Returns:
        float32 samples `[C, S]`, and the sample rate in Hz.

    Raises:
        AudioError: As `AudioReader` and its blocks, and if there is no sample to return.
        MissingDependencyError: If the format needs torchcodec, and that is not installed.

    Example:
        >>> import tempfile
        >>> from tokaudio.audio.writer import write_audio
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_audio(f"{folder}/a.flac", torch.zeros(1, 1000), 16000)
        ...     samples, sample_rate = read_audio(f"{folder}/a.flac", start=100, frames=50)
        >>> samples.shape, sample_rate
        (torch.Size([1, 50]), 16000)
    """
    with AudioReader(path, allow_truncated=allow_truncated) as reader:
        pieces = list(reader.blocks(start=start, frames=frames))
        sample_rate = reader.sample_rate
    if not pieces:
        where = "" if start == 0 and frames is None else f" in the range start={start}, frames={frames}"
        raise AudioError(one_line(path, f"holds no samples{where}", "record or export it again"))
    return torch.from_numpy(pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)), sample_rate


def audio_info(path: str | os.PathLike[str]) -> AudioInfo:
    """Return what a file says about itself, without decoding it; a cut-off file is reported, not refused.

    Raises:
        AudioError: If the file cannot be opened as audio.
        MissingDependencyError: If the format needs torchcodec, and that is not installed.

    Example:
        >>> import tempfile
        >>> from tokaudio.audio.writer import write_audio
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_audio(f"{folder}/a.wav", torch.zeros(1, 4000), 16000)
        ...     audio_info(f"{folder}/a.wav").duration
        0.25
    """
    with AudioReader(path, allow_truncated=True) as reader:
        return AudioInfo(
            reader.sample_rate, reader.channels, reader.declared_frames, reader.format, reader.subtype, reader.truncated
        )
