"""How the vocoder of `mini-semantic` learns to sound natural: against discriminators, its units as they are.

Run as

    python -m tokaudio.training.recipes.mini_semantic_adversary train --work WORK --start CHECKPOINT
    python -m tokaudio.training.recipes.mini_semantic_adversary export --work WORK --out FOLDER

WORK is the folder of the recipe `mini_semantic`, whose steps up to `vocode` come before; CHECKPOINT is what that one
left.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tokaudio.training.adversarial import Adversary
from tokaudio.training.checkpoint import CHECKPOINT, read_checkpoint
from tokaudio.training.descent import averaged_weights
from tokaudio.training.discriminators import Discriminators
from tokaudio.training.loop import Schedule
from tokaudio.training.recipes.mini_codec_adversary import JUDGES, LEAST_SQUARES
from tokaudio.training.recipes.mini_codec_tuning import Listener
from tokaudio.training.recipes.mini_semantic import SEED, Recipe, steps_of
from tokaudio.training.recipes.mini_semantic_card import about_mini_semantic
from tokaudio.training.recipes.stages import parse_stage, pool_of, results_of, run_stage, stage_parser, write_codec
from tokaudio.training.vocoding import VocoderTraining, VocodingOptions
from tokaudio.training.vocoding_adversary import AdversarialVocoding

RUN = "adversary"


def training(recipe: Recipe, start: Path, *, judges: Discriminators, options: VocodingOptions) -> AdversarialVocoding:
    """Return the training; its decoder begins with the averaged weights of a run of `mini_semantic vocode`."""
    units = recipe.units()
    units.decoder.load_state_dict(averaged_weights(read_checkpoint(start)["trainable"]))
    vocoding = VocoderTraining(
        units.decoder.train().requires_grad_(),
        units.quantizer,
        recipe.pool(),
        torch.from_numpy(np.load(recipe.work / "codes.npy")),
        options=options,
        hop_length=recipe.shape.hop_length,
    )
    return AdversarialVocoding(vocoding, Adversary(judges, options=LEAST_SQUARES), Listener(units.encoder))


def main() -> None:
    """Parse the command line and train, or export what was trained."""
    parser = stage_parser(
        "Train the vocoder of mini-semantic against discriminators.",
        start="mini_semantic",
        results="benchmarks/semantic_quality.py",
        steps=4_000,
    )
    parser.add_argument("--rate", type=float, default=4e-4)
    options = parse_stage(parser)
    recipe, run = Recipe(options.work), options.work / RUN
    if options.stage == "export":
        steps = {name: steps_of(recipe, name) for name in ("student", "phones", "vocoder", RUN)}
        codec = recipe.units()
        decoder = averaged_weights(read_checkpoint(run / CHECKPOINT)["trainable"]["decoder"])
        weights = codec.state_dict() | {f"decoder.{name}": value for name, value in decoder.items()}
        about = about_mini_semantic(recipe.pool(), steps, results_of(options))
        print(write_codec(codec, weights, options.out, about=about).fingerprint)
        return
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    judged = training(
        recipe, options.start, judges=Discriminators(JUDGES), options=VocodingOptions(batch=6, crop_frames=50)
    )
    schedule = Schedule(options.steps, warmup=200, peak=options.rate, final=0.05)
    run_stage(run, judged, schedule, pool_of(options), seed=SEED + 2)


if __name__ == "__main__":
    main()
