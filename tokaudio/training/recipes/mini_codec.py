"""The recipe of `mini-codec`: fetch, prepare, train.

Run as

    python -m tokaudio.training.recipes.mini_codec prepare --voices VOICES --work WORK
    python -m tokaudio.training.recipes.mini_codec train --work WORK

Both can be interrupted and repeated; training goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from tokaudio.nn.spectral_codec import SpectralCodecShape
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.training.augment import Augmentation
from tokaudio.training.loop import Loop, Schedule
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.speech_pool import prepare
from tokaudio.training.reconstruction import ReconstructionOptions, ReconstructionTraining, SpectralCodecNets

SHAPE = SpectralCodecShape()
SEED = 20
# Isolated words are short and many; sentences teach more per second.
SOURCE_WEIGHTS = {"voices-keyword": 0.3}


def quantizer() -> ResidualVectorQuantizer:
    """Return the untrained quantizer: 8 codebooks of 1024, moving averages, dropout on a third of the items."""
    return ResidualVectorQuantizer(SHAPE.latent_dim, 1024, num_codebooks=8, dropout=0.33, seed=SEED)


def training(pool: AudioPool) -> ReconstructionTraining:
    """Return the training, at its start."""
    torch.manual_seed(SEED)
    return ReconstructionTraining(
        SpectralCodecNets(SHAPE, quantizer()),
        pool,
        options=ReconstructionOptions(),
        augmentation=Augmentation(),
        hop_length=SHAPE.hop_length,
    )


def main() -> None:
    """Parse the command line and run one stage."""
    parser = argparse.ArgumentParser(description="Train mini-codec.")
    parser.add_argument("stage", choices=("prepare", "train"))
    parser.add_argument("--work", type=Path, required=True, help="folder of downloads, pool and checkpoints")
    parser.add_argument("--voices", type=Path, help="folder of the labelled voices (prepare)")
    parser.add_argument("--steps", type=int, default=16_000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.stage == "prepare":
        if options.voices is None:
            parser.error("prepare needs --voices")
        clips = prepare(options.work / "pool", voices=options.voices, downloads=options.work / "downloads")
        print(f"{len(clips)} clips, {sum(clip.length for clip in clips) / 16_000 / 3600:.2f} h")
        return
    torch.set_num_threads(options.threads)
    pool = AudioPool(options.work / "pool", weights=SOURCE_WEIGHTS)
    loop = Loop(options.work / "run", training(pool), Schedule(options.steps, peak=options.rate), seed=SEED)
    print(f"{pool.seconds / 3600:.2f} h of audio; starting at step {loop.resume()}", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
