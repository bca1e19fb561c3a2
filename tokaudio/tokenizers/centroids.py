"""Centroids of one layer in a file of their own, beside a backbone or to be put there.

    ./hubert-base/config.json, pytorch_model.bin, preprocessor_config.json    # as on the Hub
    ./hubert-base/kmeans/km500_L9.safetensors                                 # one tensor, `centroids` [V, D]

The layer is in a file's metadata, or in its name. Published k-means are pickles (SpeechBrain's
`LibriSpeech_wavlm_k1000_L7.pt`, fairseq's `hubert_base_ls960_L9_km500.bin`): they are found here, and opened only by
who says that they are trusted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tokaudio.atomic import atomic_write
from tokaudio.checkpoints.reading import is_pickled_kmeans
from tokaudio.checkpoints.safe import read_safetensors, safetensors_shapes
from tokaudio.errors import CheckpointError, one_line

FOLDER, SUFFIX = "kmeans", ".safetensors"
_TENSOR = "centroids"
_LAYER = re.compile(r"(?:^|[_.-])(?:L|layer[_-]?)(\d{1,3})(?=[_.-]|$)")


@dataclass(frozen=True, slots=True)
class LayerFile:
    """A file of centroids.

    Attributes:
        path: the file.
        layer: of the backbone; None where neither the file nor its name says it.
        pickled: whether it is a pickle.
    """

    path: Path
    layer: int | None
    pickled: bool

    @classmethod
    def of(cls, path: Path) -> LayerFile | None:
        """Return what a file is; None if it holds no centroids. Pickles are judged by their first bytes only.

        Raises:
            CheckpointError: if it cannot be read.
        """
        if path.suffix == SUFFIX:
            if set(safetensors_shapes(path)) != {_TENSOR}:
                return None
            said = read_safetensors(path)[1].get("layer", "")
            return cls(path, int(said) if said.isdecimal() else layer_in_name(path.name), False)
        return cls(path, layer_in_name(path.name), True) if path.stat().st_size and is_pickled_kmeans(path) else None


def layer_in_name(name: str) -> int | None:
    """Return the layer that a file's name states; None if it states none, or several.

    Example:
        >>> layer_in_name("LibriSpeech_wavlm_k1000_L7.pt"), layer_in_name("hubert_base_ls960_L9_km500.bin")
        (7, 9)
        >>> layer_in_name("km.bin")
    """
    found = set(_LAYER.findall(name))
    return int(found.pop()) if len(found) == 1 else None


def find_centroids(folder: Path) -> list[LayerFile]:
    """Return the files of centroids in a folder and in its `kmeans`; no pickle of a layer that has a safe file.

    Raises:
        CheckpointError: if a file cannot be read.
    """
    places = [place for place in (folder, folder / FOLDER) if place.is_dir()]
    paths = sorted(path for place in places for path in place.iterdir() if path.is_file() and path.name[0] != ".")
    files = [file for path in paths if (file := LayerFile.of(path)) is not None]
    safe = {file.layer for file in files if not file.pickled and file.layer is not None}
    return [file for file in files if not file.pickled or file.layer not in safe]


def by_layer(files: Sequence[LayerFile], layers: Sequence[int] | None, where: str) -> dict[int, LayerFile]:
    """Return the file of each layer, in the order of `layers`, or of their numbers.

    Args:
        files: at least one.
        layers: the ones that are wanted; None for all. It names the layer of a single file that does not say it.
        where: the folder, for messages.

    Raises:
        CheckpointError: if a layer is missing, has two files, or is not known.

    Example:
        >>> by_layer([LayerFile(Path("km.bin"), None, True)], [6], "hubert")[6].path.name
        'km.bin'
    """
    if len(files) == 1 and files[0].layer is None and layers is not None and len(layers) == 1:
        return {layers[0]: files[0]}
    found: dict[int, LayerFile] = {}
    for file in files:
        if file.layer is None:
            remedy = "name one layer (--layers 6)" if len(files) == 1 else "put it in its name, as in km500_L9.bin"
            raise CheckpointError(one_line(file.path, "does not say which layer it is for", remedy))
        if file.layer in found:
            problem = f"is for layer {file.layer}, and so is {found[file.layer].path.name}"
            raise CheckpointError(one_line(file.path, problem, "keep one of them"))
        found[file.layer] = file
    if layers is None:
        return dict(sorted(found.items()))
    missing = [layer for layer in layers if layer not in found]
    if missing or len(set(layers)) < len(layers):
        problem = f"has no centroids of layer {missing[0]}" if missing else f"is asked for {list(layers)}"
        raise CheckpointError(one_line(where, problem, f"give different ones of {sorted(found)}"))
    return {layer: found[layer] for layer in layers}


def read_centroids(path: str | os.PathLike[str]) -> Tensor:
    """Return centroids `[V, D]`, float32, of a safetensors file.

    Raises:
        CheckpointError: if they are missing, damaged, of a wrong shape or not finite.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "km2_L9.safetensors")
        >>> write_centroids(path, torch.eye(2), layer=9)
        >>> read_centroids(path).shape, LayerFile.of(path).layer
        (torch.Size([2, 2]), 9)
    """
    found = read_safetensors(Path(path))[0].get(_TENSOR)
    if found is None or found.ndim != 2 or not found.numel() or not found.is_floating_point():
        raise CheckpointError(one_line(path, "holds no centroids [V, D]", "make it with tokaudio convert --trust"))
    if not bool(torch.isfinite(found).all()):
        raise CheckpointError(one_line(path, "has centroids with a NaN or an Inf", "get an intact copy"))
    return found.float()


def write_centroids(
    path: str | os.PathLike[str], centroids: Tensor, *, layer: int | None = None, overwrite: bool = False
) -> None:
    """Write centroids `[V, D]` to a safetensors file.

    Raises:
        OutputError: if the file exists (without `overwrite`), or cannot be written.
    """
    from safetensors.torch import save

    metadata = {"format": "pt"} | ({} if layer is None else {"layer": str(layer)})
    atomic_write(path, save({_TENSOR: centroids.contiguous()}, metadata=metadata), overwrite=overwrite)
