"""The recipe of `mini-hybrid`: `mini-codec` whose first codebook is taught what `mini-semantic` hears.

Starts from the weights that the recipe `mini_codec_tuning` left. The encoder gets one more block and 64 more latent
dimensions: it learns to give there what the encoder of `mini-semantic` hears (a student of the Whisper tiny.en encoder
that was told phones), and goes on giving the old dimensions. The first codebook then quantizes the new dimensions, and
its vectors say, besides, what the old ones are on average beside them; seven more quantize what that leaves of the old
ones. Last, everything is trained together, the new dimensions by their teacher alone.

Run as

    python -m tokaudio.training.recipes.mini_hybrid distil --work WORK --start CHECKPOINT --steps 3000
    python -m tokaudio.training.recipes.mini_hybrid train --work WORK --start CHECKPOINT --steps 5000
    python -m tokaudio.training.recipes.mini_hybrid export --work WORK --out FOLDER

Both trainings can be interrupted and repeated; they go on from their last checkpoint. The distillation to the first
codebook is that of SpeechTokenizer (arXiv:2308.16692), with the squared distance in a space where the spread within
phones is the same in all directions.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.atomic import atomic_write
from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralEncoder
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.spec import CodebookSpec
from tokaudio.tokenizers import SpectralCodec, Tokenizer
from tokaudio.tokenizers.card import model_card
from tokaudio.tokenizers.self_check import write_self_check
from tokaudio.training.augment import Augmentation, draw
from tokaudio.training.checkpoint import CHECKPOINT, read_checkpoint
from tokaudio.training.descent import Descent, averaged_weights
from tokaudio.training.loop import Loop, Schedule
from tokaudio.training.losses import SpectralLoss
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.mini_codec import SEED, SOURCE_WEIGHTS
from tokaudio.training.recipes.mini_codec import SPEC as CODEC_SPEC
from tokaudio.training.recipes.mini_codec_tuning import SHAPE as CODEC_SHAPE
from tokaudio.training.recipes.mini_codec_tuning import Listener, TuningOptions
from tokaudio.training.recipes.mini_semantic import PHONE_WIDTH
from tokaudio.training.reconstruction import SpectralCodecNets

# Latent dimensions of the sound, which come first, and of the content; codewords are as wide as either.
WIDTH = CODEC_SHAPE.latent_dim
SHAPE = dataclasses.replace(CODEC_SHAPE, latent_dim=2 * WIDTH, encoder_blocks=CODEC_SHAPE.encoder_blocks + 1)
SPEC = dataclasses.replace(
    CODEC_SPEC,
    name="mini-hybrid",
    kind="hybrid",
    codebooks=tuple(CodebookSpec(1024, role="acoustic" if number else "semantic") for number in range(8)),
    origin="trained with tokaudio.training.recipes.mini_hybrid",
)
QUANTIZER = {"codebook_size": 1024, "num_codebooks": 8, "codebook_dim": WIDTH}


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


def latents(encoder: SpectralEncoder, signal: Tensor, hop_length: int) -> Tensor:
    """Return latents `[B, D, T]` of signals `[B, S]`, with silence before and after them."""
    edge = encoder.reach * hop_length + encoder.context
    found: Tensor = encoder(F.pad(signal, (edge, edge)))
    return found[:, :, encoder.reach : found.shape[2] - encoder.reach].float()


def relative(estimate: Tensor, target: Tensor) -> Tensor:
    """Return the squared distance of `[B, D, T]` as a share of the target's variance over the batch."""
    spread = target.var(dim=(0, 2), keepdim=True).mean()
    return (estimate - target).square().mean() / spread


class Distilling:
    """Teaches an encoder the content beside what it gives already; a `Trainable` for the loop.

    Args:
        encoder: with 2 D latent dimensions, of which the first D are to stay.
        known: the encoder that gives these; stays as it is.
        teacher: hears the content; its first dimensions are taught.
        pool: of speech.
        options: batch and weights.
        augmentation: of what both hear.
    """

    def __init__(
        self,
        encoder: SpectralEncoder,
        known: SpectralEncoder,
        teacher: Listener,
        pool: AudioPool,
        *,
        options: DistillingOptions = DistillingOptions(),
        augmentation: Augmentation = Augmentation(),
        hop_length: int = SHAPE.hop_length,
    ) -> None:
        self.encoder, self.known, self.teacher, self.pool = encoder, known.eval().requires_grad_(False), teacher, pool
        self.options, self.augmentation, self.hop_length = options, augmentation, hop_length
        self.descent = Descent(encoder)

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one optimizer step."""
        options = self.options
        self.encoder.train()
        length = options.crop_frames * self.hop_length
        signal = torch.stack([draw(self.pool, generator, length, self.augmentation) for _ in range(options.batch)])
        with torch.autocast("cpu", torch.bfloat16, enabled=options.half):
            with torch.no_grad():
                wanted, kept = content(self.teacher, signal), latents(self.known, signal, self.hop_length)
            found = latents(self.encoder, signal, self.hop_length)
        sound, heard = found.split([kept.shape[1], found.shape[1] - kept.shape[1]], dim=1)
        parts = {"taught": relative(heard, wanted), "kept": relative(sound, kept)}
        self.descent.step(parts["taught"] + options.keeping * parts["kept"], rate=rate, step=step)
        return {name: value.item() for name, value in parts.items()}

    def state(self) -> dict[str, Any]:
        """Return weights, averages and optimizer."""
        return self.descent.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.descent.load_state(state)


def content(teacher: Listener, signal: Tensor, width: int = WIDTH) -> Tensor:
    """Return what a teacher hears of the content `[B, D, T]`, zeros where it has fewer dimensions."""
    heard = teacher.hear(signal)[:, : min(PHONE_WIDTH, width)]
    return F.pad(heard, (0, 0, 0, width - heard.shape[1]))
