"""The recipe of `mini-codec`: fetch, prepare, train, export.

Run as

    python -m tokaudio.training.recipes.mini_codec prepare --voices VOICES --work WORK
    python -m tokaudio.training.recipes.mini_codec train --work WORK
    python -m tokaudio.training.recipes.mini_codec export --work WORK --out FOLDER

All can be interrupted and repeated; training goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from tokaudio.nn.spectral_codec import SpectralCodecShape
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers import SpectralCodec
from tokaudio.training.augment import Augmentation
from tokaudio.training.checkpoint import CHECKPOINT, read_checkpoint
from tokaudio.training.loop import Schedule
from tokaudio.training.losses import SpectralLossWeights
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.mini_codec_card import about_mini_codec
from tokaudio.training.recipes.speech_pool import SOURCE_WEIGHTS, prepare
from tokaudio.training.recipes.stages import results_of, run_stage, write_codec
from tokaudio.training.reconstruction import ReconstructionOptions, ReconstructionTraining, SpectralCodecNets

SHAPE = SpectralCodecShape()
QUANTIZER: dict[str, Any] = {"codebook_size": 1024, "num_codebooks": 8}
SEED = 20
SPEC = TokenizerSpec(
    name="mini-codec",
    kind="compression",
    sample_rate=16_000,
    hop_length=SHAPE.hop_length,
    codebooks=(CodebookSpec(1024),) * 8,
    chunking="exact",
    licence="apache-2.0",
    origin="trained with tokaudio.training.recipes.mini_codec",
)
# First the waveform leads, which teaches phase quickly; then the envelope, by which speech is understood.
WEIGHTS = (
    (0, SpectralLossWeights(mel=0.4, magnitude=8.0, complex=12.0)),
    (5_500, SpectralLossWeights(mel=1.6, magnitude=8.0, complex=3.0)),
    (7_500, SpectralLossWeights(mel=2.0, magnitude=8.0, complex=1.0)),
)


def quantizer() -> ResidualVectorQuantizer:
    """Return the untrained quantizer: 8 codebooks of 1024, moving averages, dropout on a third of the items."""
    return ResidualVectorQuantizer(SHAPE.latent_dim, 1024, num_codebooks=8, dropout=0.33, seed=SEED)


def training(pool: AudioPool) -> ReconstructionTraining:
    """Return the training, at its start."""
    torch.manual_seed(SEED)
    return ReconstructionTraining(
        SpectralCodecNets(SHAPE, quantizer()),
        pool,
        options=ReconstructionOptions(weights=WEIGHTS),
        augmentation=Augmentation(),
        hop_length=SHAPE.hop_length,
    )


def export(run: Path, out: Path, *, about: str = "") -> SpectralCodec:
    """Write the averaged weights of a run's last checkpoint, rounded to float16, as a tokenizer folder."""
    saved = read_checkpoint(run / CHECKPOINT)["trainable"]
    state = {name: saved["averaged"].get(name, value) for name, value in saved["nets"].items()}
    return write_codec(SpectralCodec(SPEC, SHAPE, "rvq", QUANTIZER), state, out, about=about)


def stage(steps: int) -> str:
    """Return what the card says of this training.

    Example:
        >>> stage(16_000)
        '16,000 steps of all parts with spectral losses, without discriminators (recipe `mini_codec`).'
    """
    return f"{steps:,} steps of all parts with spectral losses, without discriminators (recipe `mini_codec`)."


def main() -> None:
    """Parse the command line and run one stage."""
    parser = argparse.ArgumentParser(description="Train mini-codec.")
    parser.add_argument("stage", choices=("prepare", "train", "export"))
    parser.add_argument("--work", type=Path, required=True, help="folder of downloads, pool and checkpoints")
    parser.add_argument("--voices", type=Path, help="folder of the labelled voices (prepare)")
    parser.add_argument("--steps", type=int, default=16_000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder of the exported tokenizer (export)")
    parser.add_argument("--results", type=Path, help="JSON of benchmarks/intelligibility.py, for the card (export)")
    options = parser.parse_args()
    if options.stage == "prepare":
        if options.voices is None:
            parser.error("prepare needs --voices")
        clips = prepare(options.work / "pool", voices=options.voices, downloads=options.work / "downloads")
        print(f"{len(clips)} clips, {sum(clip.length for clip in clips) / 16_000 / 3600:.2f} h")
        return
    if options.stage == "export":
        if options.out is None:
            parser.error("export needs --out")
        steps = read_checkpoint(options.work / "run" / CHECKPOINT)["done"]
        about = about_mini_codec(AudioPool(options.work / "pool"), [stage(steps)], results_of(options))
        print(export(options.work / "run", options.out, about=about).fingerprint)
        return
    torch.set_num_threads(options.threads)
    pool = AudioPool(options.work / "pool", weights=SOURCE_WEIGHTS)
    run_stage(options.work / "run", training(pool), Schedule(options.steps, peak=options.rate), pool, seed=SEED)


if __name__ == "__main__":
    main()
