"""A training loop that can be stopped at any moment and goes on as if it never was.

The loop owns steps, schedule, logging and checkpoints; what a step does is the business of the object it drives. All
randomness of a step comes from a generator seeded with the step's number, so that a resumed run repeats the
uninterrupted one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from tokaudio.atomic import atomic_write
from tokaudio.quantizers.processes import process_rank
from tokaudio.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to train and how fast to learn.

    Attributes:
        steps: optimizer steps in all.
        warmup: steps of linear growth of the learning rate.
        peak: highest learning rate; half a cosine takes it down to `final` of itself.
        final: share of the peak left at the end.
    """

    steps: int
    warmup: int = 300
    peak: float = 1e-3
    final: float = 0.01

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0.

        Example:
            >>> [Schedule(100, warmup=10, peak=1.0).rate(step) for step in (0, 9, 10)]
            [0.1, 1.0, 1.0]
        """
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.peak * (self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2)


class Trainable(Protocol):
    """What the loop drives."""

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one optimizer step and return figures to log."""

    def state(self) -> dict[str, Any]:
        """Return everything that resuming needs: tensors, numbers, and lists and dicts of them."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often the loop logs (in steps) and saves (in seconds)."""

    log_steps: int = 50
    save_seconds: float = 180.0


class Loop:
    """Drives a trainable from its last checkpoint to the end of the schedule.

    The folder receives `checkpoint.safetensors`, `log.jsonl` (one line of averaged figures every
    few steps) and `schedule.json`; with several processes, from the first one.
    """

    def __init__(
        self,
        folder: Path,
        trainable: Trainable,
        schedule: Schedule,
        *,
        seed: int = 0,
        cadence: Cadence = Cadence(),
    ) -> None:
        self.folder, self.trainable, self.schedule, self.seed, self.cadence = folder, trainable, schedule, seed, cadence
        self.done = 0
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> int:
        """Load the last checkpoint, if there is one; return the number of steps already taken."""
        path = self.folder / CHECKPOINT
        if path.is_file():
            saved = read_checkpoint(path)
            self.trainable.load_state(saved["trainable"])
            self.done = int(saved["done"])
        self._cut_log()
        return self.done

    def _cut_log(self) -> None:
        """Drop lines of steps that are taken again, and one that was not finished."""
        path = self.folder / "log.jsonl"
        if process_rank() or not path.is_file():
            return
        text = path.read_text(encoding="utf-8")
        kept = "".join(line for line in text.splitlines(keepends=True) if _is_of(line, self.done))
        if kept != text:
            atomic_write(path, kept.encode(), overwrite=True)

    def save(self) -> None:
        """Write the checkpoint; the previous one stays valid until the new one is complete.

        Raises:
            OutputError: if it cannot be written.
        """
        if process_rank():
            return
        write_checkpoint(self.folder / CHECKPOINT, {"done": self.done, "trainable": self.trainable.state()})
        atomic_write(self.folder / "schedule.json", json.dumps(asdict(self.schedule)).encode(), overwrite=True)

    def run(
        self,
        *,
        stop_after: int | None = None,
        quiet: bool = False,
        stop: Callable[[], bool] = lambda: False,
        tell: Callable[[int, dict[str, float]], None] = lambda step, figures: None,
    ) -> int:
        """Train until the schedule ends, and return the number of steps taken in all.

        Args:
            stop_after: take so many steps at most.
            quiet: print nothing.
            stop: asked between steps; once it says so, the loop saves and ends.
            tell: hears the number of steps taken, and averaged figures, which are none between two lines of the log.
        """
        last = self.schedule.steps if stop_after is None else min(self.schedule.steps, self.done + stop_after)
        pending: list[dict[str, float]] = []
        saved = started = time.monotonic()
        first = self.done
        while self.done < last and not stop():
            generator = torch.Generator().manual_seed(self.seed * 10_000_019 + self.done)
            pending.append(self.trainable.step(generator, self.done, self.schedule.rate(self.done)))
            self.done += 1
            if self.done % self.cadence.log_steps == 0 or self.done == self.schedule.steps:
                speed = (time.monotonic() - started) / (self.done - first)
                tell(self.done, self._log(pending, speed, quiet))
                pending = []
            else:
                tell(self.done, {})
            if time.monotonic() - saved > self.cadence.save_seconds:
                self.save()
                saved = time.monotonic()
        self.save()
        return self.done

    def _log(self, pending: list[dict[str, float]], seconds_per_step: float, quiet: bool) -> dict[str, float]:
        columns = {name: [row[name] for row in pending if name in row] for name in pending[-1]}
        means = {name: sum(column) / len(column) for name, column in columns.items()}
        row = {"step": self.done, "seconds_per_step": seconds_per_step, "rate": self.schedule.rate(self.done)} | means
        if process_rank():
            return means
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({name: float(f"{value:.5g}") for name, value in row.items()}) + "\n")
        if not quiet:
            left = (self.schedule.steps - self.done) * seconds_per_step / 60
            figures = "  ".join(f"{name} {value:.4g}" for name, value in means.items() if "_" not in name)
            print(f"{self.done}/{self.schedule.steps}  {left:.0f} min left  {figures}", flush=True)
        return means


def _is_of(line: str, done: int) -> bool:
    try:
        return line.endswith("\n") and float(json.loads(line)["step"]) <= done
    except (ValueError, KeyError, TypeError):
        return False
