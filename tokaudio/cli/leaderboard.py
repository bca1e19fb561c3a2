"""`tokaudio leaderboard`: results of probes of several tokenizers, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.batch import check_output
from tokaudio.cli.failures import DONE, SOME_FAILED, printable
from tokaudio.cli.report import Report, emit

Files = Annotated[
    list[str], typer.Argument(metavar="RESULTS.json...", help="Results that `tokaudio probe` wrote, one file for each.")
]
AllowMissing = Annotated[
    bool, typer.Option("--allow-missing", help="Show tasks without baselines, whose scores say little.")
]


def leaderboard(  # noqa: PLR0917 - typer reads options from parameters
    files: Files,
    output: options.Page = None,
    allow_missing: AllowMissing = False,
    seed: options.Seed = 0,
    force: options.Force = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Put results of probes side by side.

    tokaudio leaderboard results/*.json -o leaderboard.html

    Tables with intervals and baselines, mean ranks by axis, rate against score, and costs.
    """
    if output is not None:
        check_output(output, force)

    from tokaudio.atomic import atomic_write
    from tokaudio.pages.templating import environment
    from tokaudio.probes.errors import ProbeError
    from tokaudio.probes.leaderboard import leaderboard as side_by_side
    from tokaudio.probes.results import read_results

    if output is not None:
        environment()
    run = Report("read", quiet=quiet, debug=debug, batch=True)
    results = []
    for file in files:
        try:
            results.append(read_results(file))
        except ProbeError as error:
            if len(files) == 1:
                raise
            run.fail(file, error)
    board = side_by_side(results, allow_missing=allow_missing, seed=seed)
    if output is not None:
        atomic_write(Path(output), board.to_html().encode(), overwrite=force)
    if not quiet:
        for line in board.lines():
            emit(printable(line))
        where = "" if output is None else f": {printable(output)}"
        emit(f"{len(board.results)} tokenizers on {len(board.tables)} tasks, {len(run.failures)} failures{where}")
    return SOME_FAILED if run.failures else DONE
