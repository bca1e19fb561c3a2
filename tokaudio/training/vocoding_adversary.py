"""A vocoder of fixed codes learns against discriminators, so that what the codes leave open sounds like speech.

Spectral distances alone reward the average of all sounds that the codes could stand for, and the average sounds
muffled. A discriminator does not take the average for a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tokaudio.training.adversarial import Adversary
from tokaudio.training.balancer import GradientBalancer
from tokaudio.training.vocoding import VocoderTraining

SHARES = {"spectral": 1.0, "listened": 0.3, "adversarial": 1.0, "features": 1.0}


@dataclass(frozen=True, slots=True)
class VocodingAdversaryOptions:
    """Choices of the training.

    Attributes:
        alone: first steps, in which only the discriminators learn.
        shares: of what is sent into the decoder, by loss: `spectral`, `listened`, `adversarial`, `features`.
    """

    alone: int = 150
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)


class AdversarialVocoding:
    """Trains a vocoder against discriminators; a `Trainable` for the loop.

    Args:
        vocoding: decoder, codes and sounds, and the distance of spectra.
        adversary: the discriminators and their optimizer.
        listener: returns how far a sound `[B, S]` is from another, as the tokenizer hears them.
        options: shares of the losses.
    """

    def __init__(
        self,
        vocoding: VocoderTraining,
        adversary: Adversary,
        listener: Callable[[Tensor, Tensor], Tensor],
        *,
        options: VocodingAdversaryOptions | None = None,
    ) -> None:
        self.vocoding, self.adversary, self.listener = vocoding, adversary, listener
        self.options = options or VocodingAdversaryOptions()
        self.balancer = GradientBalancer(self.options.shares, decay=0.99)

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one step of the discriminators and, later than the first steps, one of the decoder."""
        estimate, target = self.vocoding.spoken(generator)
        # Discriminators hear all crops equally loud.
        level = target.square().mean(1, keepdim=True).sqrt().clamp_min(1e-3)
        half = self.vocoding.options.half
        with torch.autocast(target.device.type, torch.bfloat16, enabled=half):
            figures = self.adversary.learn(target / level, estimate / level, rate=rate, step=step)
        if step < self.options.alone:
            return figures
        with torch.autocast(target.device.type, torch.bfloat16, enabled=half):
            losses = self.adversary.losses(target / level, estimate / level)
            losses["listened"] = self.listener(estimate, target)
        losses["spectral"], parts = self.vocoding.loss(estimate, target)
        balanced = self.balancer.gradient(losses, estimate)
        self.vocoding.descent.step((balanced * estimate).sum(), rate=rate, step=step - self.options.alone)
        figures |= {f"norm_{name}": norm for name, norm in self.balancer.norms.items()}
        return figures | {name: value.item() for name, value in {**losses, **parts}.items()}

    def state(self) -> dict[str, Any]:
        """Return weights, averages, both optimizers, and the balancer's norms."""
        return {
            "decoder": self.vocoding.state(),
            "adversary": self.adversary.state(),
            "balancer": self.balancer.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.vocoding.load_state(state["decoder"])
        self.adversary.load_state(state["adversary"])
        self.balancer.load_state(state["balancer"])
