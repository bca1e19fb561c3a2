"""The classical codecs that tokenizers are measured against, run through their own command-line tools.

Needs: `apt-get install opus-tools codec2` (Opus 1.3.1 and Codec2 1.0.5 in Debian bookworm).
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

SAMPLE_RATE = 16_000

# Delay of c2enc followed by c2dec, in samples at 16 kHz (20 ms). Codec2 codes no phase, so waveforms cannot be
# correlated; this is where the mean STOI over read sentences peaks (at 312 for 3200 bit/s, 324 for 1200 bit/s, flat
# within 0.001 between), and log-spectral envelopes correlate best within 3 ms of it.
CODEC2_DELAY = 320

# bit/s -> (samples per frame at 8 kHz, bits per frame)
CODEC2_FRAMES = {3200: (160, 64), 2400: (160, 48), 1600: (320, 64), 1300: (320, 52), 1200: (320, 48)}


@dataclass(frozen=True)
class Coded:
    """What comes out of a codec.

    Attributes:
        audio: Reconstruction `[S]` at 16 kHz, as long as the input and aligned with it.
        bits: Size of the coded audio, without container and padding.
        file_bits: Size of the file as the tool writes it.
    """

    audio: NDArray[np.float32]
    bits: int
    file_bits: int


def opus(audio: NDArray[np.float32], *, kbps: float = 6.0) -> Coded:
    """Code with Opus: mono speech, 20 ms frames, variable bitrate around `kbps`, full complexity.

    The tools compensate the delay and restore the length. Bits are those of the Opus packets, without the Ogg pages.

    Args:
        audio: Waveform `[S]` at 16 kHz.
        kbps: Target, in kbit/s, at least 6.

    Raises:
        SystemExit: A tool is missing or fails.
    """
    raw = ["--raw", "--raw-rate", str(SAMPLE_RATE), "--raw-chan", "1"]
    options = ["--quiet", "--speech", "--discard-comments", "--padding", "0", "--bitrate", str(kbps)]
    stream = _run(["opusenc", *options, *raw, "-", "-"], _to_pcm(audio))
    decoded = _run(["opusdec", "--quiet", "--rate", str(SAMPLE_RATE), "--float", "--no-dither", "-", "-"], stream)
    return Coded(fit(np.frombuffer(decoded, "<f4"), len(audio)), 8 * ogg_payload_bytes(stream), 8 * len(stream))


def codec2(audio: NDArray[np.float32], *, bps: int) -> Coded:
    """Code with Codec2 at 8 kHz; the constant delay of 20 ms is taken out.

    Args:
        audio: Waveform `[S]` at 16 kHz.
        bps: Mode: 3200, 2400, 1600, 1300 or 1200 bit/s.

    Raises:
        SystemExit: A tool is missing or fails.
    """
    frame, frame_bits = CODEC2_FRAMES[bps]
    narrow = soxr.resample(audio, SAMPLE_RATE, 8_000, quality="HQ")
    # c2enc drops an unfinished frame, and the delay pushes the end of the sound into the frames that follow.
    frames = -(-(len(narrow) + CODEC2_DELAY // 2) // frame)
    stream = _run(["c2enc", str(bps), "-", "-"], _to_pcm(np.pad(narrow, (0, frames * frame - len(narrow)))))
    decoded = np.frombuffer(_run(["c2dec", str(bps), "-", "-"], stream), "<i2").astype(np.float32) / 32_768
    wide = soxr.resample(decoded, 8_000, SAMPLE_RATE, quality="HQ")
    return Coded(fit(wide[CODEC2_DELAY:], len(audio)), frame_bits * -(-len(narrow) // frame), 8 * len(stream))


def fit(audio: NDArray[np.float32], num_samples: int) -> NDArray[np.float32]:
    """Return `audio` cut or zero-padded at its end to `num_samples`."""
    return np.pad(audio[:num_samples], (0, max(0, num_samples - len(audio)))).astype(np.float32)


def ogg_payload_bytes(stream: bytes) -> int:
    """Return the bytes of all packets of an Ogg Opus stream but its two headers (RFC 3533 section 6, RFC 7845).

    Example:
        >>> page = lambda *sizes: b"OggS" + bytes(22) + bytes([len(sizes), *sizes]) + bytes(sum(sizes))
        >>> ogg_payload_bytes(page(19) + page(16) + page(255, 5, 30))
        290
    """
    sizes, size, position = [], 0, 0
    while position < len(stream):
        magic, segments = struct.unpack_from("<4s22xB", stream, position)
        if magic != b"OggS":
            raise ValueError(f"Ogg stream: no page at byte {position}")
        table = stream[position + 27 : position + 27 + segments]
        for lacing in table:
            size += lacing
            if lacing < 255:
                sizes.append(size)
                size = 0
        position += 27 + segments + sum(table)
    return sum(sizes[2:])


def tool_version(package: str) -> str:
    """Return the version of an installed Debian package, or `unknown`.

    Example:
        >>> tool_version("no-such-package")
        'unknown'
    """
    if shutil.which("dpkg-query") is None:
        return "unknown"
    query = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
    )
    return query.stdout.strip() or "unknown"


def _to_pcm(audio: NDArray[np.float32]) -> bytes:
    return bytes(np.clip(np.rint(audio * 32_768.0), -32_768, 32_767).astype("<i2").tobytes())


def _run(command: list[str], data: bytes) -> bytes:
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]}: not installed; apt-get install opus-tools codec2")
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise SystemExit(f"{' '.join(command)}: failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
