"""Safetensors files, one or several under an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.json_text import parse_json

_AGAIN = "copy or save it again, or download it anew"


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises:
        CheckpointError: if it is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(one_line(path, "is missing", "check the path, or download it")) from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(one_line(path, f"cannot be read ({error})", _AGAIN)) from error


def safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes in a safetensors file.

    Raises:
        CheckpointError: if it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(one_line(path, f"cannot be read ({error})", _AGAIN)) from error


def read_index(path: Path) -> dict[str, Path]:
    """Return which file holds each tensor, from a `*.index.json`.

    Raises:
        CheckpointError: if it cannot be read, or names a file elsewhere.
    """
    try:
        names = parse_json(path.read_bytes())["weight_map"]
        files = {str(name): str(file) for name, file in names.items()}
    except FileNotFoundError as error:
        raise CheckpointError(one_line(path, "is missing", "check the path, or download it")) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(one_line(path, f"cannot be read ({error})", _AGAIN)) from error
    for file in files.values():
        if file in ("", ".", "..") or "/" in file or "\\" in file or file.endswith(".index.json"):
            problem = f"names {file!r}, which is no file next to it"
            raise CheckpointError(one_line(path, problem, "do not use it"))
    return {name: path.parent / file for name, file in files.items()}
