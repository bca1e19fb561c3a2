"""`tokaudio fit-kmeans`: recordings and a speech model to a semantic tokenizer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from tokaudio.cli import options
from tokaudio.cli.failures import refuse
from tokaudio.cli.report import Report
from tokaudio.cli.sounds import find_sounds

_WRITTEN = ("config.json", "model.safetensors", "README.md", "self_check.json", "fit.json")

Data = Annotated[
    list[str], typer.Argument(metavar="DATA...", help="Audio files, folders, or manifests (.jsonl, .csv, .tsv).")
]
BackboneName = Annotated[
    str, typer.Option("--backbone", metavar="NAME|FOLDER", help="Speech model: a folder as on the Hub, or a name.")
]
Layers = Annotated[str, typer.Option("--layers", metavar="L,L,...", help="Hidden states to cluster, a codebook each.")]
Folder = Annotated[str, typer.Option("-o", "--output", metavar="DIR", help="Folder of the tokenizer.")]
Sizes = Annotated[
    str, typer.Option("-k", "--codebook-size", metavar="K[,K...]", help="Centroids: one number, or one per layer.")
]
Groups = Annotated[int, typer.Option("--groups", min=1, help="Codebooks side by side per layer (product k-means).")]
Stages = Annotated[
    int, typer.Option("--stages", min=1, help="Codebooks after each other per layer (residual k-means).")
]
Seed = Annotated[int, typer.Option("--seed", help="Of everything random.")]
Restarts = Annotated[int, typer.Option("--restarts", min=1, help="Starts of each k-means; the best goes on.")]
Steps = Annotated[
    int, typer.Option("--steps", min=0, help="Lloyd's steps in full width, at most; 0 with --restarts 1 is quick.")
]
MaxHours = Annotated[
    float | None, typer.Option("--max-hours", min=0.0, help="Use so much audio at most, drawn by the seed.")
]
MaxFrames = Annotated[int | None, typer.Option("--max-frames", min=1, help="Use so many frames at most.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="COLUMN=VALUE", help="Rows of manifests to take, such as split=train."),
]
Float32 = Annotated[bool, typer.Option("--float32", help="Keep features in float32 on disk, not float16.")]
Name = Annotated[str | None, typer.Option("--name", help="Of the tokenizer; that of the folder by default.")]
Licence = Annotated[str, typer.Option("--licence", help="Of the weights, for the model card.")]


def fit_kmeans(  # noqa: PLR0917 - typer reads options from parameters
    data: Data,
    backbone: BackboneName,
    layers: Layers,
    output: Folder,
    codebook_size: Sizes = "1000",
    groups: Groups = 1,
    stages: Stages = 1,
    seed: Seed = 0,
    restarts: Restarts = 2,
    steps: Steps = 5,
    max_hours: MaxHours = None,
    max_frames: MaxFrames = None,
    where: Where = None,
    float32: Float32 = False,
    name: Name = None,
    licence: Licence = "",
    allow_truncated: options.Truncated = False,
    device: options.Device = "auto",
    jobs: options.Jobs = 1,
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Fit k-means to layers of a speech model, and write a semantic tokenizer.

    tokaudio fit-kmeans recordings/ --backbone ./hubert-large --layers 7,18 -k 1000 -o ./units

    Features are kept in DIR.unfinished until all is done: after an interruption, the same command goes on there.
    Recordings that cannot be read are reported and left out.
    """
    folder = Path(output)
    _check_output(folder, force)
    numbers, sizes = options.numbers("--layers", layers), options.numbers("-k", codebook_size, least=1)
    if len(sizes) not in (1, len(numbers)):
        raise refuse(f"-k {codebook_size}", f"there are {len(numbers)} layers", "give one number, or one per layer")
    found = find_sounds(data, where or ())

    from tokaudio.cli.fitting import fit_and_tell

    report = Report("read", quiet=quiet, as_json=as_json, debug=debug, batch=True, ignored=found.ignored)
    settings: dict[str, Any] = {"groups": groups, "stages": stages, "seed": seed, "restarts": restarts, "steps": steps}
    settings |= {"codebook_size": sizes[0] if len(sizes) == 1 else sizes, "max_hours": max_hours}
    settings |= {"max_frames": max_frames, "allow_truncated": allow_truncated, "start_over": force}
    settings |= {"name": name, "licence": licence}
    return fit_and_tell(
        found, backbone, numbers, folder, report, settings=settings, float32=float32, device=device, jobs=jobs
    )


def _check_output(folder: Path, force: bool) -> None:
    """Refuse a folder that holds other things, before any work is done."""
    if folder.exists() and not folder.is_dir():
        raise refuse(folder, "is not a folder", "choose another name")
    present = [name for name in _WRITTEN if os.path.lexists(folder / name)]
    if present and not force:
        raise refuse(folder, f"holds a {present[0]} already", "choose another folder, or allow overwriting (-f)")
