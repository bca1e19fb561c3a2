"""The two stages of the recipe of `mini-hybrid`: an encoder that is taught the content, and all parts together.

Both compare what the encoder gives in its later latent dimensions with what a teacher hears, by the squared distance in
a space where the spread within phones is the same in all directions. The distillation to the first codebook is that of
SpeechTokenizer (arXiv:2308.16692).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.training.augment import Augmentation, draw
from tokaudio.training.descent import Descent
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.mini_codec_tuning import SHAPE as CODEC_SHAPE
from tokaudio.training.recipes.mini_codec_tuning import Listener, TuningOptions, TuningTraining
from tokaudio.training.recipes.mini_semantic import PHONE_WIDTH
from tokaudio.training.reconstruction import SpectralCodecNets


@dataclass(frozen=True, slots=True)
class DistillingOptions:
    """Choices of the first stage.

    Attributes:
        batch: crops per step.
        crop_frames: frames per crop.
        keeping: weight of the distance of the old dimensions from what they were, as a share of their variance.
        half: multiply in bfloat16.
    """

    batch: int = 10
    crop_frames: int = 120
    keeping: float = 1.0
    half: bool = True


def relative(estimate: Tensor, target: Tensor) -> Tensor:
    """Return the squared distance of `[B, D, T]` as a share of the target's variance over the batch."""
    spread = target.var(dim=(0, 2), keepdim=True).mean()
    return (estimate - target).square().mean() / spread


class Distilling:
    """Teaches an encoder the content beside what it gives already; a `Trainable` for the loop.

    Args:
        nets: whose encoder learns; the first D of its latent dimensions are to stay.
        known: the encoder that gives these; stays as it is.
        teacher: hears the content.
        pool: of speech.
        options: batch and weights.
        augmentation: of what all of them hear.
        hop_length: samples per frame.
    """

    def __init__(
        self,
        nets: SpectralCodecNets,
        known: Listener,
        teacher: Listener,
        pool: AudioPool,
        *,
        options: DistillingOptions,
        augmentation: Augmentation,
        hop_length: int = CODEC_SHAPE.hop_length,
    ) -> None:
        self.nets, self.known, self.teacher, self.pool = nets, known, teacher, pool
        self.options, self.augmentation, self.length = options, augmentation, options.crop_frames * hop_length
        self.descent = Descent(nets.encoder)

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one optimizer step."""
        options = self.options
        self.nets.encoder.train()
        signal = torch.stack([draw(self.pool, generator, self.length, self.augmentation) for _ in range(options.batch)])
        with torch.autocast("cpu", torch.bfloat16, enabled=options.half):
            with torch.no_grad():
                kept = self.known.hear(signal)
                wanted = content(self.teacher.hear(signal), kept.shape[1])
            found = self.nets.encode(signal).float()
        parts = {
            "taught": relative(found[:, kept.shape[1] :], wanted),
            "kept": relative(found[:, : kept.shape[1]], kept),
        }
        self.descent.step(parts["taught"] + options.keeping * parts["kept"], rate=rate, step=step)
        return {name: value.item() for name, value in parts.items()}

    def state(self) -> dict[str, Any]:
        """Return weights, averages and optimizer."""
        return self.descent.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.descent.load_state(state)


@dataclass(frozen=True, slots=True)
class HybridOptions(TuningOptions):
    """Choices of the second stage.

    Attributes:
        taught: weight of the distance of the content from the teacher's, as a share of its variance.
    """

    taught: float = 2.0


class HybridTraining(TuningTraining):
    """Trains all parts together; the content's dimensions hear their teacher and no other loss.

    The encoder's listener is also the teacher.
    """

    options: HybridOptions

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one optimizer step."""
        options = self.options
        self.nets.train()
        signal = torch.stack([draw(self.pool, generator, self.crop, self.augmentation) for _ in range(options.batch)])
        depth = 1 + torch.multinomial(self.depths, options.batch, replacement=True, generator=generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.half):
            sound, heard = self.latents(signal).chunk(2, dim=1)
            with torch.no_grad():
                wanted = self.listener.hear(signal)
        out = self.nets.quantizer(torch.cat([sound, heard.detach()], dim=1), num_codebooks=depth)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.half):
            estimate = self.sound(out.quantized)
            listened = relative(self.listener.hear(estimate[: options.heard]), wanted[: options.heard])
        taught = relative(heard, content(wanted, heard.shape[1]))
        loss, parts = self.loss(estimate, signal, weights=options.weights)
        besides = options.commitment * out.loss + options.listening * listened + options.taught * taught
        self.descent.step(loss + besides, rate=rate, step=step)
        told = {"listened": listened, "taught": taught, "commitment": out.loss}
        return {"loss": loss.item()} | {name: value.item() for name, value in {**told, **parts, **out.stats}.items()}


def content(heard: Tensor, width: int) -> Tensor:
    """Return the content `[B, width, T]` of what `mini-semantic` hears `[B, E, T]`; zeros fill up.

    Example:
        >>> content(torch.ones(1, 320, 5), 64).sum(1).tolist()
        [[50.0, 50.0, 50.0, 50.0, 50.0]]
    """
    part = heard[:, : min(PHONE_WIDTH, width)]
    return F.pad(part, (0, 0, 0, width - part.shape[1]))
