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

Both trainings can be interrupted and repeated; they go on from their last checkpoint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralEncoder
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.quantizers.vector import VectorQuantizer
from tokaudio.spec import CodebookSpec
from tokaudio.tokenizers import SpectralCodec
from tokaudio.training.augment import Augmentation, draw
from tokaudio.training.checkpoint import CHECKPOINT, read_checkpoint
from tokaudio.training.descent import averaged_weights
from tokaudio.training.loop import Schedule
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.mini_codec import SEED
from tokaudio.training.recipes.mini_codec import SPEC as CODEC_SPEC
from tokaudio.training.recipes.mini_codec_tuning import SHAPE as CODEC_SHAPE
from tokaudio.training.recipes.mini_codec_tuning import Listener, mini_semantic
from tokaudio.training.recipes.mini_hybrid_card import about_mini_hybrid
from tokaudio.training.recipes.mini_hybrid_stages import Distilling, DistillingOptions, HybridOptions, HybridTraining
from tokaudio.training.recipes.stages import (
    parse_stage,
    pool_of,
    results_of,
    run_stage,
    stage_parser,
    write_codec,
)
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
QUANTIZER: dict[str, Any] = {"codebook_size": 1024, "num_codebooks": 8, "codebook_dim": WIDTH}


def widened(shape: SpectralCodecShape, weights: Mapping[str, Tensor], *, seed: int = SEED) -> SpectralCodecNets:
    """Return networks of twice the latent dimensions that say what those of `weights` say.

    Blocks that `weights` lack change nothing at first, and the decoder does not hear the new dimensions. The maps to
    and from the codewords pick one half of the dimensions, and only the first codebook's way back learns.

    Args:
        shape: of the new networks.
        weights: of encoder and decoder, with half the latent dimensions, and other names, which are ignored.
        seed: of what is new.
    """
    torch.manual_seed(seed)
    quantizer = ResidualVectorQuantizer(shape.latent_dim, **QUANTIZER, decay=0.995, seed=seed)
    nets = SpectralCodecNets(shape, quantizer)
    half = shape.latent_dim // 2
    merged = {}
    for name, value in nets.state_dict().items():
        known = weights.get(name)
        if name.startswith("quantizer.") or (known is None and not name.endswith(".scale")):
            merged[name] = value
            continue
        mute = known is None or name.startswith("decoder.")
        merged[name] = torch.zeros_like(value) if mute else value.clone()
        if known is not None:
            merged[name][tuple(slice(0, size) for size in known.shape)] = known
    nets.load_state_dict(merged)
    pick = torch.eye(shape.latent_dim)
    for number, level in enumerate(quantizer.levels):
        rows = pick[:half] if number else pick[half:]
        _set(level.down, rows, torch.zeros(half))
        _set(level.up, rows.T, torch.zeros(2 * half))
        level.down.requires_grad_(False)
        level.up.requires_grad_(number == 0)
    return nets


@torch.no_grad()
def _set(layer: nn.Module | Tensor, weight: Tensor, bias: Tensor) -> None:
    assert isinstance(layer, nn.Linear) and layer.bias is not None
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)


@torch.no_grad()
def settle(quantizer: ResidualVectorQuantizer, rows: Tensor) -> None:
    """Set the codebooks from latents `[N, 2 D]`, and what the first one's vectors say of the sound beside the content.

    That is the least-squares estimate of the sound's dimensions from the codeword. The others quantize what it leaves.
    """
    first, half = quantizer.levels[0], rows.shape[1] // 2
    assert isinstance(first, VectorQuantizer)
    first.initialise(rows)
    words = first.book.lookup(first.search(rows.T[None])[0])
    known = torch.cat([words, torch.ones(len(words), 1)], dim=1).double()
    ridge = 1e-3 * len(words) * torch.eye(known.shape[1], dtype=torch.float64)
    found = torch.linalg.solve(known.T @ known + ridge, known.T @ rows[:, :half].double()).float()
    zeros = torch.zeros(half)
    _set(first.up, torch.cat([found[:-1].T, torch.eye(half)]), torch.cat([found[-1], zeros]))
    # The first codebook is found once more, by the same random numbers.
    quantizer.initialise(rows)


def codec_weights(checkpoint: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a run of `mini_codec_tuning`."""
    return averaged_weights(read_checkpoint(checkpoint)["trainable"])


def known_encoder(weights: Mapping[str, Tensor], shape: SpectralCodecShape = CODEC_SHAPE) -> Listener:
    """Return the encoder of such weights."""
    encoder = SpectralEncoder(shape)
    parts = {name.removeprefix("encoder."): value for name, value in weights.items() if name.startswith("encoder.")}
    encoder.load_state_dict(parts)
    return Listener(encoder)


@torch.no_grad()
def start_training(nets: SpectralCodecNets, distilled: Path, pool: AudioPool, *, crops: int, frames: int) -> None:
    """Give the networks the encoder of a distillation, and set the codebooks from random crops."""
    nets.encoder.load_state_dict(averaged_weights(read_checkpoint(distilled)["trainable"]))
    nets.eval()
    generator = torch.Generator().manual_seed(SEED)
    rows = []
    for _ in range(crops):
        signal = draw(pool, generator, frames * SHAPE.hop_length, Augmentation())
        rows.append(nets.encode(signal[None])[0].T)
    settle(nets.quantizer, torch.cat(rows))


def export(weights: Mapping[str, Tensor], out: Path, *, about: str = "") -> SpectralCodec:
    """Write weights, rounded to float16, as a tokenizer folder."""
    return write_codec(SpectralCodec(SPEC, SHAPE, "rvq", QUANTIZER), weights, out, about=about)


def distil(work: Path, checkpoint: Path, schedule: Schedule, pool: AudioPool, teacher: Listener) -> None:
    """Run the first stage in `WORK/distilled`."""
    weights = codec_weights(checkpoint)
    nets, known = widened(SHAPE, weights), known_encoder(weights)
    options, augmentation = DistillingOptions(), Augmentation()
    stage = Distilling(nets, known, teacher, pool, options=options, augmentation=augmentation)
    run_stage(work / "distilled", stage, schedule, pool, seed=SEED + 3)


def train(work: Path, checkpoint: Path, schedule: Schedule, pool: AudioPool, teacher: Listener) -> None:
    """Run the second stage in `WORK/hybrid`."""
    nets, run = widened(SHAPE, codec_weights(checkpoint)), work / "hybrid"
    options = HybridOptions()
    if not (run / CHECKPOINT).is_file():
        start_training(nets, work / "distilled" / CHECKPOINT, pool, crops=240, frames=options.crop_frames)
    stage = HybridTraining(nets, teacher, pool, options=options, augmentation=Augmentation())
    run_stage(run, stage, schedule, pool, seed=SEED + 4)


def main() -> None:
    """Parse the command line, and train or export."""
    parser = stage_parser(
        "Make mini-hybrid from mini-codec.",
        stages=("distil", "train", "export"),
        start="mini_codec_tuning",
        results="benchmarks/mini_hybrid.py",
        steps=3_000,
    )
    parser.add_argument("--codec-steps", type=int, default=16_000 + 5_600, help="steps of the start, for the card")
    parser.add_argument("--rate", type=float, help="default: 2e-3 (distil), 4e-4 (train)")
    options = parse_stage(parser)
    pool = pool_of(options)
    if options.stage == "export":
        runs = {name: read_checkpoint(options.work / name / CHECKPOINT) for name in ("distilled", "hybrid")}
        steps = {"codec": options.codec_steps} | {name: int(saved["done"]) for name, saved in runs.items()}
        about = about_mini_hybrid(pool, steps, results_of(options))
        print(export(averaged_weights(runs["hybrid"]["trainable"]), options.out, about=about).fingerprint)
        return
    torch.set_num_threads(1)
    stage, rate = (distil, 2e-3) if options.stage == "distil" else (train, 4e-4)
    schedule = Schedule(options.steps, warmup=100, peak=options.rate or rate, final=0.05)
    stage(options.work, options.start, schedule, pool, mini_semantic())


if __name__ == "__main__":
    main()
