"""`tokaudio convert`: published checkpoints in tokaudio's own layout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.failures import refuse
from tokaudio.cli.report import emit, emit_json

_FILES = ("config.json", "model.safetensors", "README.md")


def convert(  # noqa: PLR0917 - typer reads options from parameters
    source: Annotated[str, typer.Argument(metavar="SRC", help="A published folder, file of weights, or name.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="Folder to write.")],
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Write a tokenizer as config.json, model.safetensors and a model card.

    The weights stay exactly the same: in float16 where that holds them, else in float32.

    tokaudio convert ./encodec_24khz-d7cc33bc.th ./encodec-24k
    """
    folder = Path(target)
    if folder.exists() and not folder.is_dir():
        raise refuse(target, "is not a folder", "choose another name")
    present = [name for name in _FILES if os.path.lexists(folder / name)]
    if present and not force:
        raise refuse(target, f"holds a {present[0]} already", "choose another folder, or allow overwriting (-f)")

    from tokaudio.cli.loading import choose_device, open_tokenizer

    tokenizer = open_tokenizer(source, choose_device("cpu"))
    tokenizer.save_pretrained(folder)
    size = sum((folder / name).stat().st_size for name in _FILES)
    parameters = sum(value.numel() for value in tokenizer.state_dict().values())
    facts = {
        "input": source,
        "output": target,
        "tokenizer": tokenizer.spec.name,
        "family": tokenizer.config()["family"],
        "fingerprint": tokenizer.fingerprint,
        "parameters": parameters,
        "bytes": size,
    }
    if as_json:
        emit_json(facts)
    elif not quiet:
        emit(
            f"converted {tokenizer.spec.name} ({facts['family']}, {parameters:,} parameters, "
            f"{tokenizer.fingerprint}) to {target}, {size / 1e6:.1f} MB"
        )
    return 0
