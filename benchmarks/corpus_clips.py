"""Folders of speech for the benchmarks of corpora, cut from the labelled voices that ship (24 kHz)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from tokaudio.audio import resample

VOICES = Path(__file__).parents[1] / "tokaudio" / "assets" / "voices" / "clips"
RATE = 24_000


def voices(seconds: float) -> NDArray[np.float32]:
    """Return so many seconds of the voices, one clip after the other `[S]`; all there are, at most."""
    pieces: list[NDArray[np.float32]] = []
    wanted = int(seconds * RATE)
    # In an order that does not group them by voice or task.
    for path in sorted(VOICES.iterdir(), key=lambda path: path.name[::-1]):
        if wanted <= 0:
            break
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == RATE, f"{path}: {rate} Hz"
        pieces.append(samples[:wanted])
        wanted -= len(samples)
    return np.concatenate(pieces)


def write_clips(folder: Path, count: int, seconds: float, *, rate: int = RATE, suffix: str = ".flac") -> Path:
    """Write so many files of so many seconds. Where speech runs out, files are links to those of a round before.

    Rounds follow each other by name, so that a shard holds the same speech twice only where it is longer than a round.
    """
    folder.mkdir(parents=True)
    sound = resample(torch.from_numpy(voices(count * seconds)), RATE, rate).numpy()
    size = int(seconds * rate)
    distinct = min(count, len(sound) // size)
    for index in range(distinct):
        soundfile.write(folder / f"{index:06}{suffix}", sound[index * size : (index + 1) * size], rate)
    for index in range(distinct, count):
        os.link(folder / f"{index % distinct:06}{suffix}", folder / f"{index:06}{suffix}")
    return folder
