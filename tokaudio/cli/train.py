"""`tokaudio train`: a recipe and recordings to a new tokenizer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.failures import refuse
from tokaudio.cli.report import Report
from tokaudio.cli.sounds import find_sounds

RecipeFile = Annotated[str | None, typer.Argument(metavar="[RECIPE.toml]", help="What to make, and how.")]
Data = Annotated[
    list[str], typer.Option("--data", metavar="PATH", help="Folder, manifest (.jsonl, .csv, .tsv) or file; repeatable.")
]
Folder = Annotated[str, typer.Option("-o", "--output", metavar="RUN", help="Folder of the run.")]
Preset = Annotated[str | None, typer.Option("--preset", metavar="NAME", help="A recipe of the package, such as quick.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="COLUMN=VALUE", help="Rows of manifests to take, such as split=train."),
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Of each operation on the CPU; all cores by default.")
]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that decode and cut crops ahead.")]


def train(  # noqa: PLR0917 - typer reads options from parameters
    data: Data,
    output: Folder,
    recipe: RecipeFile = None,
    preset: Preset = None,
    where: Where = None,
    threads: Threads = None,
    workers: Workers = 0,
    device: options.Device = "auto",
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Train a tokenizer on recordings of your own.

    tokaudio train --preset quick --data recordings/ -o run, and then: tokaudio encode speech.wav -t run/tokenizer

    The run can be interrupted at any time: the same command goes on where it was. RUN/tokenizer is what
    Tokenizer.from_pretrained opens. With several devices: torchrun --nproc-per-node N -m tokaudio train ...
    """
    if (recipe is None) == (preset is None):
        raise refuse("train", "there must be a recipe or a preset, and not both", "give RECIPE.toml, or --preset quick")
    found = find_sounds(data, where or ())

    import torch

    from tokaudio.cli.loading import choose_device
    from tokaudio.cli.training import joined, run_training
    from tokaudio.training.recipe_files import read_preset, read_recipe

    plan = read_recipe(recipe) if recipe is not None else read_preset(preset or "")
    place = choose_device(device)
    report = Report("trained on", quiet=quiet, as_json=as_json, debug=debug, batch=True, ignored=found.ignored)
    for path, error in found.failures:
        report.fail(path, error)
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    with joined(place) as own:
        return run_training(plan, found.recordings, Path(output), report, workers=workers, device=own, start_over=force)
