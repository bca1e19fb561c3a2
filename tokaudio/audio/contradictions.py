"""Headers that contradict themselves: a damaged sample rate would change every code, and no decoder looks."""

from __future__ import annotations

import struct
from typing import BinaryIO

from tokaudio.audio.bitstreams import flac_audio
from tokaudio.audio.containers import iff_chunks, w64_chunks
from tokaudio.audio.mpeg import audio_end, skip_id3

# Uncompressed samples: PCM, float, A-law, mu-law, and WAVE_FORMAT_EXTENSIBLE, which holds one of them.
_RAW_FORMATS = {1, 3, 6, 7, 0xFFFE}
_FMT = struct.Struct("<HHIIHH")
_W64_FMT = bytes.fromhex("666d7420f3acd3118cd100c04f8edb8a")
# Codes of a FLAC frame's sample rate in Hz, RFC 9639 table 15; the others repeat nothing, or spell it out.
_FLAC_RATES = {
    1: 88_200,
    2: 176_400,
    3: 192_000,
    4: 8_000,
    5: 16_000,
    6: 22_050,
    7: 24_000,
    8: 32_000,
    9: 44_100,
    10: 48_000,
    11: 96_000,
}


def contradiction(file: BinaryIO) -> str | None:
    r"""Say what a file's header says twice and differently, or return `None`.

    Knows WAV, RF64 and W64, whose bytes per second and bytes per frame follow from rate, channels and bits; and FLAC,
    whose frames repeat the rate. Fields that a writer left at zero say nothing.

    Example:
        >>> import io
        >>> fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 48_000, 32_000, 2, 16)
        >>> contradiction(io.BytesIO(b"RIFF\0\0\0\0WAVE" + fmt))
        'its header says 48000 Hz, and also 32000 bytes per second in frames of 2 bytes'
    """
    file.seek(0)
    head = file.read(4)
    if head in (b"RIFF", b"RF64"):
        bodies = (body for name, body, _ in iff_chunks(file, "little") if name == b"fmt ")
        return _wave(file, next(bodies, None))
    if head == b"riff":
        bodies = (position + 24 for position, head in w64_chunks(file) if head[:16] == _W64_FMT)
        return _wave(file, next(bodies, None))
    start = skip_id3(file)
    file.seek(start)
    return _flac(file, start) if file.read(4) == b"fLaC" else None


def _wave(file: BinaryIO, body: int | None) -> str | None:
    file.seek(body or 0)
    fields = file.read(_FMT.size)
    if body is None or len(fields) < _FMT.size:
        return None
    form, channels, rate, per_second, per_frame, bits = _FMT.unpack(fields)
    if form not in _RAW_FORMATS or not per_frame:
        return None
    # Cool Edit wrote floats as 24 bits in 4 bytes.
    if per_frame != channels * -(-bits // 8) and (bits, per_frame) != (24, 4 * channels):
        return f"its header says {channels} channels of {bits} bits, and also frames of {per_frame} bytes"
    if per_second not in (0, rate * per_frame):
        return f"its header says {rate} Hz, and also {per_second} bytes per second in frames of {per_frame} bytes"
    return None


def _flac(file: BinaryIO, start: int) -> str | None:
    file.seek(start + 18)
    rate = int.from_bytes(file.read(3), "big") >> 4
    first = flac_audio(file, start, audio_end(file))
    file.seek(first or 0)
    frame = file.read(3)
    repeated = _FLAC_RATES.get(frame[2] & 15, rate) if first is not None and len(frame) == 3 else rate
    return None if repeated == rate else f"its header says {rate} Hz, and its first frame {repeated} Hz"
