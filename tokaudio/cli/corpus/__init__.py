"""`tokaudio corpus`: one module for each of its commands."""

from __future__ import annotations

import typer

from tokaudio.cli.corpus.convert import convert
from tokaudio.cli.corpus.encode import encode
from tokaudio.cli.corpus.stats import stats
from tokaudio.cli.corpus.verify import verify

corpus = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    help="Tokens of whole corpora: shards that any trainer reads, checked to the last bit.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command in (("encode", encode), ("verify", verify), ("stats", stats), ("convert", convert)):
    corpus.command(_name)(_command)
