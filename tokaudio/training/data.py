"""Recordings to batches of crops: decoded once to a cache where they fit, drawn by number, broken ones left out.

Every crop has a number, and a generator seeded with it: what is heard at a step depends on nothing before it, nor on
how many workers cut the crops, so that a resumed training repeats the uninterrupted one.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tokaudio.atomic import atomic_write
from tokaudio.audio import as_audio, audio_info, read_audio, resample, to_channels
from tokaudio.audio.manifest import Recording
from tokaudio.errors import AudioError, TokaudioError
from tokaudio.training.augment import draw
from tokaudio.training.pool import AudioPool, Clip, FilePool, write_pool
from tokaudio.training.recipe import DataOptions

TRAIN, VALIDATION = "train", "validation"
# Streams of numbers: crops of steps, and those that codebooks are set from.
_INITIAL = 1 << 40
_NOTHING = "the data: no recording could be used for training; name some that can be read"
Fail = Callable[[str, str], None]


def is_validation(name: str, share: float) -> bool:
    """Return whether a recording is kept out of training: a hash of its name decides, whatever else there is.

    Example:
        >>> sum(is_validation(f"{number}.wav", 0.1) for number in range(1000))
        107
    """
    digest = hashlib.sha256(os.fsencode(name)).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def decode(path: str | os.PathLike[str], sample_rate: int) -> Tensor:
    """Return a recording `[S]`, mono at a rate in Hz.

    Raises:
        AudioError: if it cannot be read to its end.
    """
    samples, rate = read_audio(path)
    mono, _ = to_channels(as_audio(samples).samples, 1)
    return resample(mono, rate, sample_rate)[0, 0]


class _Decoded(Dataset[tuple[str, str, Any, str]]):
    def __init__(self, recordings: Sequence[Recording], rate: int, share: float) -> None:
        self.recordings, self.rate, self.share = recordings, rate, share

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, number: int) -> tuple[str, str, Any, str]:
        one = self.recordings[number]
        source = VALIDATION if is_validation(one.name, self.share) else TRAIN
        try:
            return one.name, source, decode(one.path, self.rate).numpy(), ""
        except (TokaudioError, OSError) as error:
            return str(one.path), source, None, _told(error, one)


def _told(error: Exception, one: Recording) -> str:
    text = str(error) if isinstance(error, TokaudioError) else f"cannot be read ({error}); check it"
    return text if text.startswith(f"{one.path}:") else f"{one.path}: {text}"


def open_data(
    recordings: Sequence[Recording],
    folder: Path,
    sample_rate: int,
    options: DataOptions,
    *,
    workers: int = 0,
    fail: Fail = lambda name, line: None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> AudioPool:
    """Return a pool of recordings, whose sources are `train` and `validation`; no crop is drawn from the latter.

    Args:
        recordings: the data.
        folder: where the cache is made, or found as an earlier run made it.
        sample_rate: in Hz.
        options: share of validation, and how much is cached.
        workers: processes that decode.
        fail: hears of every broken recording, path and one line.
        tell: hears how many recordings of all are decoded.

    Raises:
        AudioError: if no recording for training can be read.
        OutputError: if the cache cannot be written.
    """
    told = folder / "data.json"
    if told.is_file():
        found = json.loads(told.read_text(encoding="utf-8"))
        for name, line in found["failures"]:
            fail(name, line)
    else:
        found = _scan(recordings, sample_rate, options, fail)
        if found["cached"]:
            decoded = _Decoded(recordings, sample_rate, options.validation)
            if not write_pool(folder, _decode_all(decoded, found["failures"], workers, fail, tell), sample_rate):
                raise AudioError(_NOTHING)
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(told, json.dumps(found).encode(), overwrite=True)
    weights = {VALIDATION: 0.0}
    if found["cached"]:
        pool = AudioPool(folder, weights=weights)
    else:
        paths = {one.name: str(one.path) for one in recordings}
        clips = [Clip(name, source, 0, length) for name, source, length in found["clips"]]
        pool = FilePool([paths[clip.id] for clip in clips], clips, sample_rate, weights=weights)
    if not any(clip.source == TRAIN and clip.length for clip in pool.clips):
        raise AudioError(_NOTHING)
    return pool


def _scan(recordings: Sequence[Recording], rate: int, options: DataOptions, fail: Fail) -> dict[str, Any]:
    """Return which recordings there are, by what their files say of themselves, and whether they fit in the cache."""
    clips, failures, limit = [], [], options.cache_hours * 3600 * rate
    total = 0
    for one in recordings:
        try:
            info = audio_info(one.path)
            length = round((info.duration or 0.0) * rate)
        except (TokaudioError, OSError) as error:
            failures.append((str(one.path), _told(error, one)))
            continue
        total += length
        clips.append((one.name, VALIDATION if is_validation(one.name, options.validation) else TRAIN, length))
    cached = total <= limit
    if not cached:
        for name, line in failures:
            fail(name, line)
    return {"cached": cached, "clips": [] if cached else clips, "failures": [] if cached else failures}


def _decode_all(
    decoded: _Decoded,
    failures: list[tuple[str, str]],
    workers: int,
    fail: Fail,
    tell: Callable[[int, int], None],
) -> Iterator[tuple[str, str, Any]]:
    """Yield name, source and samples of the recordings that can be read; add the others to the failures."""
    loader = DataLoader(
        decoded, batch_size=None, num_workers=workers, worker_init_fn=_ignore_interrupts, collate_fn=_as_is
    )
    for done, (name, source, samples, problem) in enumerate(loader, start=1):
        if problem:
            failures.append((name, problem))
            fail(name, problem)
        else:
            yield name, source, samples
        tell(done, len(decoded))


def _as_is(item: Any) -> Any:
    return item


def _ignore_interrupts(_: int) -> None:
    # The main process decides what an interrupt ends.
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True)
class Crops(Dataset[tuple[Tensor, list[tuple[str, str]]]]):
    """Augmented crops by number, with the recordings that turned out to be broken on the way.

    Attributes:
        pool: of recordings.
        options: crops and augmentation.
        length: samples of a crop.
        seed: of all of them.
    """

    pool: AudioPool
    options: DataOptions
    length: int
    seed: int

    def __getitem__(self, number: int) -> tuple[Tensor, list[tuple[str, str]]]:
        """Return one crop `[S]`, and the broken recordings that were drawn before it: path and one line."""
        # Torch's generator takes 32 bits of a seed and ignores the rest, so that all of it has to go into them.
        digest = hashlib.sha256(f"{self.seed} {number}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
        failures: list[tuple[str, str]] = []
        while True:
            try:
                return draw(self.pool, generator, self.length, self.options.augmentation), failures
            except AudioError as error:
                failures.append((str(error).partition(": ")[0], str(error)))
                if len(failures) > 100:
                    raise


class Batches:
    """Batches of crops by step: this process's share of each.

    Args:
        crops: by number.
        batch: crops per step of all processes.
        rank, world: number of this process, and of all.
        workers: processes that cut crops ahead; 0 for none.
        fail: hears of broken recordings, each once.

    Raises:
        ValueError: if the batch cannot be shared out evenly.
    """

    def __init__(
        self,
        crops: Crops,
        batch: int,
        *,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        fail: Fail = lambda name, line: None,
    ) -> None:
        if batch % world:
            raise ValueError(f"a batch of {batch} cannot be shared by {world} processes; make it a multiple")
        self.crops, self.batch, self.rank, self.world, self.workers = crops, batch, rank, world, workers
        self._fail, self._told = fail, set[str]()
        self._next = -1
        self._ahead: Iterator[tuple[Tensor, list[tuple[str, str]]]] = iter(())

    @property
    def seconds(self) -> float:
        """Seconds of audio of a step, of all processes."""
        return self.batch * self.crops.length / self.crops.pool.sample_rate

    def at(self, step: int) -> Tensor:
        """Return the batch `[B / world, S]` of a step; steps in a row are cut ahead by the workers."""
        if step != self._next:
            numbers = _Numbers(step, self.batch, self.rank, self.world)
            self._ahead = iter(
                DataLoader(
                    self.crops,
                    batch_sampler=numbers,
                    num_workers=self.workers,
                    collate_fn=_stack,
                    worker_init_fn=_ignore_interrupts,
                    # Without its own, it would draw from the one that the step's dropout draws from.
                    generator=torch.Generator(),
                )
            )
        samples, failures = next(self._ahead)
        self._next = step + 1
        for name, line in failures:
            if name not in self._told:
                self._told.add(name)
                self._fail(name, line)
        return samples

    def initial(self, count: int) -> Iterator[Tensor]:
        """Yield `count` batches `[B / world, S]` that no step hears; those of all processes, joined, are one's own."""
        share = self.batch // self.world
        first = _INITIAL + self.rank * count * share
        for number in range(count):
            yield torch.stack([self.crops[first + number * share + at][0] for at in range(share)])


class _Numbers:
    """The numbers of a process's crops, a list for each step."""

    def __init__(self, step: int, batch: int, rank: int, world: int) -> None:
        self.step, self.batch, self.share, self.rank = step, batch, batch // world, rank

    def __iter__(self) -> Iterator[list[int]]:
        step = self.step
        while True:
            first = step * self.batch + self.rank * self.share
            yield list(range(first, first + self.share))
            step += 1


def _stack(items: list[tuple[Tensor, list[tuple[str, str]]]]) -> tuple[Tensor, list[tuple[str, str]]]:
    return torch.stack([samples for samples, _ in items]), [failure for _, failures in items for failure in failures]
