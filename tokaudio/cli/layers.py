"""`tokaudio layers`: which layers of a speech model to cluster, and into how many clusters, for one's own data."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.batch import check_target
from tokaudio.cli.failures import refuse
from tokaudio.cli.report import Report
from tokaudio.cli.sounds import find_sounds

Data = Annotated[
    list[str], typer.Argument(metavar="DATA...", help="Audio files, folders, or manifests (.jsonl, .csv, .tsv).")
]
BackboneName = Annotated[
    str, typer.Option("--backbone", metavar="NAME|FOLDER", help="Speech model: a folder as on the Hub, or a name.")
]
Page = Annotated[str, typer.Option("-o", "--output", metavar="OUT.html", help="The page to write.")]
Labels = Annotated[
    str | None, typer.Option("--labels", metavar="FOLDER", help="Phones: .lab files with the names of the recordings.")
]
Layers = Annotated[
    str | None, typer.Option("--layers", metavar="L,L,...", help="Layers to study; by default all, from 0.")
]
Sizes = Annotated[str, typer.Option("-k", "--clusters", metavar="K,K,...", help="Numbers of clusters.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="COLUMN=VALUE", help="Rows of manifests to take, such as split=train."),
]
MaxMinutes = Annotated[
    float, typer.Option("--max-minutes", min=0.1, help="Use so much audio at most, drawn by the seed.")
]
Cepstra = Annotated[bool, typer.Option("--mfcc/--no-mfcc", help="Cluster MFCC as well, for comparison.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")]


def layers(  # noqa: PLR0917 - typer reads options from parameters
    data: Data,
    backbone: BackboneName,
    output: Page,
    labels: Labels = None,
    numbers: Layers = None,
    clusters: Sizes = "100,500,1000,2000",
    where: Where = None,
    max_minutes: MaxMinutes = 30.0,
    mfcc: Cepstra = True,
    seed: Seed = 0,
    device: options.Device = "auto",
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Study what the clusters of each layer of a speech model keep.

    tokaudio layers recordings/ --backbone ./hubert-base --labels recordings/lab -o layers.html

    Fits k-means to each layer, of three in four recordings, and measures how much the codes of the others say about
    phones (where .lab files are given), speakers (where a manifest has a column speaker or voice), pitch and energy.
    Writes one page with plots, a table, and what follows for the choice of layers and clusters.
    """
    chosen = None if numbers is None else options.numbers("--layers", numbers)
    sizes = options.numbers("-k", clusters, least=2)
    _check_output(output, force)

    from tokaudio.analysis.annotated.labels import find_labs
    from tokaudio.analysis.layer_study.layers import study_layers
    from tokaudio.analysis.pages.layers_page import layers_page
    from tokaudio.atomic import atomic_write
    from tokaudio.cli.loading import choose_device
    from tokaudio.cli.signals import orderly
    from tokaudio.cli.studying import StudyProgress, tell
    from tokaudio.tokenizers.backbones import load_backbone

    report = Report("read", quiet=quiet, as_json=as_json, debug=debug, batch=True)
    found = find_sounds(data, where or ())
    report.ignored += found.ignored
    for path, error in found.failures:
        report.fail(path, error)
    labs = None if labels is None else find_labs(labels)
    place = choose_device(device)
    model = load_backbone(backbone, layers=max(chosen) if chosen else None)
    model.to(place)  # type: ignore[attr-defined]
    folder = Path(output).absolute().parent
    with orderly(), tempfile.TemporaryDirectory(prefix=".tokaudio-layers-", dir=folder) as scratch:
        with StudyProgress(report, found.recordings, 60 * max_minutes) as progress:
            study = study_layers(
                found.recordings,
                model,
                Path(scratch),
                name=Path(backbone).name,
                layers=chosen,
                sizes=sizes,
                labs=labs,
                max_minutes=max_minutes,
                cepstra=mfcc,
                seed=seed,
                device=place,
                listener=progress,
            )
        atomic_write(Path(output), layers_page(study).encode(), overwrite=force)
    return tell(study, output, report)


def _check_output(output: str, force: bool) -> None:
    """Refuse a page that cannot be written, before any work is done."""
    if Path(output).is_dir():
        raise refuse(output, "is a directory", "name a file in it")
    if not Path(output).absolute().parent.is_dir():
        raise refuse(output, "its directory does not exist", "create it first")
    check_target(output, set(), force=force)
