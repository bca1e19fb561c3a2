"""Audio pools: a folder of clips packed into one memory-mapped file, from which random crops cost nothing to read.

A pool is a folder with `audio.i16` (all clips, one after the other, 16-bit mono) and `index.json` (sample rate and one
row per clip: id, source, start, length). Hours of audio are opened in microseconds and never loaded whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tokaudio.atomic import atomic_stream, atomic_write
from tokaudio.audio import AudioReader, resample
from tokaudio.errors import AudioError, one_line

# Samples around a crop, in its file's rate.
_MARGIN = 1024


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of a pool: `length` samples from sample `start` of the packed file."""

    id: str
    source: str
    start: int
    length: int


def write_pool(folder: Path, clips: Iterable[tuple[str, str, np.ndarray]], sample_rate: int) -> list[Clip]:
    """Pack clips into a pool and return its index.

    Args:
        folder: where the pool is made; an existing pool is replaced.
        clips: `(id, source, samples [S])` in floating point, full scale 1.0.
        sample_rate: in Hz, of every clip.

    Raises:
        OutputError: if the pool cannot be written.

    Example:
        >>> import tempfile
        >>> clips = write_pool(Path(tempfile.mkdtemp()), [("a", "demo", np.zeros(800, np.float32))], 16000)
        >>> clips[0].length
        800
    """
    folder.mkdir(parents=True, exist_ok=True)
    index: list[Clip] = []
    position = 0
    with atomic_stream(folder / "audio.i16", overwrite=True) as packed:
        for name, source, samples in clips:
            scaled = np.clip(np.rint(samples * 32767.0), -32768, 32767).astype("<i2")
            packed.write(scaled.tobytes())
            index.append(Clip(name, source, position, len(scaled)))
            position += len(scaled)
    document = {"sample_rate": sample_rate, "clips": [asdict(clip) for clip in index]}
    atomic_write(folder / "index.json", json.dumps(document).encode(), overwrite=True)
    return index


class AudioPool:
    """Random crops from a packed folder of clips.

    Clips are drawn with a probability that grows with the square root of their length, so that long recordings do not
    drown short ones; clips shorter than a crop are surrounded by silence.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = write_pool(folder, [("a", "demo", np.ones(800, np.float32) / 2)], 16000)
        >>> AudioPool(folder).crop(torch.Generator().manual_seed(0), 400).shape
        torch.Size([400])
    """

    def __init__(self, folder: Path, *, weights: dict[str, float] | None = None) -> None:
        """Open a pool; `weights` multiplies the probability of each source by name."""
        if not (folder / "index.json").is_file():
            raise AudioError(f"{folder}: holds no audio pool; make one with the recipe's 'prepare' step")
        document = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.sample_rate: int = document["sample_rate"]
        self.clips = [Clip(**row) for row in document["clips"]]
        self._audio = np.memmap(folder / "audio.i16", dtype="<i2", mode="r")
        self._set_chances(weights)

    def _set_chances(self, weights: dict[str, float] | None) -> None:
        chances = torch.tensor([clip.length**0.5 * (weights or {}).get(clip.source, 1.0) for clip in self.clips])
        self._cumulative = torch.cumsum(chances.double(), 0)

    @property
    def seconds(self) -> float:
        """Total duration in seconds."""
        return sum(clip.length for clip in self.clips) / self.sample_rate

    def read(self, clip: Clip, start: int = 0, length: int | None = None) -> Tensor:
        """Return samples `[S]` of a clip, float32 in [-1, 1]."""
        stop = clip.length if length is None else min(clip.length, start + length)
        part = self._audio[clip.start + start : clip.start + stop]
        return torch.from_numpy(part.astype(np.float32) / 32767.0)

    def draw(self, generator: torch.Generator) -> int:
        """Return the number of a random clip."""
        point = torch.rand((), generator=generator, dtype=torch.float64) * self._cumulative[-1]
        return int(torch.searchsorted(self._cumulative, point).clamp(max=len(self.clips) - 1))

    def place(self, generator: torch.Generator, length: int) -> tuple[Clip, int]:
        """Return a random clip, and the sample where a random crop of it begins; below 0 where silence precedes it."""
        clip = self.clips[self.draw(generator)]
        slack = clip.length - length
        offset = int(torch.randint(0, abs(slack) + 1, (), generator=generator))
        return clip, offset if slack >= 0 else -offset

    def cut(self, clip: Clip, start: int, length: int) -> Tensor:
        """Return samples `[length]` of a clip from `start` on, float32 in [-1, 1], silent outside of it."""
        inside = self.read(clip, max(0, start), length + min(0, start))
        return torch.nn.functional.pad(inside, (max(0, -start), length - len(inside) - max(0, -start)))

    def crop(self, generator: torch.Generator, length: int) -> Tensor:
        """Return a random crop `[length]`, float32 in [-1, 1]."""
        return self.cut(*self.place(generator, length), length)


class FilePool(AudioPool):
    """Random crops from audio files that stay where they are, and are decoded at every crop.

    Args:
        paths: of the files.
        clips: one of each file; lengths are those that the files declare, at `sample_rate`.
        sample_rate: in Hz, of what is read.
        weights: multiplies the probability of each source by name.
    """

    def __init__(
        self, paths: Sequence[str], clips: Sequence[Clip], sample_rate: int, *, weights: dict[str, float] | None = None
    ) -> None:
        self.sample_rate, self.clips = sample_rate, list(clips)
        self._paths = dict(zip(clips, paths, strict=True))
        self._set_chances(weights)

    def read(self, clip: Clip, start: int = 0, length: int | None = None) -> Tensor:
        """Return samples `[S]` of a clip, float32 in [-1, 1].

        Raises:
            AudioError: if the file cannot be read.
        """
        path = self._paths[clip]
        stop = clip.length if length is None else min(clip.length, start + length)
        with AudioReader(path) as reader:
            rate = reader.sample_rate
            # A margin on both sides, so that the resampler sees no edge where the crop begins.
            first = max(0, start * rate // self.sample_rate - _MARGIN)
            count = -(-(stop - start) * rate // self.sample_rate) + 2 * _MARGIN
            blocks = [block.mean(0) for block in reader.blocks(start=first, frames=count)]
        if not blocks:
            raise AudioError(one_line(path, "is shorter than it says", "export it again"))
        sound = resample(torch.from_numpy(np.concatenate(blocks))[None], rate, self.sample_rate)[0]
        skipped = start - round(first * self.sample_rate / rate)
        samples = sound[skipped : skipped + stop - start]
        return torch.nn.functional.pad(samples, (0, stop - start - len(samples)))
