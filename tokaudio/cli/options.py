"""The options that commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from tokaudio.cli.failures import refuse

TokenizerName = Annotated[
    str,
    typer.Option(
        "-t",
        "--tokenizer",
        metavar="NAME|FOLDER",
        help="Tokenizer: a name of `list`, a folder, a file of weights, or OWNER/NAME on the Hub.",
    ),
]
OptionalTokenizerName = Annotated[
    str | None,
    typer.Option(
        "-t",
        "--tokenizer",
        metavar="NAME|FOLDER",
        help="Tokenizer; by default the one that the token file names.",
    ),
]
NumCodebooks = Annotated[
    int | None, typer.Option("-k", "--num-codebooks", min=1, help="Use only the first K codebooks.", metavar="K")
]
Layers = Annotated[
    str | None,
    typer.Option("--layers", metavar="L,L,...", help="Use only the codebooks of these layers of a speech model."),
]
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="OUT", help="Folder for the outputs, or a file for one input."),
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
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to compute.")]
Jobs = Annotated[
    int, typer.Option("-j", "--jobs", metavar="N", min=1, max=256, help="Files to work on at a time, on the CPU.")
]
Truncated = Annotated[bool, typer.Option("--allow-truncated", help="Take what is there of a cut-off audio file.")]
Force = Annotated[bool, typer.Option("-f", "--force", help="Overwrite existing files.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No summary, no progress; failures are still reported.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]


def numbers(option: str, text: str, *, least: int = 0) -> list[int]:
    """Return the whole numbers of a list with commas.

    Raises:
        MisuseError: if it is none, or one of them is less than `least`.

    Example:
        >>> numbers("--layers", "7,12")
        [7, 12]
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and part.isascii() and int(part[:9]) >= least for part in parts):
        problem = f"is no list of numbers from {least} on"
        raise refuse(f"{option} {text}", problem, "write numbers with commas between")
    return [int(part[:9]) for part in parts]


def threads(jobs: int, device: object) -> int:
    """Return how many files to work on at a time: one on a device whose settings all threads share.

    Example:
        >>> threads(4, "cpu"), threads(4, "cuda:0")
        (4, 1)
    """
    return jobs if str(device) == "cpu" else 1
