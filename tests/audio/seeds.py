"""The same sound in every format, written with soundfile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

SEEDS = {
    "pcm.wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "long.rf64": ("RF64", "PCM_16"),
    "pcm.aiff": ("AIFF", "PCM_16"),
    "float.aifc": ("AIFF", "FLOAT"),
    "pcm.w64": ("W64", "PCM_16"),
    "pcm.au": ("AU", "PCM_16"),
    "pcm.caf": ("CAF", "PCM_16"),
    "pcm.nist": ("NIST", "PCM_16"),
    "pcm.flac": ("FLAC", "PCM_16"),
    "vorbis.ogg": ("OGG", "VORBIS"),
    "opus.opus": ("OGG", "OPUS"),
    "layer3.mp3": ("MP3", "MPEG_LAYER_III"),
}


def make_signal() -> np.ndarray:
    """Return noise on a tone, float32 `[S, C]` with 30 001 stereo samples (24 kHz) within [-0.5, 0.5]."""
    random = np.random.default_rng(7)
    tone = 0.2 * np.sin(np.arange(30_001) * 0.05)[:, None]
    return (tone + random.uniform(-0.3, 0.3, (30_001, 2))).astype(np.float32)


def write_seeds(folder: Path, signal: np.ndarray) -> Path:
    """Write the signal in each format."""
    for name, (container, subtype) in SEEDS.items():
        with soundfile.SoundFile(folder / name, "w", 24000, 2, subtype, format=container) as file:
            for block in np.array_split(signal, 3):
                file.write(block)
    return folder
