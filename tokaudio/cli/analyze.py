"""`tokaudio analyze`: what the codes of a tokenizer say, of any sound, with or without labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.batch import check_output
from tokaudio.cli.failures import refuse
from tokaudio.cli.report import Report

if TYPE_CHECKING:
    from tokaudio.analysis.annotated.annotations import Annotations
    from tokaudio.analysis.codebook_report import Report as CodebookReport
    from tokaudio.audio.manifest import Recording

Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="Audio files, folders, or manifests (.jsonl, .csv, .tsv); or token files (.npz), shards, or a dataset.",
    ),
]
TokenizerName = Annotated[
    str | None,
    typer.Option(
        "-t",
        "--tokenizer",
        metavar="NAME|FOLDER",
        help="Tokenizer: a name of `list`, a folder, or OWNER/NAME on the Hub. Not for saved tokens.",
    ),
]
SwapPairs = Annotated[
    int,
    typer.Option(
        "--swap-pairs",
        metavar="N",
        min=0,
        help="Pairs of recordings between which each codebook is swapped; installed models judge whose voice and words "
        "are heard (English).",
    ),
]


def analyze(  # noqa: PLR0917 - typer reads options from parameters
    data: Data,
    tokenizer: TokenizerName = None,
    labels: options.Labels = None,
    output: options.Page = None,
    json_file: options.JsonFile = None,
    where: options.Where = None,
    max_minutes: options.MaxMinutes = None,
    intervention_seconds: options.InterventionSeconds = 60.0,
    swap_pairs: SwapPairs = 0,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    force: options.Force = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Say what each codebook of a tokenizer carries.

    tokaudio analyze recordings/ -t mini-codec --labels alignments/ -o report.html --json report.json

    Measures how much each codebook says about pitch, voicing, energy and the spectrum, and about phones, words,
    speakers, languages and emotions where labels are given. Of saved tokens alone, only what needs no sound.
    """
    for file in (output, json_file):
        if file is not None:
            check_output(file, force)
    if tokenizer is None:
        _refuse_idle({"--where": where, "--max-minutes": max_minutes, "--swap-pairs": swap_pairs})

    from tokaudio.analysis.annotated.annotations import read_annotations
    from tokaudio.cli.analyzing import tell, write_findings
    from tokaudio.pages.templating import environment

    if output is not None:
        environment()
    run = Report("read", quiet=quiet, debug=debug, batch=True)
    known = None if labels is None else read_annotations(labels)
    if tokenizer is None:
        recordings, found = None, _of_tokens(data, known, run, seed=seed)
    else:
        recordings = _recordings(data, where, run)
        found = _of_sound(
            tokenizer,
            recordings,
            known,
            run,
            max_minutes=max_minutes,
            intervention_seconds=intervention_seconds,
            swap_pairs=swap_pairs,
            seed=seed,
            device=device,
        )
    write_findings(found.to_json, lambda: found.to_html(recordings), json_file, output, force)
    return tell(found, output or json_file, run)


def _refuse_idle(options: dict[str, object]) -> None:
    for option, value in options.items():
        if value:
            raise refuse(option, "is of no use with saved tokens", "leave it out, or name a tokenizer (-t)")


def _of_tokens(data: list[str], known: Annotations | None, run: Report, *, seed: int) -> CodebookReport:
    """Return what saved tokens alone tell."""
    from tokaudio.analysis.reporting import report_tokens
    from tokaudio.analysis.saved_tokens import how_many
    from tokaudio.cli.analyzing import AnalysisProgress
    from tokaudio.cli.signals import orderly

    tokens = _saved(data)
    with orderly(), AnalysisProgress(run, how_many(tokens), None) as progress:
        return report_tokens(tokens, known, seed=seed, listener=progress)


def _of_sound(
    tokenizer: str,
    recordings: list[Recording],
    known: Annotations | None,
    run: Report,
    *,
    max_minutes: float | None,
    intervention_seconds: float,
    swap_pairs: int,
    seed: int,
    device: str,
) -> CodebookReport:
    """Return what the codes of a tokenizer say about recordings."""
    from tokaudio.analysis.reporting import report
    from tokaudio.cli.analyzing import AnalysisProgress, swap_meter
    from tokaudio.cli.loading import choose_device, open_tokenizer
    from tokaudio.cli.signals import orderly

    model = open_tokenizer(tokenizer, choose_device(device))
    swaps = swap_meter(model, swap_pairs, run) if swap_pairs else None
    with orderly(), AnalysisProgress(run, len(recordings), max_minutes) as progress:
        return report(
            model,
            recordings,
            known,
            max_minutes=max_minutes,
            intervention_seconds=intervention_seconds,
            swaps=swaps,
            seed=seed,
            listener=progress,
        )


def _recordings(data: list[str], where: list[str] | None, run: Report) -> list[Recording]:
    """Return the recordings that paths stand for; what is none of them fails."""
    from tokaudio.cli.sounds import find_sounds

    sounds = find_sounds(data, where or ())
    for path, error in sounds.failures:
        run.fail(path, error)
    return sounds.recordings


def _saved(data: list[str]) -> list[Path]:
    """Return the token files and shards that paths stand for; refuse sound among them."""
    from tokaudio.analysis.saved_tokens import token_files

    found: list[Path] = []
    for path in data:
        own = token_files(path)
        if not own:
            remedy = "name a tokenizer (-t), or give saved tokens"
            raise refuse(path, "is sound, which needs a tokenizer to be encoded with", remedy)
        found += own
    return found
