"""How `mini-codec` is made better than reconstruction alone made it: a deeper decoder, few codebooks heard more often.

Starts from the weights that the recipe `mini_codec` left. The decoder grows without changing what it says: new blocks
begin as the identity, new hidden units unheard. Most items then use a few codebooks only, and beside the spectral
losses the reconstruction must sound the same to the encoder of `mini-semantic`, which knows phones.

Run as

    python -m tokaudio.training.recipes.mini_codec_tuning train --work WORK --start CHECKPOINT --steps 9000
    python -m tokaudio.training.recipes.mini_codec_tuning export --work WORK --out FOLDER
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralEncoder, pad_context
from tokaudio.quantizers.codebook import Codebook
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.tokenizers import SpectralCodec, Tokenizer
from tokaudio.training.augment import Augmentation, draw
from tokaudio.training.checkpoint import CHECKPOINT, read_checkpoint
from tokaudio.training.descent import Descent, averaged_weights
from tokaudio.training.loop import Schedule
from tokaudio.training.losses import SpectralLoss, SpectralLossWeights
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.mini_codec import QUANTIZER, SEED, SPEC
from tokaudio.training.recipes.mini_codec import SHAPE as SMALL
from tokaudio.training.recipes.stages import parse_stage, pool_of, run_stage, stage_parser, write_codec
from tokaudio.training.reconstruction import SpectralCodecNets

SHAPE = dataclasses.replace(SMALL, decoder_blocks=6, decoder_expansion=2.5)
WEIGHTS = SpectralLossWeights(mel=2.0, magnitude=8.0, complex=2.0)
# How often an item uses 1, 2, ... 8 codebooks.
DEPTHS = (0.06, 0.12, 0.24, 0.10, 0.06, 0.06, 0.04, 0.32)


@dataclass(frozen=True, slots=True)
class TuningOptions:
    """Choices of the tuning.

    Attributes:
        batch: crops per step.
        crop_frames: frames per crop.
        heard: of these crops, how many the listener compares.
        commitment: weight of the quantizer's loss.
        listening: weight of the distance in the listener's features.
        weights: of the spectral losses.
        depths: chances of using 1, 2, ... K codebooks.
        half: multiply in bfloat16.
    """

    batch: int = 6
    crop_frames: int = 120
    heard: int = 4
    commitment: float = 1.0
    listening: float = 1.5
    weights: SpectralLossWeights = WEIGHTS
    depths: tuple[float, ...] = DEPTHS
    half: bool = True


class Listener(nn.Module):
    """The frozen encoder of a tokenizer, in whose features sounds are compared.

    Args:
        encoder: which stays as it is.
    """

    def __init__(self, encoder: SpectralEncoder) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)

    def hear(self, signal: Tensor) -> Tensor:
        """Return features `[B, D, T]` of signals `[B, S]`."""
        features: Tensor = self.encoder(pad_context(signal, self.encoder.context))
        return features.float()

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Return the squared distance of the features, relative to their variance over the batch."""
        with torch.no_grad():
            wanted = self.hear(target)
            spread = wanted.var(dim=(0, 2), keepdim=True).mean()
        return (self.hear(estimate) - wanted).square().mean() / spread


def mini_semantic() -> Listener:
    """Return a listener that hears as the shipped `mini-semantic` does."""
    semantic = Tokenizer.from_pretrained("mini-semantic")
    assert isinstance(semantic, SpectralCodec)
    return Listener(semantic.encoder)


class TuningTraining:
    """Trains all parts together; a `Trainable` for the loop."""

    def __init__(
        self,
        nets: SpectralCodecNets,
        listener: Listener,
        pool: AudioPool,
        *,
        options: TuningOptions,
        augmentation: Augmentation,
        hop_length: int = SHAPE.hop_length,
    ) -> None:
        self.nets, self.listener, self.pool = nets, listener, pool
        self.options, self.augmentation = options, augmentation
        self.hop_length, self.crop = hop_length, options.crop_frames * hop_length
        self.loss = SpectralLoss(pool.sample_rate)
        self.descent = Descent(nets)
        self.depths = torch.tensor(options.depths)

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one optimizer step."""
        options = self.options
        self.nets.train()
        crops = [draw(self.pool, generator, self.crop, self.augmentation) for _ in range(options.batch)]
        signal = torch.stack(crops)
        depth = 1 + torch.multinomial(self.depths, options.batch, replacement=True, generator=generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.half):
            latents = self.latents(signal)
        out = self.nets.quantizer(latents, num_codebooks=depth)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.half):
            estimate = self.sound(out.quantized)
            listened = self.listener(estimate[: options.heard], signal[: options.heard])
        loss, parts = self.loss(estimate, signal, weights=options.weights)
        self.descent.step(loss + options.commitment * out.loss + options.listening * listened, rate=rate, step=step)
        figures = {"loss": loss.item(), "listened": listened.item(), "commitment": out.loss.item()}
        return figures | {name: value.item() for name, value in {**parts, **out.stats}.items()}

    def latents(self, signal: Tensor) -> Tensor:
        """Return latents `[B, D, T]` of signals `[B, S]`, with silence before and after them."""
        encoder = self.nets.encoder
        edge = encoder.reach * self.hop_length + encoder.context
        latents: Tensor = encoder(F.pad(signal, (edge, edge)))
        return latents[:, :, encoder.reach : latents.shape[2] - encoder.reach].float()

    def sound(self, quantized: Tensor) -> Tensor:
        """Return signals `[B, S]` of vectors `[B, D, T]` with frames of zeros around them, as decoding has."""
        decoder = self.nets.decoder
        signal: Tensor = decoder(F.pad(quantized, (decoder.reach, decoder.reach)))
        edge = decoder.context + decoder.reach * self.hop_length
        return signal[:, edge : signal.shape[1] - edge]

    def _codebooks(self) -> list[Codebook]:
        return [module for module in self.nets.modules() if isinstance(module, Codebook)]

    def state(self) -> dict[str, Any]:
        """Return weights, averages, optimizer and codebook statistics."""
        return self.descent.state() | {"codebooks": [book.learning_state() for book in self._codebooks()]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.descent.load_state(state)
        for book, saved in zip(self._codebooks(), state["codebooks"], strict=True):
            book.load_learning_state(saved)


def grown(nets: SpectralCodecNets, state: Mapping[str, Tensor]) -> SpectralCodecNets:
    """Load the weights of smaller networks, so that the larger ones compute the same.

    Hidden units that the smaller ones lack are not heard at first, and blocks that they lack change nothing.
    """
    merged = {}
    for name, value in nets.state_dict().items():
        known = state.get(name)
        mute = name.endswith(".scale") if known is None else name.endswith(".narrow.weight")
        merged[name] = torch.zeros_like(value) if mute else value.clone()
        if known is not None:
            merged[name][tuple(slice(0, size) for size in known.shape)] = known
    nets.load_state_dict(merged)
    return nets


def quantizer() -> ResidualVectorQuantizer:
    """Return the quantizer: 8 codebooks of 1024 that learn more slowly than at first."""
    return ResidualVectorQuantizer(SHAPE.latent_dim, 1024, num_codebooks=8, decay=0.995, seed=SEED)


def start(checkpoint: Path, shape: SpectralCodecShape = SHAPE) -> SpectralCodecNets:
    """Return networks of `shape` that compute what the averaged weights of a run of `mini_codec` do."""
    saved = read_checkpoint(checkpoint)["trainable"]
    state = {name: saved["averaged"].get(name, value) for name, value in saved["nets"].items()}
    torch.manual_seed(SEED)
    return grown(SpectralCodecNets(shape, quantizer()), state)


def export(state: Mapping[str, Tensor], out: Path, *, about: str = "") -> SpectralCodec:
    """Write weights, rounded to float16, as a tokenizer folder."""
    return write_codec(SpectralCodec(SPEC, SHAPE, "rvq", QUANTIZER), state, out, about=about)


def stage(steps: int) -> str:
    """Return what the card says of this training.

    Example:
        >>> stage(5_600).startswith("5,600 steps of all parts with a deeper decoder")
        True
    """
    return (
        f"{steps:,} steps of all parts with a deeper decoder, few codebooks heard more often, and with the distance in "
        "the features of mini-semantic beside the spectral losses (recipe `mini_codec_tuning`)."
    )


def main() -> None:
    """Parse the command line and train, or export what was trained."""
    parser = stage_parser("Tune mini-codec.", start="mini_codec", steps=9_000)
    parser.add_argument("--rate", type=float, default=6e-4)
    options = parse_stage(parser)
    run = options.work / "tuned"
    if options.stage == "export":
        saved = read_checkpoint(run / CHECKPOINT)["trainable"]
        print(export(averaged_weights(saved), options.out).fingerprint)
        return
    torch.set_num_threads(1)
    pool = pool_of(options)
    training = TuningTraining(
        start(options.start), mini_semantic(), pool, options=TuningOptions(), augmentation=Augmentation()
    )
    schedule = Schedule(options.steps, warmup=200, peak=options.rate, final=0.05)
    run_stage(run, training, schedule, pool, seed=SEED + 1)


if __name__ == "__main__":
    main()
