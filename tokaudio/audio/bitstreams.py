"""Where FLAC and Ogg streams end, read from their last frame or page."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import BinaryIO

from tokaudio.audio.mpeg import audio_end

# The largest Ogg page: a head of 27 bytes, 255 lacing values, and 255 segments of 255 bytes.
_OGG_PAGE = 27 + 255 + 255 * 255
_OGG_FIRST, _OGG_LAST = 2, 4
# FLAC block sizes by code, RFC 9639 table 14; 6 and 7 are spelled out in the frame header.
_FLAC_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


@cache
def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    """The byte table of a CRC that takes the highest bit first."""
    top, mask = 1 << (bits - 1), (1 << bits) - 1
    table = []
    for byte in range(256):
        crc = byte << (bits - 8)
        for _ in range(8):
            crc = (crc << 1 ^ polynomial if crc & top else crc << 1) & mask
        table.append(crc)
    return tuple(table)


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    table, shift, mask, crc = _table(polynomial, bits), bits - 8, (1 << bits) - 1, 0
    for byte in data:
        crc = (crc << 8 & mask) ^ table[(crc >> shift) ^ byte]
    return crc


def ogg_shortfall(file: BinaryIO) -> str | None:
    """Say what an Ogg file lacks at its end, or `None`: its last page must be whole and marked as the last.

    RFC 3533 section 6: a page begins with `OggS`, bit 4 of byte 5 marks the end of its stream, and bytes 22 to 25 hold
    the CRC-32 (polynomial 0x04c11db7) of the page with these bytes at zero.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2 * _OGG_PAGE))
    tail = file.read()
    at = tail.rfind(b"OggS")
    behind = False
    while at >= 0:
        length = _ogg_page(tail[at : at + _OGG_PAGE])
        if length:
            if behind:
                return "it ends inside a page"
            return None if tail[at + 5] & _OGG_LAST else "its last page is missing"
        behind = True
        at = tail.rfind(b"OggS", 0, at)
    return "it ends inside a page" if behind else None


def _ogg_page(data: bytes) -> int:
    """Return the length of the whole and undamaged page that the data begins with, or 0."""
    if len(data) < 27 or len(data) < 27 + data[26]:
        return 0
    length = 27 + data[26] + sum(data[27 : 27 + data[26]])
    page = data[:length]
    if len(page) < length:
        return 0
    stored = int.from_bytes(page[22:26], "little")
    return length if _crc(page[:22] + bytes(4) + page[26:], 0x04C11DB7, 32) == stored else 0


def ogg_is_chained(path: str | os.PathLike[str]) -> bool:
    """Whether an Ogg file goes on with another stream where its first ones end (RFC 3533 section 4).

    libsndfile 1.2.2 reads the first link of such a chain only. Each link has its own serial numbers, given by its
    first pages, and the last page of the file belongs to the last link.
    """
    with Path(path).open("rb") as file:
        head = file.read(_OGG_PAGE)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * _OGG_PAGE))
        tail = file.read()
    serials, at = set(), 0
    while (length := _ogg_page(head[at:])) and head[at + 5] & _OGG_FIRST:
        serials.add(head[at + 14 : at + 18])
        at += length
    at = tail.rfind(b"OggS")
    while at >= 0 and not _ogg_page(tail[at : at + _OGG_PAGE]):
        at = tail.rfind(b"OggS", 0, at)
    return at >= 0 and bool(serials) and tail[at + 14 : at + 18] not in serials


def flac_shortfall(file: BinaryIO, start: int = 0) -> str | None:
    """Say what a FLAC file lacks at its end, or `None`: its last frame must reach the declared number of samples.

    RFC 9639 sections 8.2 and 9.1. A cut within the last frame is left to the decoder, which refuses it.

    Args:
        file: The file.
        start: Position of its `fLaC` marker.
    """
    file.seek(start)
    head = file.read(42)
    if len(head) < 42:
        return "it ends inside its header"
    info = head[8:]
    block, longest = int.from_bytes(info[2:4], "big"), int.from_bytes(info[7:10], "big")
    total = int.from_bytes(info[10:18], "big") & 0xFFFFFFFFF
    if total == 0:
        return None
    end = audio_end(file)
    first = flac_audio(file, start, end)
    if first is None:
        return "it ends inside its header"
    file.seek(max(first, end - 4 * longest - (1 << 16)))
    tail = file.read(max(0, end - file.tell()))
    reached = 0
    at = tail.rfind(b"\xff")
    while at >= 0:
        stop = _flac_frame_end(tail[at : at + 16], block)
        if stop == total:
            return None
        if stop is not None and stop < total:
            reached = max(reached, stop)
        at = tail.rfind(b"\xff", 0, at)
    return f"its header declares {total} samples, at most {reached} are there"


def flac_audio(file: BinaryIO, start: int, end: int) -> int | None:
    """Return the position of the first frame, behind the metadata blocks; `None` if they do not end."""
    position = start + 4
    while position + 4 <= end:
        file.seek(position)
        head = file.read(4)
        position += 4 + int.from_bytes(head[1:], "big")
        if head[0] & 0x80:
            return position if position <= end else None
    return None


def _flac_frame_end(data: bytes, block: int) -> int | None:
    """Return the number of the sample behind the frame that the data begins with; `None` if none begins here.

    Args:
        data: 16 bytes or more, unless the file ends.
        block: The block size by STREAMINFO, which places the frames of a stream of fixed block size.
    """
    if len(data) < 6 or data[0] != 0xFF or data[1] & 0xFE != 0xF8:
        return None
    size_code, rate_code = data[2] >> 4, data[2] & 15
    if size_code == 0 or rate_code == 15 or data[3] >> 4 > 10 or data[3] & 1:
        return None
    # The coded number: as UTF-8, with up to 36 bits.
    extra = max(0, 8 - (data[4] ^ 0xFF).bit_length() - 1) if data[4] & 0x80 else 0
    if data[4] & 0x80 and extra == 0:
        return None
    number = data[4] & (0x7F if extra == 0 else 0x3F >> extra)
    for byte in data[5 : 5 + extra]:
        number = number << 6 | byte & 0x3F
    at = 5 + extra
    size = _FLAC_SIZES[size_code]
    if size_code in (6, 7):
        width = size_code - 5
        size = int.from_bytes(data[at : at + width], "big") + 1
        at += width
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if len(data) <= at or _crc(data[:at], 0x07, 8) != data[at]:
        return None
    return number + size if data[1] & 1 else number * block + size
