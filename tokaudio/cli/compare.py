"""`tokaudio compare`: two or more tokenizers on the same audio, side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.batch import check_output
from tokaudio.cli.failures import refuse
from tokaudio.cli.report import Report

Arguments = Annotated[
    list[str],
    typer.Argument(
        metavar="A B... AUDIO",
        help="Two tokenizers or more (names of `list`, folders, OWNER/NAME), then audio: a file, folder or manifest.",
    ),
]


def compare(  # noqa: PLR0917 - typer reads options from parameters
    arguments: Arguments,
    output: options.Page = None,
    json_file: options.JsonFile = None,
    labels: options.Labels = None,
    where: options.Where = None,
    max_minutes: options.MaxMinutes = None,
    intervention_seconds: options.InterventionSeconds = 60.0,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    force: options.Force = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Compare tokenizers on the same audio.

    tokaudio compare mini-codec mini-semantic recordings/ -o compare.html

    Rates, usage, what codes say at equal bitrate, robustness, and which codes of one go with which of the other.
    """
    *names, data = arguments
    if len(names) < 2:
        raise refuse(" ".join(arguments), "is not two tokenizers and audio", "name two tokenizers or more, then audio")
    for file in (output, json_file):
        if file is not None:
            check_output(file, force)

    from tokaudio.analysis.annotated.annotations import read_annotations
    from tokaudio.analysis.comparing import compare as compare_tokenizers
    from tokaudio.cli.analyzing import write_findings
    from tokaudio.cli.comparing import ComparisonProgress, tell
    from tokaudio.cli.loading import choose_device, open_tokenizer
    from tokaudio.cli.signals import orderly
    from tokaudio.cli.sounds import find_sounds
    from tokaudio.pages.templating import environment

    if output is not None:
        environment()
    run = Report("read", quiet=quiet, debug=debug, batch=True)
    sounds = find_sounds([data], where or ())
    for path, error in sounds.failures:
        run.fail(path, error)
    known = None if labels is None else read_annotations(labels)
    models = [open_tokenizer(name, choose_device(device)) for name in names]
    with orderly(), ComparisonProgress(run, len(sounds.recordings), max_minutes) as progress:
        found = compare_tokenizers(
            models,
            sounds.recordings,
            labels=known,
            max_minutes=max_minutes,
            intervention_seconds=intervention_seconds,
            seed=seed,
            listener=progress,
        )
    write_findings(found.to_json, found.to_html, json_file, output, force)
    return tell(found, output or json_file, run)
