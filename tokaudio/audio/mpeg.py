"""MPEG audio (MP3) frame headers: what a file declares, what it holds, and a repair for files without an index.

Layouts: ISO 11172-3 section 2.4.1.3 (frame header); the Xing and VBRI headers are de-facto conventions of encoders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tokaudio.audio.splice import SplicedFile

# Bit rates in kbit/s by [version 1?][layer], index 1 to 14; sample rates by version bits (0: 2.5, 2: 2, 3: 1).
_KBPS = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
# Junk tolerated before the first frame and between frames, in bytes.
_SEARCH = 1 << 16


@dataclass(frozen=True)
class Mp3Frame:
    """The first frame of a file, and what its Xing, Info or VBRI header declares.

    Attributes:
        start: Position of the frame in the file, in bytes.
        header: Its four header bytes.
        declared_frames: Audio frames in the file, or `None` if not declared.
        declared_bytes: Bytes from `start` to the end of the last frame, or `None` if not declared.
    """

    start: int
    header: bytes
    declared_frames: int | None
    declared_bytes: int | None

    @property
    def is_layer_3(self) -> bool:
        """Whether this is MP3 proper, and not Layer I or II."""
        return self.header[1] >> 1 & 3 == 1


def frame_length(header: bytes) -> int:
    r"""Return the length in bytes of the frame that these four bytes begin, or 0 if they begin none.

    Free-format frames (no bit rate in the header) count as none.

    Example:
        >>> frame_length(b"\xff\xfb\x90\x00")
        417
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate_index, kbps_index = header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or layer == 4 or rate_index == 3 or kbps_index in (0, 15):
        return 0
    bits = _KBPS[version == 3, layer][kbps_index - 1] * 1000
    rate = _RATES[version][rate_index]
    padding = header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // rate + padding) * 4
    samples = 576 if layer == 3 and version != 3 else 1152
    return samples // 8 * bits // rate + padding


def _same_stream(header: bytes, other: bytes) -> bool:
    """Whether two headers agree in what is constant within a stream: version, layer and sample rate."""
    return header[1] & 0xFE == other[1] & 0xFE and header[2] & 0x0C == other[2] & 0x0C


def skip_id3(file: BinaryIO) -> int:
    """Return the position behind the ID3v2 tags that a file begins with."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3":
            return position
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        position += 10 + size + (10 if head[5] & 0x10 else 0)


def audio_end(file: BinaryIO) -> int:
    """Return the position where the audio ends, before ID3v1 and APE tags at the end of a file."""
    end = file.seek(0, os.SEEK_END)
    if end >= 128:
        file.seek(end - 128)
        end -= 128 if file.read(3) == b"TAG" else 0
    if end >= 32:
        file.seek(end - 32)
        footer = file.read(32)
        if footer[:8] == b"APETAGEX":
            header = 32 if footer[23] & 0x80 else 0
            end = max(0, end - int.from_bytes(footer[12:16], "little") - header)
    return end


def first_frame(file: BinaryIO) -> Mp3Frame | None:
    """Find the first frame of an MP3 file, or return `None` if the file is something else.

    A frame counts if a second one of the same stream follows it, or the file ends within it.
    """
    base = skip_id3(file)
    file.seek(base)
    head = file.read(_SEARCH)
    at = head.find(b"\xff")
    while at >= 0:
        header = head[at : at + 4]
        length = frame_length(header)
        if length:
            follower = head[at + length : at + length + 4]
            alone = len(follower) < 4 and len(head) < _SEARCH
            if alone or (frame_length(follower) and _same_stream(header, follower)):
                return _read_index(base + at, header, head[at : at + 192])
        at = head.find(b"\xff", at + 1)
    return None


def _side_bytes(header: bytes) -> int:
    """Length of the side information of a Layer III frame, behind which the index stands."""
    mono, version_1 = header[3] >> 6 == 3, header[1] >> 3 & 3 == 3
    return (17 if mono else 32) if version_1 else (9 if mono else 17)


def _read_index(start: int, header: bytes, frame: bytes) -> Mp3Frame:
    """Read the Xing, Info or VBRI header of a first frame."""
    side = _side_bytes(header)
    for at in (4 + side, 6 + side):
        if frame[at : at + 4] in (b"Xing", b"Info"):
            flags = int.from_bytes(frame[at + 4 : at + 8], "big")
            words = [int.from_bytes(frame[i : i + 4], "big") for i in (at + 8, at + 12)]
            frames = words.pop(0) if flags & 1 else None
            return Mp3Frame(start, header, frames or None, (words[0] if flags & 2 else None) or None)
    if frame[36:40] == b"VBRI":
        size, frames = (int.from_bytes(frame[i : i + 4], "big") for i in (46, 50))
        return Mp3Frame(start, header, frames or None, size or None)
    return Mp3Frame(start, header, None, None)


def frames(file: BinaryIO, start: int, end: int) -> Iterator[int]:
    """Yield the position of every complete frame between two positions, stepping over junk."""
    file.seek(start)
    first = b""
    position = start
    while position + 4 <= end:
        file.seek(position)
        header = file.read(4)
        length = frame_length(header)
        if not length or (first and not _same_stream(first, header)):
            file.seek(position + 1)
            step = file.read(_SEARCH).find(b"\xff")
            if step < 0:
                return
            position += 1 + step
            continue
        first = first or header
        if position + length > end:
            return
        yield position
        position += length


def mp3_shortfall(file: BinaryIO) -> str | None:
    """Say what an MP3 file with a Xing, Info or VBRI header lacks, or `None`.

    Both the byte count and the frame count must be missed, since some encoders count the tags or the header frame.
    """
    frame = first_frame(file)
    if frame is None or (frame.declared_bytes is None and frame.declared_frames is None):
        return None
    end = audio_end(file)
    if frame.declared_bytes is not None and frame.start + frame.declared_bytes <= end:
        return None
    if frame.declared_frames is None:
        return f"its header declares {frame.declared_bytes} bytes, {max(0, end - frame.start)} are there"
    held = sum(1 for _ in frames(file, frame.start, end)) - 1
    if held >= frame.declared_frames:
        return None
    return f"its header declares {frame.declared_frames} frames, {max(0, held)} are there"


def with_index(file: BinaryIO, frame: Mp3Frame) -> SplicedFile:
    """Return an MP3 file without an index, seen with one: a Xing frame in front that declares the number of frames.

    libsndfile 1.2.2 takes the length of such a file from the bit rate of its first frame and stops reading there,
    which loses most of a file of variable bit rate without a word. The added frame is not decoded to sound.

    Args:
        file: The file.
        frame: Its first frame.
    """
    end = audio_end(file)
    count = sum(1 for _ in frames(file, frame.start, end))
    # At 80 kbit/s or more, without CRC and padding: long enough for the index at every version and rate.
    header = bytes((0xFF, frame.header[1] | 1, (frame.header[2] & 0x0C) | 0x90, frame.header[3]))
    front = bytearray(frame_length(header))
    front[:4] = header
    at = 4 + _side_bytes(header)
    front[at : at + 8] = b"Xing\0\0\0\3"
    front[at + 8 : at + 12] = count.to_bytes(4, "big")
    front[at + 12 : at + 16] = (len(front) + end - frame.start).to_bytes(4, "big")
    return SplicedFile(file, bytes(front), frame.start, end)
