"""`tokaudio convert`: published checkpoints in tokaudio's own layout."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokaudio.cli import options
from tokaudio.cli.failures import refuse
from tokaudio.cli.report import emit, emit_json

if TYPE_CHECKING:
    from tokaudio.tokenizers import Tokenizer

_FILES = ("config.json", "model.safetensors", "README.md")
_CENTROIDS = ".safetensors"

Trust = Annotated[
    bool, typer.Option("--trust", help="Read scikit-learn's k-means from pickles (joblib); nothing in them is run.")
]
BackboneName = Annotated[
    str | None,
    typer.Option("--backbone", metavar="NAME|FOLDER", help="Speech model of the k-means, where SRC does not hold it."),
]
VocoderName = Annotated[
    str | None,
    typer.Option(
        "--vocoder", metavar="FOLDER|none", help="Vocoder of these units, where SRC does not hold it, or none at all."
    ),
]


def convert(  # noqa: PLR0917 - typer reads options from parameters
    source: Annotated[str, typer.Argument(metavar="SRC", help="A published folder, file of weights, or name.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="Folder to write; FILE.safetensors for centroids.")],
    trust: Trust = False,
    backbone: BackboneName = None,
    layers: options.Layers = None,
    vocoder: VocoderName = None,
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Write a tokenizer as config.json, model.safetensors and a model card.

    The weights stay exactly the same: in float16 where that holds them, else in float32.

    tokaudio convert ./encodec_24khz-d7cc33bc.th ./encodec-24k

    K-means published as pickles, one file per layer, become a tokenizer together with their speech model, or one file
    of centroids each:

    tokaudio convert --trust ./kmeans ./units --backbone ./wavlm-large --layers 7,12

    tokaudio convert --trust km.bin km500_L9.safetensors --layers 9
    """
    wanted = None if layers is None else options.numbers("--layers", layers)
    if target.endswith(_CENTROIDS) and not Path(target).is_dir():
        facts = _write_centroids(source, target, wanted, trust=trust, force=force)
        line = f"{facts['centroids']:,} centroids of {facts['dimensions']:,} dimensions"
    else:
        parts = {"backbone": backbone, "vocoder": vocoder}
        facts = _write_tokenizer(source, target, wanted, trust=trust, parts=parts, force=force)
        line = f"{facts['family']}, {facts['parameters']:,} parameters, {facts['fingerprint']}"
    if as_json:
        emit_json(facts)
    elif not quiet:
        name = facts.get("tokenizer", source)
        emit(f"converted {name} ({line}) to {target}, {facts['bytes'] / 1e6:.1f} MB")
    return 0


def _write_tokenizer(
    source: str, target: str, layers: list[int] | None, *, trust: bool, parts: dict[str, str | None], force: bool
) -> dict[str, Any]:
    """Write a folder, and return what is in it."""
    folder = Path(target)
    if folder.exists() and not folder.is_dir():
        raise refuse(target, "is not a folder", "choose another name")
    present = [name for name in _FILES if os.path.lexists(folder / name)]
    if present and not force:
        raise refuse(target, f"holds a {present[0]} already", "choose another folder, or allow overwriting (-f)")
    tokenizer = _opened(source, layers, trust=trust, parts=parts, name=folder.absolute().name)
    tokenizer.save_pretrained(folder)
    return {
        "input": source,
        "output": target,
        "tokenizer": tokenizer.spec.name,
        "family": tokenizer.config()["family"],
        "fingerprint": tokenizer.fingerprint,
        "parameters": sum(value.numel() for value in tokenizer.state_dict().values()),
        "bytes": sum((folder / name).stat().st_size for name in _FILES),
    }


def _opened(
    source: str, layers: list[int] | None, *, trust: bool, parts: dict[str, str | None], name: str
) -> Tokenizer:
    from tokaudio.cli.loading import choose_device, keep_layers, open_tokenizer
    from tokaudio.tokenizers.semantic_files import from_parts, holds_centroids

    path = Path(source)
    if any(parts.values()) or (trust and path.exists() and holds_centroids(path)):
        if not path.exists():
            raise refuse(source, "is missing", "check the path")
        return from_parts(path, **parts, layers=layers, name=name, trust=trust)
    tokenizer = open_tokenizer(source, choose_device("cpu"))
    return tokenizer if layers is None else keep_layers(tokenizer, layers)


def _write_centroids(source: str, target: str, layers: list[int] | None, *, trust: bool, force: bool) -> dict[str, Any]:
    """Write the centroids of one layer, and return what is known of them."""
    from tokaudio.tokenizers.centroids import LayerFile, write_centroids
    from tokaudio.tokenizers.semantic_files import centroids_of

    path = Path(source)
    if path.is_dir():
        raise refuse(source, "is a folder, and DST a file", "give one file of k-means, or a folder as DST")
    if layers is not None and len(layers) != 1:
        raise refuse(f"--layers {','.join(map(str, layers))}", "a file of centroids is for one layer", "name one")
    file = LayerFile.of(path) if path.exists() else None
    if file is None:
        problem = "holds no k-means" if path.exists() else "is missing"
        raise refuse(source, problem, "give a file that scikit-learn's k-means was saved to")
    if file.pickled and not trust:
        problem = "is scikit-learn's k-means in a pickle, which can hold any program and is not opened without --trust"
        command = f"tokaudio convert --trust {shlex.quote(source)} {shlex.quote(target)}"
        raise refuse(source, problem, f"if you trust where it is from: {command}")
    centroids = centroids_of(file)
    layer = layers[0] if layers else file.layer
    write_centroids(target, centroids, layer=layer, overwrite=force)
    count, width = centroids.shape
    size = Path(target).stat().st_size
    known = {"centroids": count, "dimensions": width, "layer": layer, "bytes": size}
    return {"input": source, "output": target, **known}
