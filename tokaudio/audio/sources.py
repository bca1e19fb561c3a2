"""Decoders behind `AudioReader`: libsndfile for what it reads, torchcodec (FFmpeg) for the rest.

A source gives float32 `[n, C]` in file order. It reports what the decoder said, and judges nothing: limits,
truncation and messages for people are the reader's.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np

from tokaudio.errors import AudioError, MissingDependencyError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STDERR_LOCK = threading.RLock()
# libsndfile's SF_COUNT_MAX, its word for "length unknown".
_UNKNOWN_FRAMES = 2**62


class DecodeError(Exception):
    """The decoder gave up; `samples` are the float32 `[n, C]` that it had delivered in this call."""

    def __init__(self, reason: str, samples: NDArray[np.float32]) -> None:
        super().__init__(reason)
        self.samples = samples


class Source(Protocol):
    """What a decoder offers."""

    sample_rate: int
    channels: int
    frames: int | None
    """Length in samples per channel, or `None` where the container does not say."""
    format: str
    subtype: str

    def read(self, count: int) -> NDArray[np.float32]:
        """Return the next `[n, C]`, n <= count; fewer only at the end."""
        ...

    def skip(self, count: int) -> bool:
        """Jump ahead by `count` samples if the decoder lands exactly there; else return False and stay."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send file descriptor 2 to the null device.

    libmpg123 writes its warnings there from C, and libsndfile has no switch for it. The redirection is held for single
    calls only, under a lock; what other threads write to descriptor 2 in that moment is lost with it, which is why the
    command line gives its own messages another one.

    Example:
        >>> with quiet_stderr():
        ...     _ = os.write(2, b"noise from a C library")
    """
    with _STDERR_LOCK:
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
            saved = os.dup(2)
        except (OSError, ValueError):
            yield
            return
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 2)
            os.close(null)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextmanager
def _loud() -> Iterator[None]:
    yield


@cache
def _forward_class() -> Any:
    """A `SoundFile` that says it cannot seek, so that `read` does not seek to where it already is.

    That seek restarts the MP3 decoder, whose samples then depend on the block size in their last bit (24 kHz and
    below), and it fails behind the last sample of a FLAC file of unknown length.
    """
    import soundfile

    class Forward(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            return False

    return Forward


class SndfileSource:
    """WAV, FLAC, OGG, Opus, MP3, AIFF, W64, RF64, AU, CAF and more, through libsndfile.

    Args:
        target: What soundfile opens: a descriptor, a name, or a binary file object.
        file: The file behind it, which is closed with the source.

    Raises:
        soundfile.LibsndfileError: If libsndfile does not know the format or finds it damaged.
    """

    def __init__(self, target: Any, file: BinaryIO) -> None:
        import soundfile

        self._error = soundfile.LibsndfileError
        with quiet_stderr():
            self._file = _forward_class()(target, "r", closefd=False)
        self._owned = file
        self.sample_rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self.frames = None if self._file.frames >= _UNKNOWN_FRAMES else int(self._file.frames)
        self.format = str(self._file.format)
        self.subtype = str(self._file.subtype)
        self._quiet = quiet_stderr if "MPEG" in self.subtype else _loud
        self._position = 0

    def read(self, count: int) -> NDArray[np.float32]:
        """Return the next `[n, C]`.

        Raises:
            DecodeError: If the decoder gave up; it carries what came before.
        """
        out = np.empty((count, self.channels), dtype=np.float32)
        try:
            with self._quiet():
                block: NDArray[np.float32] = self._file.read(out=out)
        except self._error as error:
            with self._quiet():
                got = max(0, min(count, int(self._file.tell()) - self._position))
            raise DecodeError(str(error.error_string or error).rstrip(". "), out[:got]) from None
        self._position += len(block)
        return block

    def skip(self, count: int) -> bool:
        """Seek, except in Ogg and MP3, where libsndfile may land beside the sample asked for."""
        if self.format in ("OGG", "MP3", "MPEG") or self.frames is None or self._position + count > self.frames:
            return False
        self._position = int(self._file.seek(self._position + count))
        return True

    def close(self) -> None:
        """Release the file."""
        with self._quiet():
            self._file.close()
        self._owned.close()


class TorchcodecSource:
    """M4A, AAC, WebM, WMA and whatever else the installed FFmpeg reads, through torchcodec.

    The file is decoded whole, and memory grows with its length: FFmpeg restarts the codec at every range asked for,
    which changes samples at the seams.

    Args:
        file: A binary file object, which is closed at once.
        path: The name for messages.
        kind: The container, for messages.

    Raises:
        MissingDependencyError: If torchcodec or the FFmpeg that it needs is missing.
        AudioError: If FFmpeg cannot decode the file either.
    """

    def __init__(self, file: BinaryIO, path: str | os.PathLike[str], kind: str) -> None:
        with file:
            try:
                from torchcodec.decoders import AudioDecoder
            except (ImportError, OSError, RuntimeError):
                remedy = "pip install torchcodec (0.13 fits torch 2.13) and FFmpeg, or convert it to WAV or FLAC"
                problem = f"{kind} needs torchcodec, which is not here"
                raise MissingDependencyError(one_line(path, problem, remedy)) from None
            try:
                with quiet_stderr():
                    decoder = AudioDecoder(file)
                    decoded = decoder.get_all_samples()
            except (RuntimeError, ValueError, OSError) as error:
                reason = _last_words(error)
                problem = f"{kind} that FFmpeg cannot decode ({reason})"
                raise AudioError(one_line(path, problem, "copy or convert it again")) from None
        self._data = np.ascontiguousarray(decoded.data.to("cpu").numpy().T, dtype=np.float32)
        self._position = 0
        self.sample_rate = int(decoded.sample_rate)
        self.channels = int(self._data.shape[1])
        self.frames: int | None = len(self._data)
        self.format = kind.partition(" ")[0]
        self.subtype = str(decoder.metadata.codec or "").upper()

    def read(self, count: int) -> NDArray[np.float32]:
        """Return the next `[n, C]`."""
        block = self._data[self._position : self._position + count]
        self._position += len(block)
        return block

    def skip(self, count: int) -> bool:
        """Jump ahead."""
        self._position += count
        return True

    def close(self) -> None:
        """Release the samples."""
        self._data = self._data[:0]


def _last_words(error: Exception) -> str:
    """The end of torchcodec's message, without the source file and line that it begins with."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rpartition(".cpp:")[2].lstrip("0123456789, ") or text
