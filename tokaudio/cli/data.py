"""`tokaudio data`: the labelled recordings that probes are measured on."""

from __future__ import annotations

from typing import Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.failures import DONE, refuse

data = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    help="Labelled recordings that probes are measured on.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Voices = Annotated[
    str | None, typer.Option("--voices", metavar="DIR", help="The labelled voices set; not needed to list sources.")
]
Output = Annotated[str | None, typer.Option("-o", "--output", metavar="DIR", help="Folder to make.")]
Whole = Annotated[bool, typer.Option("--whole", help="Take all of it, not the part that ships.")]


@data.command("quick")
def quick(
    voices: Voices = None,
    output: Output = None,
    whole: Whole = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Make the recordings of the quick suite from the labelled voices.

    tokaudio data quick --voices voices/ -o quick/

    A part of them ships with the package; `tokaudio probe` uses it as it is. Without options, says what ships and
    which packages of Debian have further labelled recordings, each with its licence.
    """
    from tokaudio.cli.report import columns, emit
    from tokaudio.cli.signals import orderly
    from tokaudio.probes.data.quick_data import build_quick, shipped_folder
    from tokaudio.probes.data.sources import SOURCES

    if voices is None and output is None:
        emit(f"ships: {shipped_folder()} (Apache-2.0)")
        emit(columns([["package", "tasks", "licence", "what"], *([*map(str, source)] for source in SOURCES)]))
        emit("fetch one with: apt-get install PACKAGE; then give its recordings to --data, with a manifest,")
        emit("or as they are: tokaudio probe --data hedgewars:/usr/share/games/hedgewars --task sid,sv")
        return DONE
    if voices is None or output is None:
        missing = "--voices" if voices is None else "-o"
        raise refuse(missing, "is missing", "give both: --voices DIR -o DIR")
    with orderly():
        count = build_quick(voices, output, whole=whole)
    if not quiet:
        emit(f"made {count} recordings: {output}")
    return DONE
