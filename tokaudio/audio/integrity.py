"""Is the file as long as it says? Reads headers only, never the samples.

libsndfile returns the samples that are there and keeps silent about those that are not. Here the container's own
declaration is compared with the bytes of the file. Only missing audio counts: a lost trailing tag or pad byte does
not, and a length left open by a streaming writer declares nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from tokaudio.audio import containers
from tokaudio.audio.bitstreams import flac_shortfall, ogg_shortfall
from tokaudio.audio.mpeg import frame_length, mp3_shortfall, skip_id3

_CHUNKED = (
    ((b"RIFF", b"RF64", b"RIFX"), containers.wav_shortfall),
    ((b"FORM",), containers.aiff_shortfall),
    ((bytes.fromhex("726966662e91cf11a5d628db04c10000"),), containers.w64_shortfall),
    ((b".snd", b"dns."), containers.au_shortfall),
    ((b"caff",), containers.caf_shortfall),
    ((b"NIST_1A",), containers.nist_shortfall),
)


def declared_shortfall(source: str | os.PathLike[str] | BinaryIO) -> str | None:
    r"""Say what a file lacks of the audio that its container declares, or return `None` if it is whole.

    Knows WAV (also RF64 and RIFX), AIFF and AIFF-C, W64, AU, CAF, NIST SPHERE, MP4, FLAC, OGG (Vorbis, Opus, FLAC) and
    MP3 with a Xing, Info or VBRI header. A file in no known format, or that declares no length, is not judged.

    Args:
        source: A path, or a binary file object that can seek.

    Returns:
        A phrase such as `"its header declares 1000 bytes of samples, 400 are there"`, or `None`.

    Raises:
        OSError: If the file cannot be read.

    Example:
        >>> import io
        >>> header = b"RIFF" + (36 + 1000).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0" + bytes(16)
        >>> declared_shortfall(io.BytesIO(header + b"data" + (1000).to_bytes(4, "little") + bytes(400)))
        'its header declares 1000 bytes of samples, 400 are there'
    """
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            return declared_shortfall(file)
    size = source.seek(0, os.SEEK_END)
    start = skip_id3(source)
    source.seek(start)
    head = source.read(16)
    if start == 0:
        for names, judge in _CHUNKED:
            if head.startswith(names):
                return judge(source, size)
        if head[4:8] == b"ftyp":
            return containers.mp4_shortfall(source, size)
    return _stream_shortfall(source, head, start)


def _stream_shortfall(file: BinaryIO, head: bytes, start: int) -> str | None:
    """Judge the formats without chunks, which may stand behind an ID3v2 tag that ends at `start`."""
    if head[:4] == b"fLaC":
        return flac_shortfall(file, start)
    if head[:4] == b"OggS":
        return ogg_shortfall(file)
    if start or frame_length(head[:4]):
        return mp3_shortfall(file)
    return None
