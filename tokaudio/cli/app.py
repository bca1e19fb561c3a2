"""The commands, put together."""

from __future__ import annotations

import typer

from tokaudio.cli.analyze import analyze
from tokaudio.cli.compare import compare
from tokaudio.cli.convert import convert
from tokaudio.cli.corpus import corpus
from tokaudio.cli.data import data
from tokaudio.cli.decode import decode
from tokaudio.cli.doctor import doctor
from tokaudio.cli.encode import encode
from tokaudio.cli.fit_kmeans import fit_kmeans
from tokaudio.cli.info import info
from tokaudio.cli.layers import layers
from tokaudio.cli.leaderboard import leaderboard
from tokaudio.cli.list import list_command
from tokaudio.cli.probe import probe
from tokaudio.cli.roundtrip import roundtrip
from tokaudio.cli.train import train

_EXIT_CODES = (
    "Exit codes: 0 done; 1 some inputs failed; 2 misuse or unreadable input; "
    "3 disk full, no permission, or something missing here; 130 interrupted."
)

# Plain help: rich would be imported for its markup, which costs more than all else here.
app = typer.Typer(
    name="tokaudio",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog=_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)


# Without options, even --help: typer would import pydantic to read them, which doubles the time of every --help.
@app.callback(add_help_option=False)
def _root() -> None:
    """Sound to discrete tokens and back.

    tokaudio COMMAND --help tells more about a command, tokaudio --version prints the version.
    """


_WITH_EXIT_CODES = ("encode", "decode", "fit-kmeans", "layers", "analyze", "compare", "leaderboard", "probe", "train")
for _name, _command in (
    ("encode", encode),
    ("decode", decode),
    ("roundtrip", roundtrip),
    ("convert", convert),
    ("fit-kmeans", fit_kmeans),
    ("layers", layers),
    ("analyze", analyze),
    ("compare", compare),
    ("leaderboard", leaderboard),
    ("probe", probe),
    ("train", train),
    ("list", list_command),
    ("info", info),
    ("doctor", doctor),
):
    app.command(_name, epilog=_EXIT_CODES if _name in _WITH_EXIT_CODES else None)(_command)
app.add_typer(corpus, name="corpus", epilog=_EXIT_CODES)
app.add_typer(data, name="data", epilog=_EXIT_CODES)


def help_text() -> str:
    """Return the help of `tokaudio` itself.

    Example:
        >>> print(help_text().splitlines()[0])
        Usage: tokaudio [OPTIONS] COMMAND [ARGS]...
    """
    command = typer.main.get_command(app)
    with command.make_context("tokaudio", [], resilient_parsing=True) as context:
        return command.get_help(context)
