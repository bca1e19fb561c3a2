"""`tokaudio analyze`: what the codes of a tokenizer say, of any sound, with or without labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.batch import TOKEN_SUFFIXES, check_target
from tokaudio.cli.failures import refuse
from tokaudio.cli.report import Report
from tokaudio.walk import walk

if TYPE_CHECKING:
    from tokaudio.analysis.codebook_report import Report as CodebookReport

Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...", help="Audio files, folders, or manifests (.jsonl, .csv, .tsv); or token files (.npz)."
    ),
]
TokenizerName = Annotated[
    str | None,
    typer.Option(
        "-t",
        "--tokenizer",
        metavar="NAME|FOLDER",
        help="Tokenizer: a name of `list`, a folder, or OWNER/NAME on the Hub. Not for token files.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="FILE|FOLDER",
        help="Manifest with columns such as speaker and phones, CTM file, or folder of .TextGrid or .lab files.",
    ),
]
JsonFile = Annotated[str | None, typer.Option("--json", metavar="OUT.json", help="Write everything to this file.")]
Page = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="OUT.html", help="Write a page that opens from disk to this file."),
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="COLUMN=VALUE", help="Rows of manifests to take, such as split=test."),
]
MaxMinutes = Annotated[
    float | None, typer.Option("--max-minutes", min=0.1, help="Use so much audio at most, drawn by the seed.")
]
InterventionSeconds = Annotated[
    float,
    typer.Option(
        "--intervention-seconds",
        min=0.0,
        help="Sound that is decoded and encoded again and again, for ablation and robustness; 0 for neither.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")]


def analyze(  # noqa: PLR0917 - typer reads options from parameters
    data: Data,
    tokenizer: TokenizerName = None,
    labels: Labels = None,
    output: Page = None,
    json_file: JsonFile = None,
    where: Where = None,
    max_minutes: MaxMinutes = None,
    intervention_seconds: InterventionSeconds = 60.0,
    seed: Seed = 0,
    device: options.Device = "auto",
    force: options.Force = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Say what each codebook of a tokenizer carries.

    tokaudio analyze recordings/ -t mini-codec --labels alignments/ -o report.html --json report.json

    Measures how much each codebook says about pitch, voicing, energy and the spectrum, and about phones, words,
    speakers, languages and emotions where labels are given. Of token files alone, only what needs no sound.
    """
    for file in (output, json_file):
        if file is not None:
            check_output(file, force)
    tokens = _token_files(data) if tokenizer is None else []
    if tokenizer is None and not tokens:
        remedy = "name a tokenizer (-t), or give token files (.npz)"
        raise refuse(data[0], "is sound, which needs a tokenizer to be encoded with", remedy)
    if tokens and (where or max_minutes is not None):
        raise refuse("--where" if where else "--max-minutes", "is of no use with token files", "leave it out")

    from tokaudio.analysis.annotated.annotations import read_annotations
    from tokaudio.analysis.pages.templating import environment
    from tokaudio.analysis.reporting import report as report_sound
    from tokaudio.analysis.reporting import report_tokens
    from tokaudio.atomic import atomic_write
    from tokaudio.cli.analyzing import AnalysisProgress, tell
    from tokaudio.cli.loading import choose_device, open_tokenizer
    from tokaudio.cli.signals import orderly
    from tokaudio.cli.sounds import find_sounds

    if output is not None:
        environment()
    sounds = None
    run = Report("read", quiet=quiet, debug=debug, batch=True)
    known = None if labels is None else read_annotations(labels)
    found: CodebookReport
    if tokenizer is None:
        with orderly(), AnalysisProgress(run, len(tokens), None) as progress:
            found = report_tokens(tokens, known, seed=seed, listener=progress)
    else:
        sounds = find_sounds(data, where or ())
        for path, error in sounds.failures:
            run.fail(path, error)
        model = open_tokenizer(tokenizer, choose_device(device))
        with orderly(), AnalysisProgress(run, len(sounds.recordings), max_minutes) as progress:
            found = report_sound(
                model,
                sounds.recordings,
                known,
                max_minutes=max_minutes,
                intervention_seconds=intervention_seconds,
                seed=seed,
                listener=progress,
            )
    if json_file is not None:
        atomic_write(Path(json_file), (found.to_json() + "\n").encode(), overwrite=force)
    if output is not None:
        page = found.to_html(None if sounds is None else sounds.recordings)
        atomic_write(Path(output), page.encode(), overwrite=force)
    return tell(found, output or json_file, run)


def _token_files(data: list[str]) -> list[str]:
    """Return the token files that paths stand for, if all of them do."""
    found: list[str] = []
    for path in data:
        if Path(path).is_dir():
            own = [file for file, _ in walk(path, TOKEN_SUFFIXES).files]
        else:
            own = [path] if Path(path).suffix.lower() in TOKEN_SUFFIXES else []
        if not own:
            return []
        found += own
    return found


def check_output(output: str, force: bool) -> None:
    """Refuse a file that cannot be written, before any work is done."""
    if Path(output).is_dir():
        raise refuse(output, "is a directory", "name a file in it")
    if not Path(output).absolute().parent.is_dir():
        raise refuse(output, "its directory does not exist", "create it first")
    check_target(output, set(), force=force)
