"""Folders of `config.json` and `model.safetensors`: writing them, and reading them without trusting them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tokaudio.atomic import atomic_write, output_error
from tokaudio.catalogue import builtin_folder
from tokaudio.errors import CheckpointError, OutputError, TokaudioError, UnknownNameError, one_line
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.card import model_card
from tokaudio.tokenizers.registry import make_untrained
from tokaudio.tokenizers.resolve import resolve

FORMAT, VERSION = "tokaudio-tokenizer", 1
# What float32 holds exactly; float64 would be rounded, or overflow after it was found finite.
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def load_tokenizer(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Tokenizer:
    """Load a tokenizer; see [`Tokenizer.from_pretrained`][tokaudio.Tokenizer.from_pretrained].

    `revision`, `cache_dir`, `local_files_only` and `token` concern the Hub only; folders and built-in names need none.
    """
    # A built-in name comes first: a folder that happens to be called so must not slip its weights in.
    folder = builtin_folder(name_or_path) if isinstance(name_or_path, str) else None
    folder = folder or Path(name_or_path)
    if not folder.exists():
        if not isinstance(name_or_path, str):
            raise UnknownNameError(one_line(name_or_path, "is missing", "check the path"))
        folder = resolve(
            name_or_path,
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
        ).path
    return load_folder(folder)


def load_folder(folder: Path) -> Tokenizer:
    """Load a tokenizer from a folder; it comes in eval mode, on the CPU, in float32.

    Raises:
        CheckpointError: if a file is missing or damaged, or a tensor is missing, unknown, misshapen or non-finite.
    """
    config = read_config(folder / "config.json")
    try:
        tokenizer = make_untrained(config)
    except (TokaudioError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        problem = " ".join(str(error).split())
        raise CheckpointError(one_line(folder / "config.json", problem, "get an intact copy")) from error
    path = folder / "model.safetensors"
    tensors = read_tensors(path)
    check_tensors(tensors, tokenizer.state_dict(), str(path))
    tokenizer.load_state_dict({name: value.float() for name, value in tensors.items()})
    return tokenizer.eval().requires_grad_(False)


def read_config(path: Path) -> dict[str, Any]:
    """Read and judge a `config.json`."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: is missing; give a folder that save_pretrained made") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); save the tokenizer again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not a tokaudio configuration; give a folder that save_pretrained made")
    if not isinstance(config.get("version"), int) or config["version"] > VERSION:
        raise CheckpointError(f"{path}: has version {config.get('version')!r}; upgrade tokaudio to read it")
    return config


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: is missing; give a folder that save_pretrained made") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); copy or save it again") from error


def check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """Refuse tensors that are missing, unknown, misshapen, of a wrong type, or that hold a NaN or an Inf.

    One NaN in a codebook would win every comparison and turn all sound into one code, silently.
    """
    for problem, names in (
        ("lacks", sorted(expected.keys() - found.keys())),
        ("has the unknown", sorted(found.keys() - expected.keys())),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise CheckpointError(f"{where}: {problem} tensor {names[0]!r}{more}; are these another model's weights?")
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{list(tensor.shape)}, not {list(expected[name].shape)}"
            raise CheckpointError(f"{where}: tensor {name!r} has shape {shapes}; are these another model's weights?")
        if tensor.dtype not in _DTYPES:
            raise CheckpointError(f"{where}: tensor {name!r} is {tensor.dtype}; save it again in float32 or float16")
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{where}: tensor {name!r} holds a NaN or an Inf; get an intact copy")


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> Path:
    """Write a tokenizer's folder; each file appears complete or not at all.

    Weights that float16 holds exactly are stored in float16, others in float32, so that loading gives them back.

    Raises:
        OutputError: if the folder cannot be made or written.
    """
    from safetensors.torch import save

    state = {name: value.detach().cpu().contiguous() for name, value in tokenizer.state_dict().items()}
    if all(bool((value.half().float() == value).all()) for value in state.values()):
        state = {name: value.half() for name, value in state.items()}
    config = {"format": FORMAT, "version": VERSION, **tokenizer.config(), "spec": tokenizer.spec.to_dict()}
    contents = {
        "model.safetensors": save(state, metadata={"format": "pt"}),
        "config.json": (json.dumps(config, indent=2) + "\n").encode(),
        "README.md": model_card(tokenizer.spec, tokenizer.fingerprint).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(one_line(folder, "is not a folder", "choose another name")) from error
    except OSError as error:
        raise output_error(folder, error) from error
    for name, content in contents.items():
        atomic_write(folder / name, content, overwrite=True)
    return folder
