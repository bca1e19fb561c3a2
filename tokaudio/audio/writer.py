"""Writing audio files in blocks: whole or not at all, clipped and never wrapped."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from tokaudio.atomic import AtomicFile, output_error
from tokaudio.audio.checks import check_block, check_channels, check_rate
from tokaudio.audio.io import audio_info
from tokaudio.errors import AudioError, UnknownNameError, one_line

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray
    from torch import Tensor

# Suffix: libsndfile's container, the encoding unless the caller names one, the sample rates it takes in Hz.
_MPEG_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_FORMATS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    ".wav": ("WAV", "PCM_16", ()),
    ".flac": ("FLAC", "PCM_16", ()),
    ".ogg": ("OGG", "VORBIS", ()),
    ".opus": ("OGG", "OPUS", (8000, 12000, 16000, 24000, 48000)),
    ".mp3": ("MP3", "MPEG_LAYER_III", _MPEG_RATES),
    ".aiff": ("AIFF", "PCM_16", ()),
    ".aif": ("AIFF", "PCM_16", ()),
    ".w64": ("W64", "PCM_16", ()),
}
_MAX_CHANNELS = {".mp3": 2, ".flac": 8, ".opus": 8}
# Above the first, libsndfile 1.2.2 crashes while closing; the second is the limit of the format.
_MAX_RATES = {".ogg": 192_000, ".flac": 655_350}
_UNCLIPPED = ("FLOAT", "DOUBLE")


class AudioWriter:
    """An audio file opened for writing in blocks; it appears under its name when it is complete.

    The suffix picks the format: wav, flac, ogg (Vorbis), opus, mp3, aiff, w64. Samples beyond [-1, 1] are clipped and
    counted, except in FLOAT and DOUBLE. PCM is rounded to nearest.

    Args:
        path: The file.
        sample_rate: Rate in Hz.
        channels: Number of channels C.
        subtype: Encoding as libsndfile names it, for example `PCM_24` or `FLOAT`; the usual one if `None`.
        overwrite: Whether an existing file may be replaced.

    Attributes:
        frames: Samples per channel written so far.
        clipped: Samples clipped so far, over all channels.

    Raises:
        UnknownNameError: If the suffix or the subtype names no format that can be written.
        AudioError: If the rate or number of channels does not suit the format.
        OutputError: If the file exists (without `overwrite`), or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with AudioWriter(f"{folder}/a.wav", 16000, 1) as writer:
        ...         writer.write(np.full((1, 100), 1.5, dtype=np.float32))
        ...     writer.frames, writer.clipped
        (100, 100)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        channels: int,
        *,
        subtype: str | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = path
        name = os.fspath(path)
        self.sample_rate = check_rate(sample_rate, name)
        self.channels = check_channels(channels, name)
        self.frames = 0
        self.clipped = 0
        self._format, self.subtype = _pick_format(name, self.sample_rate, channels, subtype)
        self._output = AtomicFile(path, overwrite=overwrite)
        self._output.__enter__()
        self._closed = False
        try:
            self._file = self._open()
        except BaseException:
            self._output.discard()
            raise

    def _open(self) -> Any:
        import soundfile

        self._errors = (soundfile.LibsndfileError, AssertionError, OSError)
        arguments = (os.fsencode(self._output.temporary), "w", self.sample_rate, self.channels, self.subtype)
        try:
            return soundfile.SoundFile(*arguments, format=self._format)
        except soundfile.LibsndfileError as error:
            raise AudioError(one_line(self.path, f"cannot be encoded ({error.error_string})", "try .wav")) from None

    def write(self, block: NDArray[np.float32] | Tensor) -> None:
        """Append float samples `[C, n]`.

        Raises:
            AudioError: If the shape is another, or a sample is not finite.
            OutputError: If the disk is full or the file cannot be written; the unfinished file is then removed.
        """
        samples = np.asarray(block if isinstance(block, np.ndarray) else block.detach().cpu().numpy())
        if self._closed or samples.ndim != 2 or samples.shape[0] != self.channels or samples.dtype.kind != "f":
            problem = "the file is closed" if self._closed else f"a block of {samples.dtype} {list(samples.shape)}"
            raise AudioError(one_line(self.path, problem, f"write floats [{self.channels}, n] to an open file"))
        # libsndfile 1.2.2 crashes on a minute of Vorbis in one call.
        for at in range(0, samples.shape[1], self.sample_rate):
            self._put(samples[:, at : at + self.sample_rate])

    def _put(self, samples: NDArray[Any]) -> None:
        check_block(samples, os.fspath(self.path), offset=self.frames)
        if self.subtype not in _UNCLIPPED:
            self.clipped += int(np.count_nonzero((samples < -1.0) | (samples > 1.0)))
            samples = samples.clip(-1.0, 1.0)
        try:
            self._file.write(np.ascontiguousarray(_encode(samples, self.subtype).T))
        except self._errors as error:
            self._fail(error)
        self.frames += samples.shape[1]

    def close(self) -> None:
        """Complete the file and give it its name; a second call does nothing.

        Raises:
            AudioError: If nothing was written and the format has no way to say so (FLAC, Opus, MP3).
            OutputError: If that fails; the unfinished file is then removed.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._file.close()
        except self._errors as error:
            self._fail(error)
        if self.frames == 0 and (self._format == "FLAC" or self.subtype in ("OPUS", "MPEG_LAYER_III")):
            # libsndfile leaves files that it cannot read itself.
            self._output.discard()
            raise AudioError(one_line(self.path, f"{self.subtype} cannot hold zero samples", "write .wav instead"))
        self._verify()
        self._output.commit()

    def _verify(self) -> None:
        """Look at what was written, since libsndfile does not report what it fails to write while closing.

        Encodings that work in blocks of samples round the length up.
        """
        try:
            held = audio_info(self._output.temporary)
        except AudioError as error:
            self._fail(OSError(errno.EIO, str(error).partition(": ")[2].partition("; ")[0]))
        if held.truncated or held.frames is None or held.frames < self.frames:
            self._fail(OSError(errno.EIO, f"the last of {self.frames} samples did not reach the disk"))

    def abort(self) -> None:
        """Give up: remove the unfinished file. Does nothing after `close`."""
        if self._closed:
            return
        self._closed = True
        try:
            self._file.close()
        except self._errors:
            pass
        finally:
            self._output.discard()

    def _fail(self, error: Exception) -> NoReturn:
        """Remove the unfinished file and raise the reason."""
        self._closed = True
        reason = error if isinstance(error, OSError) else OSError(errno.EIO, "a write failed")
        try:
            with contextlib.suppress(*self._errors):
                self._file.close()
            _append_a_little(self._output.temporary)
        except OSError as told:
            reason = told
        finally:
            self._output.discard()
        raise output_error(self.path, reason) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def _append_a_little(path: Path) -> None:
    """Let the operating system say why nothing more can be written, which libsndfile (`System error`) does not.

    Raises:
        OSError: The reason.
    """
    with path.open("ab", buffering=0) as file:
        for _ in range(64):
            file.write(bytes(1 << 14))
        os.fsync(file.fileno())


def _pick_format(path: str, sample_rate: int, channels: int, subtype: str | None) -> tuple[str, str]:
    """Return libsndfile's names of container and encoding."""
    import soundfile

    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        problem = f"the suffix {suffix!r} names no format that can be written"
        raise UnknownNameError(one_line(path, problem, f"use one of {' '.join(s[1:] for s in _FORMATS)}"))
    container, default, rates = _FORMATS[suffix]
    subtype = default if subtype is None else subtype.upper()
    if not soundfile.check_format(container, subtype):
        exist = ", ".join(soundfile.available_subtypes(container))
        raise UnknownNameError(one_line(path, f"{container} has no subtype {subtype!r}", f"use one of {exist}"))
    if sample_rate > _MAX_RATES.get(suffix, sample_rate):
        problem = f"{suffix[1:]} cannot hold {sample_rate} Hz"
        raise AudioError(one_line(path, problem, f"resample to {_MAX_RATES[suffix]} Hz or less, or use .wav"))
    if rates and sample_rate not in rates:
        problem = f"{suffix[1:]} cannot hold {sample_rate} Hz"
        raise AudioError(one_line(path, problem, f"resample to one of {', '.join(map(str, rates))} Hz"))
    most = _MAX_CHANNELS.get(suffix, channels)
    if channels > most:
        raise AudioError(one_line(path, f"{suffix[1:]} holds at most {most} channels, not {channels}", "use .wav"))
    return container, subtype


def _encode(samples: NDArray[Any], subtype: str) -> NDArray[Any]:
    """Round to the PCM grid here: libsndfile's own conversion drops the low bits, which shifts every sample down.

    The integers go to the top of int32, from where libsndfile takes as many bits as the encoding has.
    """
    bits = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}.get(subtype)
    if bits is None:
        return samples.astype(np.float64 if subtype == "DOUBLE" else np.float32, copy=False)
    full = float(2 ** (bits - 1))
    rounded = np.rint(samples.astype(np.float64) * full).clip(-full, full - 1).astype(np.int64)
    return (rounded << (32 - bits)).astype(np.int32)


def write_audio(
    path: str | os.PathLike[str],
    samples: Tensor | NDArray[np.float32],
    sample_rate: int,
    *,
    subtype: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write float samples `[C, S]` to a file whose suffix picks the format.

    Raises:
        UnknownNameError: If the suffix or the subtype names no format that can be written.
        AudioError: If the shape, rate or number of channels does not suit, or a sample is not finite.
        OutputError: If the file exists (without `overwrite`), or cannot be written.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_audio(f"{folder}/a.flac", torch.zeros(1, 100), 16000, subtype="PCM_24")
        ...     os.listdir(folder)
        ['a.flac']
    """
    if samples.ndim != 2:
        raise AudioError(one_line(path, f"samples of {samples.ndim} axes", "give [C, S]"))
    with AudioWriter(path, sample_rate, int(samples.shape[0]), subtype=subtype, overwrite=overwrite) as writer:
        writer.write(samples)
