"""From a path to a decoder: what may be opened, what it is, whether it is whole, and who decodes it."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tokaudio.audio.bitstreams import ogg_is_chained
from tokaudio.audio.containers import with_open_length
from tokaudio.audio.contradictions import contradiction
from tokaudio.audio.integrity import declared_shortfall
from tokaudio.audio.mpeg import first_frame, with_index
from tokaudio.audio.sources import SndfileSource, Source, TorchcodecSource
from tokaudio.errors import AudioError, one_line

_KNOWN = "WAV, FLAC, OGG, Opus, MP3, AIFF, W64, RF64, AU or CAF"
_OURS = (b"RIFF", b"RF64", b"RIFX", b"FORM", b"riff", b"fLaC", b"OggS", b"caff", b".snd")
# How the token files of other packages begin, and the package whose own they are.
_TOKENS = {b"\x93NUM": "descript-audio-codec", b"ECDC": "encodec"}
_SPECIAL = (
    (stat.S_ISDIR, "is a directory", "name a file in it"),
    (stat.S_ISFIFO, "is a pipe", "write the audio to a file first"),
    (stat.S_ISSOCK, "is a socket", "write the audio to a file first"),
    (lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode), "is a device", "write the audio to a file first"),
)


@dataclass(frozen=True)
class Opened:
    """A decoder, ready to read.

    Attributes:
        source: The decoder.
        shortfall: What is missing from the file, in words, or `None` if nothing is known to be.
        declared_frames: Samples per channel by the container, or `None` where it does not say.
    """

    source: Source
    shortfall: str | None
    declared_frames: int | None


# An address, also behind the folder of a manifest, where its two slashes have become one.
_ELSEWHERE = re.compile(r"(?:^|/)(?:[A-Za-z][A-Za-z0-9+.-]+:/|pipe:)")


def open_source(path: str | os.PathLike[str]) -> Opened:
    """Open a regular file with the decoder that fits it.

    Raises:
        AudioError: If it is missing, not a regular file, unreadable, empty, of no known format, or its header
            contradicts itself.
        MissingDependencyError: If its format needs torchcodec, and that is not installed.
    """
    file = open_regular(path)
    try:
        shortfall = declared_shortfall(file)
        if (problem := contradiction(file)) is not None:
            raise AudioError(one_line(path, problem, "copy it again, or convert it anew from the original"))
        file.seek(0)
        head = file.read(64)
        file.seek(0)
        source = _decoder(path, file, head, shortfall)
    except OSError as error:
        file.close()
        raise AudioError(one_line(path, *_reason(path, error))) from None
    except BaseException:
        file.close()
        raise
    return Opened(source, shortfall, source.frames)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; a pipe, a device or a directory is refused before it is opened.

    Raises:
        AudioError: If it is missing, not a regular file, unreadable or empty; the message says which.
    """
    try:
        _refuse_special(path, Path(path).stat().st_mode)
        # Between the two calls the name may come to mean a pipe: do not wait on it, look again.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(path, flags), "rb")
    except (OSError, ValueError) as error:
        raise AudioError(one_line(path, *_reason(path, error))) from None
    status = os.fstat(file.fileno())
    try:
        _refuse_special(path, status.st_mode)
        if status.st_size == 0:
            raise AudioError(one_line(path, "the file is empty", "record or copy it again"))
    except AudioError:
        file.close()
        raise
    return file


def _refuse_special(path: str | os.PathLike[str], mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    for test, problem, remedy in _SPECIAL:
        if test(mode):
            raise AudioError(one_line(path, problem, remedy))
    raise AudioError(one_line(path, "is not a regular file", "write the audio to a file first"))


def _reason(path: str | os.PathLike[str], error: OSError | ValueError) -> tuple[str, str]:
    """Say why a file cannot be opened, and what to do."""
    name = os.fspath(path)
    if _ELSEWHERE.search(str(name)):
        return "URLs and pipes are not read", "download it to a file first"
    if isinstance(error, FileNotFoundError):
        if Path(path).is_symlink():
            return "the link points to a file that does not exist", "mend or remove the link"
        return "no such file", "check the path"
    if isinstance(error, PermissionError):
        return "no permission to read it", "run chmod u+r on it, or run as its owner"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "the links go round in a circle", "mend or remove the link"
    detail = error.strerror if isinstance(error, OSError) else str(error)
    return f"cannot be opened ({detail})", "check the path and the disk"


def _decoder(path: str | os.PathLike[str], file: BinaryIO, head: bytes, shortfall: str | None) -> Source:
    """Give the file to libsndfile, and to torchcodec if it is a container that libsndfile does not read."""
    import soundfile

    if sys.platform == "win32":
        # A descriptor does not cross from Python's C runtime to that of the DLL.
        target: object = os.fspath(path)
    else:
        # From here on the descriptor's position is libsndfile's, and `file` only keeps it open.
        target = file.fileno()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
    try:
        source = SndfileSource(target, file)
    except soundfile.LibsndfileError as error:
        detail = str(error.error_string).strip(". ")
    else:
        if source.format == "OGG" and ogg_is_chained(path):
            source.close()
            problem = "several Ogg streams in a row, of which only the first would be read"
            raise AudioError(one_line(path, problem, "join them into one, for example ffmpeg -i IN OUT.flac"))
        if source.format in ("WAV", "WAVEX") and source.frames == 0:
            return _with_open_length(path, source)
        if source.format != "RAW":
            return source if "MPEG" not in source.subtype else _with_true_length(path, source)
        source.close()
        detail = "headerless samples"
    file.close()
    return _foreign(path, head, shortfall, detail)


def _foreign(path: str | os.PathLike[str], head: bytes, shortfall: str | None, detail: str) -> Source:
    """Decode what libsndfile refused, or say what is wrong with it."""
    if shortfall is not None:
        problem = f"truncated: {shortfall}, and too little is left to decode"
        raise AudioError(one_line(path, problem, "copy it again"))
    kind = foreign_kind(head)
    if kind is not None:
        return TorchcodecSource(open_regular(path), path, kind)
    if head[:4] in _OURS:
        problem = f"damaged, or in an encoding that is not read ({detail})"
        raise AudioError(one_line(path, problem, "copy it again, or convert it to FLAC"))
    if head[:4] in _TOKENS:
        package = _TOKENS[head[:4]]
        problem = f"not audio: it begins like a token file of {package}, which only that package reads"
        raise AudioError(one_line(path, problem, f"decode it with {package}, and give the sound"))
    problem = f"not an audio file of a known format ({detail or 'no header'})"
    raise AudioError(one_line(path, problem, f"give {_KNOWN}"))


def _with_true_length(path: str | os.PathLike[str], source: SndfileSource) -> SndfileSource:
    """Correct the length of an MP3 file that has no index, which libsndfile guesses from its first frame."""
    if source.format != "MP3":
        # MP3 within WAV: its length is a guess too, and is not held against it.
        source.frames = None
        return source
    file = open_regular(path)
    frame = first_frame(file)
    if frame is None or frame.declared_frames is not None or not frame.is_layer_3:
        file.close()
        if frame is not None and frame.declared_frames is None:
            source.frames = None
        return source
    source.close()
    return SndfileSource(with_index(file, frame), file)


def _with_open_length(path: str | os.PathLike[str], source: SndfileSource) -> SndfileSource:
    """Read a WAV file whose recorder did not come to fill in the length, which libsndfile takes for empty."""
    file = open_regular(path)
    view = with_open_length(file)
    if view is None:
        file.close()
        return source
    source.close()
    return SndfileSource(view, file)


def foreign_kind(head: bytes) -> str | None:
    """Name the container that a file begins with, if it is audio that FFmpeg reads and libsndfile does not.

    Args:
        head: The first 64 bytes.

    Example:
        >>> foreign_kind(bytes.fromhex("00000020") + b"ftypM4A " + bytes(4))
        'M4A'
    """
    if head[4:8] == b"ftyp":
        return "M4A" if head[8:11] == b"M4A" else "MP4"
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return "AAC"
    starts = {
        b"\x1a\x45\xdf\xa3": "WebM",
        b"\x30\x26\xb2\x75": "WMA",
        b"wvpk": "WavPack",
        b"MAC ": "Monkey's Audio",
        b"#!AMR": "AMR",
    }
    if head[:4] == b"OggS":
        # The first packet, behind a page head of 28 bytes, names the codec.
        return None if head[28:].startswith((b"\x01vorbis", b"OpusHead")) else "OGG of this codec"
    return next((kind for start, kind in starts.items() if head.startswith(start)), None)
