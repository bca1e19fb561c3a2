"""Chunked containers: what WAV, AIFF, W64, AU, CAF, NIST SPHERE and MP4 files declare, against what they hold.

Each function takes an open file and its size in bytes, reads heads of chunks only, and says what is missing in words,
or returns `None`. A length left open by a streaming writer declares nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal

from tokaudio.audio.splice import SplicedFile

# What writers that cannot seek back leave as a 32-bit length: zero, all ones, and the largest that older tools took
# (sox 0x7ffff000, arecord 0x80000000, all ones less the header).
_OPEN_32 = {0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, *range(0xFFFFFF00, 0x100000000)}
_OPEN_64 = 1 << 62
# An honest file has a handful; a forged one could make the walk take minutes.
_MAX_CHUNKS = 10_000
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_AIFF_RAW = {b"NONE", b"sowt", b"twos", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64", b"raw "}


def lacks(declared: int, held: int, unit: str = "bytes of samples") -> str | None:
    """Say that less is held than declared, or return `None`.

    Example:
        >>> lacks(1000, 400)
        'its header declares 1000 bytes of samples, 400 are there'
    """
    if held >= declared:
        return None
    return f"its header declares {declared} {unit}, {max(0, held)} are there"


def _at(file: BinaryIO, position: int, count: int) -> bytes:
    """Read at a position; forged lengths may point far beyond any file."""
    if position >= file.seek(0, os.SEEK_END):
        return b""
    file.seek(position)
    return file.read(count)


def _chunks(
    file: BinaryIO, start: int, head: int, span: Callable[[bytes], int], *, least: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield position and head of every chunk from `start` on; `span` tells a chunk's whole length from its head.

    Heads have `head` bytes, of which the last chunk of a file may have only the first `least`.
    """
    position, least = start, head if least is None else least
    for _ in range(_MAX_CHUNKS):
        data = _at(file, position, head)
        if len(data) < least:
            return
        yield position, data
        position += max(span(data), least)


def iff_chunks(file: BinaryIO, order: Literal["little", "big"]) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, position of the body and length of the chunks of RIFF and IFF: 32-bit lengths, even positions."""

    def length(head: bytes) -> int:
        return int.from_bytes(head[4:], order)

    for position, head in _chunks(file, 12, 8, lambda head: 8 + length(head) + (length(head) & 1)):
        yield head[:4], position + 8, length(head)


def wav_shortfall(file: BinaryIO, size: int) -> str | None:
    """RIFF/WAVE, and RF64, which keeps the true lengths in `ds64` (EBU Tech 3306)."""
    head = _at(file, 0, 12)
    order: Literal["little", "big"] = "big" if head[:4] == b"RIFX" else "little"
    if len(head) == 12 and head[8:] != b"WAVE":
        return None
    whole, long_data = int.from_bytes(head[4:8], order), 0
    for name, body, length in iff_chunks(file, order):
        if name == b"ds64":
            lengths = _at(file, body, 16)
            whole, long_data = int.from_bytes(lengths[:8], "little"), int.from_bytes(lengths[8:], "little")
        if name == b"data":
            if length == 0xFFFFFFFF and long_data:
                return lacks(long_data, size - body)
            return None if length in _OPEN_32 else lacks(length, size - body)
    return None if whole in _OPEN_32 else lacks(whole + 8, size, "bytes")


def with_open_length(file: BinaryIO) -> SplicedFile | None:
    """Return a little-endian WAV file of data length zero that was never closed, seen with the length left open.

    It counts as never closed if the length of the whole does not reach behind the head of the data either; otherwise
    what follows are tags, and the file truly holds no samples: `None`.
    """
    head = _at(file, 0, 12)
    for name, body, length in iff_chunks(file, "little"):
        if name == b"data":
            whole = int.from_bytes(head[4:8], "little")
            size = file.seek(0, os.SEEK_END)
            if length or size <= body or (whole not in _OPEN_32 and whole + 8 > body):
                return None
            front = bytearray(_at(file, 0, body))
            front[4:8] = front[body - 4 :] = b"\xff" * 4
            return SplicedFile(file, bytes(front), body, size)
    return None


def aiff_shortfall(file: BinaryIO, size: int) -> str | None:
    """AIFF 1.3 and AIFF-C: the SSND chunk against the file, and the frames of COMM against the SSND chunk."""
    head = _at(file, 0, 12)
    if len(head) == 12 and head[8:] not in (b"AIFF", b"AIFC"):
        return None
    needed = 0
    for name, body, length in iff_chunks(file, "big"):
        if name == b"COMM":
            common = _at(file, body, 22)
            channels, frames, bits = (int.from_bytes(common[a:b], "big") for a, b in ((0, 2), (2, 6), (6, 8)))
            raw = head[8:] == b"AIFF" or common[18:22] in _AIFF_RAW
            needed = channels * frames * ((bits + 7) // 8) if raw else 0
        if name == b"SSND":
            skipped = 8 + int.from_bytes(_at(file, body, 4), "big")
            held = size - body - skipped
            if length in _OPEN_32:
                return lacks(needed, held)
            return lacks(max(needed, length - skipped), min(held, length - skipped))
    whole = int.from_bytes(head[4:8], "big")
    return None if whole in _OPEN_32 else lacks(whole + 8, size, "bytes")


def _w64_length(head: bytes) -> int:
    return int.from_bytes(head[16:24], "little")


def w64_chunks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield position and head of the chunks of W64."""
    return _chunks(file, 40, 24, lambda head: _w64_length(head) + (-_w64_length(head) % 8))


def w64_shortfall(file: BinaryIO, size: int) -> str | None:
    """Sony Wave64: chunks named by a GUID, with 64-bit lengths that count their 24-byte head, at multiples of 8."""
    for position, head in w64_chunks(file):
        if head[:16] == _W64_DATA:
            length = _w64_length(head)
            open_end = length <= 24 or length >= _OPEN_64
            return None if open_end else lacks(length - 24, size - position - 24)
    whole = int.from_bytes(_at(file, 16, 8), "little")
    return None if whole == 0 or whole >= _OPEN_64 else lacks(whole, size, "bytes")


def au_shortfall(file: BinaryIO, size: int) -> str | None:
    """Sun/NeXT AU: the position and length of the samples, big-endian, or little-endian under the name `dns.`."""
    head = _at(file, 0, 12)
    order: Literal["little", "big"] = "big" if head[:4] == b".snd" else "little"
    offset, length = int.from_bytes(head[4:8], order), int.from_bytes(head[8:], order)
    return None if length in _OPEN_32 else lacks(length, size - offset)


def caf_shortfall(file: BinaryIO, size: int) -> str | None:
    """Apple Core Audio Format: chunks with signed 64-bit lengths; -1 leaves the data open."""

    def length(head: bytes) -> int:
        return int.from_bytes(head[4:], "big", signed=True)

    end = 0
    for position, head in _chunks(file, 8, 12, lambda head: 12 + length(head)):
        if head[:4] == b"data":
            return None if length(head) < 0 else lacks(length(head), size - position - 12)
        end = position + 12 + length(head)
    return lacks(end, size, "bytes")


def nist_shortfall(file: BinaryIO, size: int) -> str | None:
    """NIST SPHERE: a text header that counts samples, channels and bytes per sample."""
    lines = _at(file, 0, 4096).split(b"\n")
    fields = {parts[0]: parts[2] for parts in (line.split() for line in lines) if len(parts) == 3}
    try:
        samples, channels, width = (int(fields[key]) for key in (b"sample_count", b"channel_count", b"sample_n_bytes"))
        header = int(lines[1])
    except (KeyError, ValueError, IndexError):
        return None
    return lacks(samples * channels * width, size - header)


def mp4_shortfall(file: BinaryIO, size: int) -> str | None:
    """ISO 14496-12: the top-level boxes must end where the file ends, and `moov` must be among them."""

    def length(head: bytes) -> int:
        short = int.from_bytes(head[:4], "big")
        return int.from_bytes(head[8:16], "big") if short == 1 else short or size

    end, kinds = 0, set()
    for position, head in _chunks(file, 0, 16, length, least=8):
        kinds.add(head[4:8])
        end = size if head[:4] == bytes(4) else position + length(head)
    return lacks(end, size, "bytes") or (None if b"moov" in kinds else "it ends before its index (moov)")
