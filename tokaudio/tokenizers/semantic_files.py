"""Semantic tokenizers from published parts: a backbone's files as on the Hub, and k-means of its layers.

tokenizer = Tokenizer.from_pretrained("./hubert-base")  # where ./hubert-base/kmeans/ holds safe centroids
tokenizer = from_parts("./speechbrain-kmeans", backbone="./wavlm-large", trust=True)
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from tokaudio.checkpoints.sklearn_kmeans import read_kmeans
from tokaudio.errors import CheckpointError, one_line
from tokaudio.tokenizers.backbones import load_backbone
from tokaudio.tokenizers.building import make_unfilled
from tokaudio.tokenizers.centroids import LayerFile, by_layer, find_centroids, read_centroids
from tokaudio.tokenizers.published import PublishedSource
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.tokenizers.speech_files import SPEECH_TYPES
from tokaudio.tokenizers.vocoder_files import load_vocoder

_BACKBONES = (*SPEECH_TYPES, "whisper")


def is_semantic_folder(source: PublishedSource) -> bool:
    """Return whether files are those of a backbone, with centroids or without.

    Raises:
        CheckpointError: if there are k-means in pickles, and no backbone of this kind: it says how to convert them.
    """
    folder = _folder(source.path)
    if backbone_in(folder) is not None:
        return True
    pickled = [file for file in _centroids(source.path) if file.pickled] if source.path.is_dir() else []
    if pickled:
        raise pickled_error(source.path, pickled)
    return False


def holds_centroids(path: Path) -> bool:
    """Return whether there are centroids in a folder, or a file is of them; in pickles or not.

    Raises:
        CheckpointError: if a file cannot be read.
    """
    return bool(_centroids(path))


def backbone_in(folder: Path) -> Path | None:
    """Return where in a folder a backbone's files are: in itself, or in its `backbone`; None if nowhere."""
    for place in (folder, folder / "backbone"):
        if (place / "config.json").is_file():
            config = PublishedSource(place).config or {}
            if config.get("model_type") in _BACKBONES:
                return place
    return None


def vocoder_in(folder: Path) -> Path | None:
    """Return where in a folder a vocoder's files are: in itself, or in its `vocoder`; None if nowhere."""
    for place in (folder, folder / "vocoder"):
        if any(path.is_file() for path in (place / "generator.ckpt", place / "generator.pt", *place.glob("g_*"))):
            return place
    return None


def from_parts(
    path: str | os.PathLike[str],
    *,
    backbone: str | os.PathLike[str] | None = None,
    layers: Sequence[int] | None = None,
    vocoder: str | os.PathLike[str] | None = None,
    name: str | None = None,
    trust: bool = False,
) -> SemanticTokenizer:
    """Make a tokenizer of a backbone and the centroids of its layers, and of a vocoder where there is one.

    Args:
        path: a folder with centroids in it or in its `kmeans`, or one file of them.
        backbone: as for [`load_backbone`][tokaudio.tokenizers.backbones.load_backbone]; what lies in the folder, or in
            its `backbone`, by default.
        layers: only these, in this order; all by default.
        vocoder: as for [`load_vocoder`][tokaudio.tokenizers.vocoder_files.load_vocoder], or `none`; what lies in the
            folder, or in its `vocoder`, by default.
        name: of the tokenizer; that of the folder by default.
        trust: whether pickles of scikit-learn's k-means may be read. Nothing in them is run even so; see
            [`read_kmeans`][tokaudio.checkpoints.sklearn_kmeans.read_kmeans].

    Raises:
        CheckpointError: if parts are missing, damaged, do not fit together, or are pickles that are not trusted.
    """
    path = _place(Path(path))
    found = backbone if backbone is not None else backbone_in(_folder(path))
    files = _centroids(path)
    if found is None:
        remedy = "name it (--backbone NAME|FOLDER), or put its files as they are on the Hub there"
        raise CheckpointError(one_line(path, "has no backbone", remedy))
    if not files:
        raise _bare(path)
    pickled = [file for file in files if file.pickled]
    if pickled and not trust:
        raise pickled_error(path, pickled, backbone=backbone)
    chosen = by_layer(files, layers, str(path))
    tables = {layer: centroids_of(file) for layer, file in chosen.items()}
    paths = {layer: file.path for layer, file in chosen.items()}
    tokenizer = _assembled(found, tables, paths, name or PublishedSource(path).name)
    speaking = vocoder if vocoder is not None else vocoder_in(path)
    if speaking is None or speaking == "none":
        return tokenizer
    try:
        return tokenizer.with_vocoder(load_vocoder(speaking))
    except CheckpointError as error:
        raise CheckpointError(f"{error}, or leave the vocoder out (--vocoder none)") from error


def pickled_error(
    path: Path, files: Sequence[LayerFile], *, backbone: str | os.PathLike[str] | None = None
) -> CheckpointError:
    """Return the error for k-means in pickles, with the command that converts them."""
    shown = ", ".join(file.path.name for file in files[:3]) + (", ..." if len(files) > 3 else "")
    problem = (
        f"holds scikit-learn's k-means in pickles ({shown}), which can hold any program and are never opened on load"
    )
    if backbone is not None or backbone_in(_folder(path)) is None:
        where = f" --backbone {shlex.quote(str(backbone)) if backbone is not None else 'FOLDER'}"
    else:
        where = ""
    command = f"tokaudio convert --trust {shlex.quote(str(path))} DST{where}"
    return CheckpointError(one_line(path, problem, f"if you trust where they are from, convert them once: {command}"))


def _bare(path: Path) -> CheckpointError:
    quoted = shlex.quote(str(path))
    problem = "is a backbone without centroids, which gives features and no codes"
    remedy = (
        f"fit some (tokaudio fit-kmeans DATA --backbone {quoted} --layers 9 -k 500 -o DST), or take published ones "
        f"(tokaudio convert --trust KMEANS DST --backbone {quoted})"
    )
    return CheckpointError(one_line(path, problem, remedy))


def _assembled(
    backbone: str | os.PathLike[str], tables: Mapping[int, Tensor], paths: Mapping[int, Path], name: str
) -> SemanticTokenizer:
    layers = list(tables)
    network: Any = load_backbone(backbone, layers=max(layers))
    for layer, table in tables.items():
        if table.shape[1] != network.sizes.width:
            problem = f"has centroids of {table.shape[1]} dimensions, and {backbone} states of {network.sizes.width}"
            raise CheckpointError(one_line(paths[layer], problem, "give the backbone that they were fitted to"))
    origin = f"k-means ({', '.join(path.name for path in paths.values())}) over {Path(backbone).name}"
    tokenizer = make_unfilled(
        lambda: SemanticTokenizer.untrained(
            name,
            network.sizes,
            layers,
            codebook_size=[len(table) for table in tables.values()],
            origin=origin,
        )
    )
    given, own = network.state_dict(), cast("nn.Module", tokenizer.backbone)
    own.load_state_dict({key: given[key] for key in own.state_dict()}, assign=True)
    for book, table in zip(tokenizer.quantizer.books, tables.values(), strict=True):
        book.load_state_dict({"table": table})
    return tokenizer.eval().requires_grad_(False)


def centroids_of(file: LayerFile) -> Tensor:
    """Return centroids `[V, D]`, float32, of a file that is trusted if it is a pickle.

    Raises:
        CheckpointError: if it is damaged, or asks for anything besides k-means.
    """
    return read_kmeans(file.path) if file.pickled else read_centroids(file.path)


def _centroids(path: Path) -> list[LayerFile]:
    if path.is_dir():
        return find_centroids(path)
    file = LayerFile.of(path) if path.is_file() else None
    return [] if file is None else [file]


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _place(path: Path) -> Path:
    """Return what was meant: a file of weights stands for its folder."""
    return path.parent if path.is_file() and not _centroids(path) else path
