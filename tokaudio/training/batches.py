"""Batches of crops: drawn by number, with their labels, broken recordings left out.

Every crop has a number, and a generator seeded with it: what is heard at a step depends on nothing before it, nor on
how many workers cut the crops, so that a resumed training repeats the uninterrupted one.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tokaudio.errors import AudioError
from tokaudio.training.augment import Drawn, draw_placed
from tokaudio.training.labels import UNLABELLED, Labels
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipe import DataOptions

# Streams of numbers: crops of steps, and those that codebooks are set from.
_INITIAL = 1 << 40
Fail = Callable[[str, str], None]


def ignore_interrupts(_: int) -> None:
    """Leave it to the main process what an interrupt ends."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops, and what is known about them.

    Attributes:
        signal: `[B, S]`.
        speakers: numbers `[B]`, -1 for crops of nobody known.
        phones: numbers `[B, T]`, -1 for frames without a label; T is 0 where there are no labels of phones at all.
    """

    signal: Tensor
    speakers: Tensor
    phones: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(self.signal.to(device), self.speakers.to(device), self.phones.to(device))


@dataclass(frozen=True)
class Crops(Dataset[tuple[Batch, list[tuple[str, str]]]]):
    """Augmented crops by number, with the recordings that turned out to be broken on the way.

    Attributes:
        pool: of recordings.
        options: crops and augmentation.
        length: samples of a crop.
        seed: of all of them.
        labels: of the recordings.
        hop_length: samples of a crop per frame that has a phone.
    """

    pool: AudioPool
    options: DataOptions
    length: int
    seed: int
    labels: Labels = UNLABELLED
    hop_length: int = 1

    def __getitem__(self, number: int) -> tuple[Batch, list[tuple[str, str]]]:
        """Return one crop, of shapes without B, and the broken recordings that were drawn before it: path and line."""
        # Torch's generator takes 32 bits of a seed and ignores the rest, so that all of it has to go into them.
        digest = hashlib.sha256(f"{self.seed} {number}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
        failures: list[tuple[str, str]] = []
        while True:
            try:
                drawn = draw_placed(self.pool, generator, self.length, self.options.augmentation)
                return self._labelled(drawn), failures
            except AudioError as error:
                failures.append((str(error).partition(": ")[0], str(error)))
                if len(failures) > 100:
                    raise

    def _labelled(self, drawn: Drawn) -> Batch:
        name, labels = drawn.clip.id, self.labels
        speaker, phones = torch.tensor(labels.speaker(name)), torch.empty(0, dtype=torch.int64)
        if labels.phones:
            centres = (torch.arange(self.length // self.hop_length) + 0.5) * (self.hop_length * drawn.speed)
            phones = labels.phones_at(name, (drawn.start + centres) / self.pool.sample_rate)
        return Batch(drawn.signal, speaker, phones)


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
        self._ahead: Iterator[tuple[Batch, list[tuple[str, str]]]] = iter(())

    @property
    def seconds(self) -> float:
        """Seconds of audio of a step, of all processes."""
        return self.batch * self.crops.length / self.crops.pool.sample_rate

    def at(self, step: int) -> Tensor:
        """Return the crops `[B / world, S]` of a step; steps in a row are cut ahead by the workers."""
        return self.labelled(step).signal

    def labelled(self, step: int) -> Batch:
        """Return the crops of a step with what is known about them."""
        if step != self._next:
            numbers = _Numbers(step, self.batch, self.rank, self.world)
            self._ahead = iter(
                DataLoader(
                    self.crops,
                    batch_sampler=numbers,
                    num_workers=self.workers,
                    collate_fn=_stack,
                    worker_init_fn=ignore_interrupts,
                    # Without its own, it would draw from the one that the step's dropout draws from.
                    generator=torch.Generator(),
                )
            )
        batch, failures = next(self._ahead)
        self._next = step + 1
        for name, line in failures:
            if name not in self._told:
                self._told.add(name)
                self._fail(name, line)
        return batch

    def initial(self, count: int) -> Iterator[Tensor]:
        """Yield `count` batches `[B / world, S]` that no step hears; those of all processes, joined, are one's own."""
        share = self.batch // self.world
        first = _INITIAL + self.rank * count * share
        for number in range(count):
            yield torch.stack([self.crops[first + number * share + at][0].signal for at in range(share)])


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


def _stack(items: list[tuple[Batch, list[tuple[str, str]]]]) -> tuple[Batch, list[tuple[str, str]]]:
    crops = [crop for crop, _ in items]
    signal = torch.stack([crop.signal for crop in crops])
    speakers, phones = torch.stack([crop.speakers for crop in crops]), torch.stack([crop.phones for crop in crops])
    return Batch(signal, speakers, phones), [failure for _, failures in items for failure in failures]
