"""One door to every kind of published checkpoint file."""

from __future__ import annotations

import os
import shlex
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from tokaudio.checkpoints.ctranslate2 import is_ctranslate2, read_ctranslate2
from tokaudio.checkpoints.flatten import flatten
from tokaudio.checkpoints.nemo import read_nemo
from tokaudio.checkpoints.onnx import read_onnx
from tokaudio.checkpoints.packed import first_bytes
from tokaudio.checkpoints.safe import read_index, read_safetensors, safetensors_shapes
from tokaudio.checkpoints.torch_files import SAVED, map_file, read_torch
from tokaudio.errors import CheckpointError, one_line

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".th", ".ckpt", ".dev", ".nemo", ".onnx")
_LFS = b"version https://git-lfs.github.com/spec/"
_SAFE, _INDEX = ".safetensors", ".index.json"
# What k-means of scikit-learn name at their beginning, whatever is behind it.
_KMEANS = (b"sklearn", b"joblib")
_ENOUGH = 100


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        tensors: by name, on the CPU, in the file's own dtypes; they may be views of the mapped file.
        metadata: the plain values, nested as in the file; for `.nemo`, the configuration under `config`; for ONNX,
            the graph's nodes under `nodes`; for CTranslate2, `spec` and `revision`.
        path: the file.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)
    path: Path = Path()


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint file of any published kind, without running anything of it.

    Safetensors, with `.index.json` for several; files of `torch.save`; `.nemo`; ONNX; CTranslate2. Nested dictionaries
    of tensors give dotted names, without the wrappers `state_dict`, `model` and `model_state_dict`. Weight norm stays
    as it is.

    Raises:
        CheckpointError: if the file is missing, damaged, cut off, hostile, a pointer in place of a file, or of no
            known kind.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp(), "weights.pth")
        >>> torch.save({"state_dict": {"a": torch.ones(2)}, "metadata": {"kwargs": {"width": 2}}}, path)
        >>> checkpoint = read_checkpoint(path)
        >>> checkpoint.tensors, checkpoint.metadata["metadata"]["kwargs"]
        ({'a': tensor([1., 1.])}, {'width': 2})
    """
    path = Path(path)
    if path.name.endswith(_INDEX):
        names = read_index(path)
        parts = {file: read_checkpoint(file).tensors for file in set(names.values())}
        for name, file in names.items():
            if name not in parts[file]:
                raise CheckpointError(one_line(file, f"lacks tensor {name!r} of {path.name}", "download it again"))
        return Checkpoint({name: parts[file][name] for name, file in names.items()}, {}, path)
    tensors, metadata = _reader(path)(path)
    if not tensors:
        raise CheckpointError(one_line(path, "holds no tensors", "give a file of weights"))
    return Checkpoint(tensors, metadata, path)


def read_shapes(path: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a file's tensors; their values are not read.

    Raises:
        CheckpointError: as `read_checkpoint` does.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp(), "weights.pth")
        >>> torch.save({"a": torch.ones(2, 3)}, path)
        >>> read_shapes(path)
        {'a': (2, 3)}
    """
    path = Path(path)
    if path.name.endswith(_INDEX):
        names = read_index(path)
        shapes = {file: read_shapes(file) for file in set(names.values())}
        return {name: shapes[file][name] for name, file in names.items() if name in shapes[file]}
    if _reader(path) is read_safetensors:
        return safetensors_shapes(path)
    return {name: tuple(tensor.shape) for name, tensor in read_checkpoint(path).tensors.items()}


Reader = Callable[[Path], tuple[dict[str, Tensor], dict[str, Any]]]


def _reader(path: Path) -> Reader:
    """Return what reads a file, judged by its first bytes, and by its name only where they may be anything."""
    start = _first_bytes(path)
    if not start:
        raise CheckpointError(one_line(path, "is empty", "download it again"))
    if start.startswith(_LFS):
        problem = "is a git-lfs pointer, not the file itself"
        raise CheckpointError(one_line(path, problem, "run git lfs pull, or download it from its page"))
    if start.lstrip()[:9].lower() in (b"<!doctype", b"<html>\n<h") or start.lstrip()[:5].lower() == b"<html":
        raise CheckpointError(one_line(path, "is a web page, not weights", "download the file itself"))
    if not start.strip(b"\0"):
        raise CheckpointError(one_line(path, "holds nothing but zeros, as a broken download does", "download it again"))
    # Safetensors begin with the length of their header, which may look like any other mark.
    if (start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size) or path.suffix == _SAFE:
        return read_safetensors
    if start[:2] == b"PK" or (start[:1] == b"\x80" and not _is_other_pickle(start)):
        return _torch
    if _is_other_pickle(start):
        raise _unopened(path, start)
    if is_ctranslate2(start):
        return read_ctranslate2
    if path.suffix == ".onnx":
        return read_onnx
    if path.suffix == ".nemo" or tarfile.is_tarfile(path):
        return _nemo
    known = ", ".join(SUFFIXES)
    raise CheckpointError(one_line(path, "is no checkpoint of a known kind, or damaged", f"give one of {known}"))


def is_pickled_kmeans(path: str | os.PathLike[str]) -> bool:
    """Return whether a file looks like scikit-learn's k-means in a pickle, by its first bytes; it is not opened as one.

    Raises:
        CheckpointError: if it cannot be read.

    Example:
        >>> import pickle, sklearn.cluster, tempfile
        >>> path = Path(tempfile.mkdtemp(), "km.bin")
        >>> size = path.write_bytes(pickle.dumps(sklearn.cluster.KMeans(2)))
        >>> is_pickled_kmeans(path)
        True
    """
    start = _first_bytes(Path(path))
    return _is_other_pickle(start) and _names_kmeans(start)


def _is_other_pickle(start: bytes) -> bool:
    """Return whether a file is a pickle, compressed or not, that torch.save did not write."""
    inside = first_bytes(start, _ENOUGH)
    return inside[:1] == b"\x80" and SAVED not in inside


def _names_kmeans(start: bytes) -> bool:
    return any(mark in first_bytes(start, _ENOUGH) for mark in _KMEANS)


def _unopened(path: Path, start: bytes) -> CheckpointError:
    if _names_kmeans(start):
        problem = "is scikit-learn's k-means in a pickle, which can hold any program and is never opened on load"
        command = f"tokaudio convert --trust {shlex.quote(str(path))} DST.safetensors"
        remedy = f"if you trust where it is from, convert it once: {command}"
        return CheckpointError(one_line(path, problem, remedy))
    problem = "is a pickle of other objects than torch.save writes, which is never opened"
    return CheckpointError(one_line(path, problem, "save its tensors with safetensors"))


def _first_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise CheckpointError(one_line(path, "is a folder", "name a file in it"))
        with path.open("rb") as file:
            return file.read(512)
    except FileNotFoundError as error:
        raise CheckpointError(one_line(path, "is missing", "check the path, or download it")) from error
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise CheckpointError(one_line(path, problem, "check its permissions")) from error


def _torch(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return flatten(read_torch(map_file(path), path), path)


def _nemo(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    content, config = read_nemo(path)
    tensors, metadata = flatten(read_torch(content, path), path)
    return tensors, {**metadata, "config": config}
