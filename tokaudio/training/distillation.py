"""One step of teaching a student to hear what a teacher hears: features are regressed frame by frame.

As in DistilHuBERT (arXiv:2110.01900), hidden states of several layers are predicted by one small network; here the
loss is squared error, whose minimum is the conditional mean: what the student cannot know, such as where in the signal
a frame lies, averages out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.nn.spectral_codec import SpectralEncoder
from tokaudio.training.augment import Augmentation, colour
from tokaudio.training.descent import Descent
from tokaudio.training.frames import Frames
from tokaudio.training.pool import AudioPool
from tokaudio.training.teacher import frame_starts


@dataclass(frozen=True, slots=True)
class DistillationOptions:
    """Choices of a distillation.

    Attributes:
        batch: crops per step.
        crop_frames: frames per crop that are compared; the student hears what surrounds them too.
        weights: of the parts of the features, which are of equal width.
        half: multiply in bfloat16, which is faster on processors that know it.
    """

    batch: int = 4
    crop_frames: int = 160
    weights: tuple[float, ...] = (1.0, 0.5)
    half: bool = True


class DistillationTraining:
    """Trains a student on the features that a teacher has for a pool; a `Trainable` for the loop.

    Args:
        student: gives as many dimensions per frame as the features have.
        pool: of sound.
        targets: the features of all frames of the pool, in its order.
        options: batch and weights.
        augmentation: of what the student hears, besides speed; the features are those of the plain sound.
        hop_length: samples per frame.
    """

    def __init__(
        self,
        student: SpectralEncoder,
        pool: AudioPool,
        targets: Frames,
        *,
        options: DistillationOptions,
        augmentation: Augmentation,
        hop_length: int,
    ) -> None:
        self.student, self.pool, self.targets = student, pool, targets
        self.options, self.augmentation, self.hop_length = options, augmentation, hop_length
        self.starts = frame_starts(pool, hop_length)
        if self.starts[-1] != targets.shape[0]:
            raise ValueError(f"the pool has {self.starts[-1]} frames and the features {targets.shape[0]}")
        self.descent = Descent(student)

    def example(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return samples with their surroundings `[W]`, features `[T, D]`, and which frames exist `[T]`."""
        hop, wanted = self.hop_length, self.options.crop_frames
        number = self.pool.draw(generator)
        clip, first = self.pool.clips[number], self.starts[number]
        frames = self.starts[number + 1] - first
        start = int(torch.randint(0, max(1, frames - wanted + 1), (), generator=generator))
        count = min(wanted, frames - start)
        edge = self.student.reach * hop + self.student.context
        begin, end = start * hop - edge, (start + wanted) * hop + edge
        heard = self.pool.read(clip, max(0, begin), end - max(0, begin))
        samples = F.pad(heard, (max(0, -begin), 0))
        samples = F.pad(colour(samples, generator, self.augmentation), (0, end - begin - len(samples)))
        features = self._wanted(torch.arange(first + start, first + start + count))
        return samples, F.pad(features, (0, 0, 0, wanted - count)), torch.arange(wanted) < count

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one optimizer step."""
        examples = [self.example(generator) for _ in range(self.options.batch)]
        samples, wanted, exists = (torch.stack(parts) for parts in zip(*examples, strict=True))
        reach = self.student.reach
        with torch.autocast(samples.device.type, torch.bfloat16, enabled=self.options.half):
            heard = self.student(samples)
        got = heard.float()[:, :, reach:-reach].transpose(1, 2)
        loss, figures = self._loss(got[exists], wanted[exists])
        self.descent.step(loss, rate=rate, step=step)
        return {"loss": loss.item()} | figures

    def _wanted(self, rows: Tensor) -> Tensor:
        """Return what is to be learned of frames `[n]` of the pool, `[n, D]`."""
        return self.targets.take(rows)

    def _loss(self, got: Tensor, wanted: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of what the student gives for frames `[n, D]`, and figures to log."""
        errors = (got - wanted).square().unflatten(1, (len(self.options.weights), -1)).mean((0, 2))
        loss = (errors * torch.tensor(self.options.weights)).sum()
        return loss, {f"part{number}": value.item() for number, value in enumerate(errors)}

    def state(self) -> dict[str, Any]:
        """Return weights, averages and optimizer."""
        return self.descent.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.descent.load_state(state)
