"""Sound to analyse, in whatever form it is given: paths, manifests, recordings, samples, or lists of any of these.

for sound in sounds_of(["a.wav", samples], sample_rate=16_000):
    sound.recording.name
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio.manifest import MANIFEST_SUFFIXES, Recording, read_manifest
from tokaudio.errors import one_line

_UNNAMED = "samples"


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Sound in memory.

    Attributes:
        samples: anything that `tokaudio.audio.as_audio` takes, of one item.
        sample_rate: in Hz.
        name: by which it is told, and its labels found.
    """

    samples: Any
    sample_rate: int
    name: str

    @property
    def recording(self) -> Recording:
        """The clip as a recording that is nowhere."""
        return Recording(Path(self.name), self.name)


Sound = Recording | Clip


def sounds_of(audio: Any, sample_rate: int | None = None) -> Iterator[Sound]:
    """Yield each recording or clip that something stands for.

    Args:
        audio: a path, a manifest, a `Recording`, a `Clip`, samples `[S]` or `[C, S]`, or a list of any of these.
        sample_rate: of samples, in Hz.

    Raises:
        AnalysisError: if it is something else, a folder, or samples without a rate.
        AudioError: if a manifest cannot be read.

    Example:
        >>> [sound.name for sound in sounds_of(["a.wav", np.zeros(8), np.zeros(9)], 16_000)]
        ['a.wav', 'clip 1', 'clip 2']
    """
    if isinstance(audio, (str, os.PathLike)):
        path = Path(audio)
        if path.is_dir():
            raise AnalysisError(one_line(path, "is a folder", "list the files in it, or give a manifest"))
        if path.suffix.lower() in MANIFEST_SUFFIXES:
            yield from read_manifest(path)
        else:
            yield Recording(path, path.name)
    elif isinstance(audio, (Recording, Clip)):
        yield audio
    elif isinstance(audio, (Tensor, np.ndarray)):
        if sample_rate is None:
            raise AnalysisError("samples have no sample rate; give sample_rate")
        yield Clip(audio, sample_rate, _UNNAMED)
    elif isinstance(audio, Sequence):
        for number, one in enumerate(audio):
            for sound in sounds_of(one, sample_rate):
                unnamed = isinstance(sound, Clip) and sound.name == _UNNAMED
                yield dataclasses.replace(sound, name=f"clip {number}") if unnamed else sound
    else:
        raise AnalysisError(f"audio is a {type(audio).__name__}; give paths, recordings or samples")
