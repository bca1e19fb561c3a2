"""`tokaudio corpus convert`: a corpus in another format."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.failures import DONE

Source = Annotated[str, typer.Argument(metavar="SRC", help="Folder of corpus encode or corpus convert.")]
Target = Annotated[str, typer.Argument(metavar="DST", help="Folder to write to.")]
To = Annotated[
    str,
    typer.Option("--to", metavar="FORMAT", help="parquet, webdataset, npz, megatron, lhotse or bitstream."),
]
Layout = Annotated[
    str | None,
    typer.Option("--layout", metavar="NAME", help="How codes become ids, for megatron: flatten, delay, ..."),
]
TextSize = Annotated[int, typer.Option("--text-size", help="Ids of a text tokenizer that come first.")]


def convert(  # noqa: PLR0917 - typer reads options from parameters
    source: Source,
    target: Target,
    to: To,
    layout: Layout = None,
    text_size: TextSize = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Write a corpus in another format, shard by shard."""
    from tokaudio.cli.corpus.telling import counted
    from tokaudio.cli.report import emit, emit_json
    from tokaudio.cli.signals import orderly
    from tokaudio.corpus.converting import convert_corpus

    with orderly():
        found = convert_corpus(source, target, to=to, layout=layout, text_size=text_size, overwrite=force)
    if as_json:
        emit_json(asdict(found))
    elif not quiet:
        lost = f"; without {', '.join(found.dropped)}" if found.dropped else ""
        held = f"{counted(found.shards, 'shard')}, {counted(found.rows, 'row')}"
        emit(f"{target}: {held}, {found.hours:,.4g} hours, {found.bytes:,} bytes{lost}")
    return DONE
