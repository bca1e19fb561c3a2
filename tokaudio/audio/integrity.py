"""Is the file as long as it says? Reads headers only, never the samples.

libsndfile returns the samples that are there and keeps silent about those that are not. Here the container's own
declaration is compared with the bytes of the file. Only missing audio counts: a lost trailing tag or pad byte does
not, and a length left open by a streaming writer (0, all ones and the like) declares nothing.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from tokaudio.audio.bitstreams import flac_shortfall, ogg_shortfall
from tokaudio.audio.mpeg import frame_length, mp3_shortfall, skip_id3

# What writers that cannot seek back leave as a 32-bit length: zero, all ones, and the largest that older tools took
# (sox 0x7ffff000, arecord 0x80000000, all ones less the header).
_OPEN_32 = {0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, *range(0xFFFFFF00, 0x100000000)}
_OPEN_64 = 1 << 62
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_AIFF_RAW = {b"NONE", b"sowt", b"twos", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64", b"raw "}


def declared_shortfall(source: str | os.PathLike[str] | BinaryIO) -> str | None:
    """Say what a file lacks of the audio that its container declares, or return `None` if it is whole.

    Knows WAV (also RF64 and RIFX), AIFF and AIFF-C, W64, AU, CAF, NIST SPHERE, MP4, FLAC, OGG (Vorbis, Opus, FLAC) and
    MP3 with a Xing, Info or VBRI header. A file in no known format, or that declares no length, is not judged.

    Args:
        source: A path, or a binary file object that can seek.

    Returns:
        A phrase such as `"declares 1000 bytes of samples, 400 are there"`, or `None`.

    Example:
        >>> import io
        >>> header = b"RIFF" + (36 + 1000).to_bytes(4, "little") + b"WAVEfmt \\x10\\0\\0\\0" + bytes(16)
        >>> declared_shortfall(io.BytesIO(header + b"data" + (1000).to_bytes(4, "little") + bytes(400)))
        'its header declares 1000 bytes of samples, 400 are there'
    """
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            return declared_shortfall(file)
    size = source.seek(0, os.SEEK_END)
    start = skip_id3(source)
    source.seek(start)
    head = source.read(16)
    if head[:4] in (b"RIFF", b"RF64", b"RIFX"):
        return _wav(source, size)
    if head[:4] == b"FORM":
        return _aiff(source, size)
    if head == _W64_RIFF:
        return _w64(source, size)
    if head[:4] in (b".snd", b"dns."):
        return _au(source, size)
    if head[:4] == b"caff":
        return _caf(source, size)
    if head[:7] == b"NIST_1A":
        return _nist(source, size)
    if head[4:8] == b"ftyp":
        return _mp4(source, size)
    if head[:4] == b"fLaC":
        return flac_shortfall(source, start)
    if head[:4] == b"OggS":
        return ogg_shortfall(source)
    if start or frame_length(head[:4]):
        return mp3_shortfall(source)
    return None


def _lacks(declared: int, held: int, unit: str = "bytes of samples") -> str | None:
    if held >= declared:
        return None
    return f"its header declares {declared} {unit}, {max(0, held)} are there"


def _at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


def _wav(file: BinaryIO, size: int) -> str | None:
    """RIFF/WAVE chunks (32-bit lengths, even positions); RF64 keeps the true ones in `ds64` (EBU Tech 3306)."""
    order = "big" if _at(file, 0, 4) == b"RIFX" else "little"
    head = _at(file, 0, 12)
    if len(head) == 12 and head[8:] != b"WAVE":
        return None
    riff = int.from_bytes(head[4:8], order)  # type: ignore[arg-type]
    long_data, position = 0, 12
    while len(chunk := _at(file, position, 8)) == 8:
        length = int.from_bytes(chunk[4:], order)  # type: ignore[arg-type]
        if chunk[:4] == b"ds64":
            body = _at(file, position + 8, 16)
            riff, long_data = int.from_bytes(body[:8], "little"), int.from_bytes(body[8:], "little")
        if chunk[:4] == b"data":
            if length == 0xFFFFFFFF and long_data:
                return _lacks(long_data, size - position - 8)
            return None if length in _OPEN_32 else _lacks(length, size - position - 8)
        position += 8 + length + (length & 1)
    return None if riff in _OPEN_32 else _lacks(riff + 8, size, "bytes")


def _aiff(file: BinaryIO, size: int) -> str | None:
    """AIFF 1.3 and AIFF-C: the SSND chunk against the file, and the frames of COMM against the SSND chunk."""
    head = _at(file, 0, 12)
    if len(head) == 12 and head[8:] not in (b"AIFF", b"AIFC"):
        return None
    form = int.from_bytes(head[4:8], "big")
    needed, position = 0, 12
    while len(chunk := _at(file, position, 8)) == 8:
        length = int.from_bytes(chunk[4:], "big")
        if chunk[:4] == b"COMM":
            body = _at(file, position + 8, 22)
            channels, frames, bits = (int.from_bytes(body[a:b], "big") for a, b in ((0, 2), (2, 6), (6, 8)))
            raw = head[8:] == b"AIFF" or body[18:22] in _AIFF_RAW
            needed = channels * frames * ((bits + 7) // 8) if raw else 0
        if chunk[:4] == b"SSND":
            offset = int.from_bytes(_at(file, position + 8, 4), "big")
            held = min(size - position - 16, length - 8 if length not in _OPEN_32 else size) - offset
            return _lacks(max(needed, length - 8 - offset if length not in _OPEN_32 else 0), held)
        position += 8 + length + (length & 1)
    return None if form in _OPEN_32 else _lacks(form + 8, size, "bytes")


def _w64(file: BinaryIO, size: int) -> str | None:
    """Sony Wave64: chunks named by a GUID, with 64-bit lengths that count their 24-byte head, at multiples of 8."""
    riff = int.from_bytes(_at(file, 16, 8), "little")
    position = 40
    while len(chunk := _at(file, position, 24)) == 24:
        length = int.from_bytes(chunk[16:], "little")
        if chunk[:16] == _W64_DATA:
            return None if length <= 24 or length >= _OPEN_64 else _lacks(length - 24, size - position - 24)
        if length < 24:
            return None
        position += length + (-length % 8)
    return None if riff == 0 or riff >= _OPEN_64 else _lacks(riff, size, "bytes")


def _au(file: BinaryIO, size: int) -> str | None:
    """Sun/NeXT AU: the position and length of the samples, big-endian, or little-endian under the name `dns.`."""
    head = _at(file, 0, 12)
    order = "big" if head[:4] == b".snd" else "little"
    offset, length = (int.from_bytes(head[a : a + 4], order) for a in (4, 8))  # type: ignore[arg-type]
    return None if length in _OPEN_32 else _lacks(length, size - offset)


def _caf(file: BinaryIO, size: int) -> str | None:
    """Apple Core Audio Format: chunks with signed 64-bit lengths; -1 leaves the data open."""
    position = 8
    while len(chunk := _at(file, position, 12)) == 12:
        length = int.from_bytes(chunk[4:], "big", signed=True)
        if length < 0:
            return None
        if chunk[:4] == b"data":
            return _lacks(length, size - position - 12)
        position += 12 + length
    return _lacks(position, size, "bytes") if position > size else None


def _nist(file: BinaryIO, size: int) -> str | None:
    """NIST SPHERE: a text header that counts samples, channels and bytes per sample."""
    lines = _at(file, 0, 4096).split(b"\n")
    fields = {parts[0]: parts[2] for parts in (line.split() for line in lines) if len(parts) == 3}
    try:
        counts = [int(fields[key]) for key in (b"sample_count", b"channel_count", b"sample_n_bytes")]
        header = int(lines[1])
    except (KeyError, ValueError, IndexError):
        return None
    return _lacks(counts[0] * counts[1] * counts[2], size - header)


def _mp4(file: BinaryIO, size: int) -> str | None:
    """ISO 14496-12: the top-level boxes must end where the file ends, and `moov` must be among them."""
    position, kinds = 0, set()
    while len(box := _at(file, position, 16)) >= 8:
        length = int.from_bytes(box[:4], "big")
        kinds.add(box[4:8])
        if length == 0:
            break
        length = int.from_bytes(box[8:16], "big") if length == 1 else length
        if length < 8:
            return None
        position += length
    if position > size:
        return _lacks(position, size, "bytes")
    return None if b"moov" in kinds else "it ends before its index (moov)"
