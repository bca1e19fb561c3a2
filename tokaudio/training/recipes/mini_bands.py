"""The recipe of `mini-bands`: every codebook has a frequency band of its own.

What is trained, and for how long, is in the preset `mini-bands`, which `tokaudio train` takes with recordings of your
own. Here it hears the pool of the other shipped tokenizers. Run as

    python -m tokaudio.training.recipes.mini_bands train --work WORK
    python -m tokaudio.training.recipes.mini_bands export --work WORK --out FOLDER

The training can be interrupted and repeated; it goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
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
from tokaudio.training.recipes.mini_codec import SOURCE_WEIGHTS
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
    parser = argparse.ArgumentParser(description="Train mini-bands.")
    parser.add_argument("stage", choices=("train", "export"))
    parser.add_argument("--work", type=Path, required=True, help="folder with the pool; the run goes into its bands/")
    parser.add_argument("--pool", type=Path, help="default: WORK/pool")
    parser.add_argument("--out", type=Path, help="folder of the exported tokenizer (export)")
    parser.add_argument("--results", type=Path, help="JSON of benchmarks/mini_bands.py, for the card (export)")
    parser.add_argument("--steps", type=int, help="default: the preset's")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pool = AudioPool(options.pool or options.work / "pool", weights=SOURCE_WEIGHTS)
    recipe = plan(options.steps)
    stage = training(recipe, pool)
    loop = Loop(options.work / "bands", stage, recipe.schedule, seed=recipe.seed)
    done = loop.resume()
    if options.stage == "export":
        if options.out is None:
            parser.error("export needs --out")
        results = json.loads(options.results.read_text(encoding="utf-8")) if options.results else None
        print(export(stage, options.out, about=about_mini_bands(pool, done, results)).fingerprint)
        return
    print(f"{pool.seconds / 3600:.2f} h of audio; starting at step {done}", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
