"""The recipe of `mini-bands`: every codebook has a frequency band of its own.

What is trained, and for how long, is in the preset `mini-bands`, which `tokaudio train` takes with recordings of your
own. Here it hears the pool of the other shipped tokenizers. Run as

    python -m tokaudio.training.recipes.mini_bands train --work WORK --steps 3000
    python -m tokaudio.training.recipes.mini_bands export --work WORK --out FOLDER --steps 3000

The training can be interrupted and repeated; it goes on from its last checkpoint.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from tokaudio.tokenizers.base import Tokenizer
from tokaudio.training.batches import Batches, Crops
from tokaudio.training.codec_training import CodecTraining, make_nets
from tokaudio.training.loop import Loop
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipe import Recipe
from tokaudio.training.recipe_files import read_preset
from tokaudio.training.recipes.mini_bands_card import about_mini_bands
from tokaudio.training.recipes.stages import parse_stage, pool_of, results_of, run_stage, stage_parser
from tokaudio.training.run import save_trained


def plan(steps: int | None = None) -> Recipe:
    """Return the preset, with another number of steps if one is given; its stages begin at the same shares of them.

    Example:
        >>> [stage.from_step for stage in plan(500).losses.spectral]
        [0, 180, 260]
    """
    preset = read_preset("mini-bands")
    if steps is None:
        return preset
    share = steps / preset.schedule.steps
    stages = [dataclasses.replace(stage, from_step=round(stage.from_step * share)) for stage in preset.losses.spectral]
    return dataclasses.replace(
        preset,
        losses=dataclasses.replace(preset.losses, spectral=tuple(stages)),
        schedule=dataclasses.replace(preset.schedule, steps=steps),
    )


def training(recipe: Recipe, pool: AudioPool) -> CodecTraining:
    """Return the training, at its start."""
    nets, choice = make_nets(recipe)
    hop = nets.body.hop_length
    length = round(recipe.data.crop_seconds * pool.sample_rate / hop) * hop
    batches = Batches(Crops(pool, recipe.data, length, recipe.seed), recipe.data.batch)
    return CodecTraining(recipe, nets, choice, batches)


def export(stage: CodecTraining, out: Path, *, about: str = "") -> Tokenizer:
    """Write the averaged weights, rounded to float16, as a tokenizer folder."""
    made = stage.tokenizer("trained with tokaudio.training.recipes.mini_bands")
    save_trained(made, out, about=about, scratch=out.with_name(f".{out.name}"))
    return made


def main() -> None:
    """Parse the command line, and train or export."""
    options = parse_stage(stage_parser("Train mini-bands.", results="benchmarks/mini_bands.py"))
    torch.set_num_threads(1)
    pool, recipe, run = pool_of(options), plan(options.steps), options.work / "bands"
    stage = training(recipe, pool)
    if options.stage == "export":
        done = Loop(run, stage, recipe.schedule, seed=recipe.seed).resume()
        print(export(stage, options.out, about=about_mini_bands(pool, done, results_of(options))).fingerprint)
        return
    run_stage(run, stage, recipe.schedule, pool, seed=recipe.seed)


if __name__ == "__main__":
    main()
