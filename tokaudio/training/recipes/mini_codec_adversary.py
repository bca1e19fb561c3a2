"""How `mini-codec` learns to sound natural: its decoder trained against discriminators, its tokens as they are.

Spectral distances alone leave a decoder that averages over what it cannot know, and the average sounds muffled and
rough. Here the decoder of the recipe `mini_codec_tuning` goes on with discriminators that tell recordings from
reconstructions. Encoder and codebooks are frozen: the codes of every sound stay those of the tuned weights.

Run as

    python -m tokaudio.training.recipes.mini_codec_adversary train --work WORK --start RUN/checkpoint.safetensors
    python -m tokaudio.training.recipes.mini_codec_adversary export --work WORK --out FOLDER --stages 16000 5600
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tokaudio.training.adversarial import Adversary, AdversaryOptions
from tokaudio.training.augment import Augmentation, draw
from tokaudio.training.balancer import GradientBalancer
from tokaudio.training.checkpoint import CHECKPOINT, read_checkpoint
from tokaudio.training.descent import Descent, averaged_weights
from tokaudio.training.discriminators import Discriminators, DiscriminatorSizes
from tokaudio.training.loop import Schedule
from tokaudio.training.losses import SpectralLoss, SpectralLossWeights
from tokaudio.training.phase_loss import PhaseDifferenceLoss
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes import mini_codec
from tokaudio.training.recipes.mini_codec import SEED
from tokaudio.training.recipes.mini_codec_card import about_mini_codec
from tokaudio.training.recipes.mini_codec_tuning import SHAPE, Listener, export, mini_semantic, quantizer
from tokaudio.training.recipes.mini_codec_tuning import stage as tuning_stage
from tokaudio.training.recipes.stages import parse_stage, pool_of, results_of, run_stage, stage_parser
from tokaudio.training.reconstruction import SpectralCodecNets

JUDGES = DiscriminatorSizes(
    periods=(),
    windows=(1024, 512, 256),
    overlap=2,
    spectrum_channels=16,
    bands=((0.0, 0.25), (0.25, 0.5), (0.5, 1.0)),
    power=0.3,
)
WEIGHTS = SpectralLossWeights(mel=2.0, magnitude=6.0, complex=4.0)
SHARES = {"spectral": 1.0, "listened": 0.3, "phase": 0.0, "adversarial": 1.0, "features": 1.0}
LEAST_SQUARES = AdversaryOptions(kind="least-squares", rate=0.5)
# How often an item uses 1, 2, ... 8 codebooks.
DEPTHS = (0.03, 0.08, 0.37, 0.07, 0.05, 0.05, 0.05, 0.30)


@dataclass(frozen=True, slots=True)
class AdversaryTuningOptions:
    """Choices of the tuning.

    Attributes:
        batch: crops per step.
        crop_frames: frames per crop.
        alone: first steps, in which only the discriminators learn.
        shares: of what is sent into the decoder, by loss: `spectral`, `listened`, `phase` (how phases go on;
            the shipped weights were trained without), `adversarial`, `features`.
        weights: of the spectral losses among themselves.
        depths: chances of using 1, 2, ... K codebooks.
        adversary: how the discriminators learn.
        half: multiply in bfloat16.
    """

    batch: int = 6
    crop_frames: int = 60
    alone: int = 150
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    weights: SpectralLossWeights = WEIGHTS
    depths: tuple[float, ...] = DEPTHS
    adversary: AdversaryOptions = LEAST_SQUARES
    half: bool = True


class AdversarialTuning:
    """Trains the decoder of a codec against discriminators; a `Trainable` for the loop."""

    def __init__(
        self,
        nets: SpectralCodecNets,
        listener: Listener,
        pool: AudioPool,
        judges: Discriminators,
        *,
        options: AdversaryTuningOptions,
        augmentation: Augmentation,
        hop_length: int = SHAPE.hop_length,
    ) -> None:
        self.nets, self.listener, self.pool = nets.eval(), listener, pool
        self.options, self.augmentation = options, augmentation
        self.hop_length, self.crop = hop_length, options.crop_frames * hop_length
        nets.encoder.requires_grad_(False)
        nets.quantizer.requires_grad_(False)
        self.loss, self.phase_loss = SpectralLoss(pool.sample_rate), PhaseDifferenceLoss()
        self.descent = Descent(nets.decoder)
        self.adversary = Adversary(judges, options=options.adversary)
        self.balancer = GradientBalancer(options.shares, decay=0.99)
        self.depths = torch.tensor(options.depths)

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one step of the discriminators and, later than the first steps, one of the decoder."""
        options = self.options
        self.nets.decoder.train()
        crops = [draw(self.pool, generator, self.crop, self.augmentation) for _ in range(options.batch)]
        signal = torch.stack(crops)
        quantized = self.quantized(signal, generator)
        # The first and last frames, for which the decoder saw silence where sound went on, are not judged.
        edge = min(self.nets.decoder.reach, options.crop_frames // 6) * self.hop_length
        target = signal[:, edge:-edge]
        # Discriminators hear all crops equally loud.
        level = target.square().mean(1, keepdim=True).sqrt().clamp_min(1e-3)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.half):
            estimate = self.nets.decode(quantized)[:, edge:-edge].float()
            figures = self.adversary.learn(target / level, estimate / level, rate=rate, step=step)
        if step < options.alone:
            return figures
        with torch.autocast("cpu", torch.bfloat16, enabled=options.half):
            losses = self.adversary.losses(target / level, estimate / level)
            losses["listened"] = self.listener(estimate, target)
        if options.shares.get("phase"):
            losses["phase"] = self.phase_loss(estimate, target)
        losses["spectral"], parts = self.loss(estimate, target, weights=options.weights)
        balanced = self.balancer.gradient(losses, estimate)
        self.descent.step((balanced * estimate).sum(), rate=rate, step=step - options.alone)
        figures |= {f"norm_{name}": norm for name, norm in self.balancer.norms.items()}
        return figures | {name: value.item() for name, value in {**losses, **parts}.items()}

    @torch.no_grad()
    def quantized(self, signal: Tensor, generator: torch.Generator) -> Tensor:
        """Return quantized latents `[B, D, T]` of signals `[B, S]`, each item of some of the codebooks."""
        latents = self.nets.encode(signal)
        codes = self.nets.quantizer.encode(latents)
        depth = 1 + torch.multinomial(self.depths, len(signal), replacement=True, generator=generator)
        items = [self.nets.quantizer.decode(code[None, : int(count)]) for code, count in zip(codes, depth, strict=True)]
        return torch.cat(items)

    def state(self) -> dict[str, Any]:
        """Return weights, averages, both optimizers, and the balancer's norms."""
        fixed = {name: value for name, value in self.nets.state_dict().items() if not name.startswith("decoder.")}
        return {
            "fixed": fixed,
            "decoder": self.descent.state(),
            "adversary": self.adversary.state(),
            "balancer": self.balancer.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.nets.load_state_dict(state["fixed"], strict=False)
        self.descent.load_state(state["decoder"])
        self.adversary.load_state(state["adversary"])
        self.balancer.load_state(state["balancer"])


def start(checkpoint: Path) -> SpectralCodecNets:
    """Return the networks with the averaged weights of a run of `mini_codec_tuning`."""
    nets = SpectralCodecNets(SHAPE, quantizer())
    nets.load_state_dict(averaged_weights(read_checkpoint(checkpoint)["trainable"]))
    return nets


def tuned_weights(checkpoint: Path) -> dict[str, Tensor]:
    """Return the weights of a run's checkpoint to keep: the averaged decoder, and what did not change."""
    saved = read_checkpoint(checkpoint)["trainable"]
    decoder = averaged_weights(saved["decoder"])
    return saved["fixed"] | {f"decoder.{name}": value for name, value in decoder.items()}


def stage(steps: int) -> str:
    """Return what the card says of this training.

    Example:
        >>> stage(7_000).startswith("7,000 steps of the decoder against discriminators")
        True
    """
    return (
        f"{steps:,} steps of the decoder against discriminators of compressed complex spectra, encoder and codebooks "
        "as they were (recipe `mini_codec_adversary`)."
    )


def main() -> None:
    """Parse the command line and train, or export what was trained."""
    parser = stage_parser(
        "Train the decoder of mini-codec against discriminators.",
        start="mini_codec_tuning",
        results="benchmarks/intelligibility.py",
        steps=7_000,
    )
    parser.add_argument("--stages", type=int, nargs=2, default=(16_000, 5_600), help="steps before, for the card")
    parser.add_argument("--phase", type=float, default=0.0, help="share of the loss on how phases go on")
    parser.add_argument("--rate", type=float, default=4e-4)
    options = parse_stage(parser)
    run, pool = options.work / "adversary", pool_of(options)
    if options.stage == "export":
        earlier = [told(steps) for told, steps in zip((mini_codec.stage, tuning_stage), options.stages, strict=True)]
        stages = [*earlier, stage(read_checkpoint(run / CHECKPOINT)["done"])]
        about = about_mini_codec(pool, stages, results_of(options))
        print(export(tuned_weights(run / CHECKPOINT), options.out, about=about).fingerprint)
        return
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    training = AdversarialTuning(
        start(options.start),
        mini_semantic(),
        pool,
        Discriminators(JUDGES),
        options=AdversaryTuningOptions(shares=SHARES | {"phase": options.phase}),
        augmentation=Augmentation(),
    )
    schedule = Schedule(options.steps, warmup=200, peak=options.rate, final=0.05)
    run_stage(run, training, schedule, pool, seed=SEED + 2)


if __name__ == "__main__":
    main()
