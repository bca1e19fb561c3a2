"""Folders of `config.json` and `model.safetensors`: writing them, and reading them without trusting them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from tokaudio.atomic import atomic_write, output_error
from tokaudio.catalogue import builtin_folder
from tokaudio.checkpoints import check_tensors, fold_weight_norm, read_checkpoint
from tokaudio.checkpoints.configs import read_mapping
from tokaudio.errors import CheckpointError, OutputError, TokaudioError, UnknownNameError, one_line
from tokaudio.json_text import parse_json
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.building import float_dtype, make_unfilled, skeleton
from tokaudio.tokenizers.card import model_card
from tokaudio.tokenizers.published import PublishedSource, load_published
from tokaudio.tokenizers.registry import make_untrained
from tokaudio.tokenizers.resolve import check_originals, resolve

FORMAT, VERSION = "tokaudio-tokenizer", 1


def load_tokenizer(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    expected: type[Tokenizer] = Tokenizer,
) -> Tokenizer:
    """Load a tokenizer; see [`Tokenizer.from_pretrained`][tokaudio.Tokenizer.from_pretrained].

    `revision`, `cache_dir`, `local_files_only` and `token` concern the Hub only; folders and built-in names need none.
    `expected` is the class that published files must be of.
    """
    # A built-in name comes first: a folder that happens to be called so must not slip its weights in.
    folder = builtin_folder(name_or_path) if isinstance(name_or_path, str) else None
    folder = folder or Path(name_or_path)
    name = None
    if not folder.exists():
        if not isinstance(name_or_path, str):
            raise UnknownNameError(one_line(name_or_path, "is missing", "check the path"))
        folder, name = resolve(
            name_or_path,
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
        )
    check_originals(folder)
    return load_folder(folder, expected=expected, name=name, shipped=folder == builtin_folder(folder.name))


def load_folder(
    folder: Path, *, expected: type[Tokenizer] = Tokenizer, name: str | None = None, shipped: bool = False
) -> Tokenizer:
    """Load a tokenizer from a folder, of `save_pretrained` or as published, or from one file as published.

    It comes in eval mode, on the CPU, in float32.

    Args:
        folder: the folder or file.
        expected: the class that was asked for, which published files must be of.
        shipped: whether it is part of this package, so that its sizes need no comparison before memory is taken,
            for which torch would import what takes it a second.
        name: what published files are called; see [`PublishedSource`][tokaudio.tokenizers.published.PublishedSource].

    Raises:
        CheckpointError: if a file is missing or damaged, or a tensor is missing, unknown, misshapen or non-finite.
    """
    if not _is_ours(folder):
        return load_published(PublishedSource(folder, name=name), expected=expected)
    config = read_config(folder / "config.json")
    if config.get("family") == "fused":
        from tokaudio.tokenizers.fused_files import load_fused

        return load_fused(folder, config)
    path = folder / "model.safetensors"
    tensors = read_tensors(path)

    def make() -> Tokenizer:
        return make_untrained(config)

    with _explained(folder / "config.json"):
        state = None if shipped else skeleton(make)
    # Before any memory is taken, as the configuration may ask for more than there is.
    if state is not None:
        check_tensors(tensors, state, str(path))
    with _explained(folder / "config.json"):
        tokenizer = make_unfilled(make)
    if state is None:
        check_tensors(tensors, tokenizer.state_dict(), str(path))
    tokenizer.load_state_dict({name: value.to(float_dtype(value)) for name, value in tensors.items()})
    return tokenizer.eval().requires_grad_(False)


def _is_ours(folder: Path) -> bool:
    path = folder / "config.json"
    return path.is_file() and read_mapping(path).get("format") == FORMAT


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what a configuration makes go wrong into one line."""
    try:
        yield
    except (TokaudioError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        problem = " ".join(str(error).split())
        raise CheckpointError(one_line(path, problem, "get an intact copy")) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: if it is missing or damaged.
    """
    return read_checkpoint(path).tensors


def read_config(path: Path) -> dict[str, Any]:
    """Read and judge a `config.json`."""
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: is missing; give a folder that save_pretrained made") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); save the tokenizer again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not a tokaudio configuration; give a folder that save_pretrained made")
    if not isinstance(config.get("version"), int) or config["version"] > VERSION:
        raise CheckpointError(f"{path}: has version {config.get('version')!r}; upgrade tokaudio to read it")
    return config


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> Path:
    """Write a tokenizer's folder; each file appears complete or not at all.

    Weights that float16 holds exactly are stored in float16, others in float32, so that loading gives them back.

    Raises:
        OutputError: if the folder cannot be made or written.
    """
    from safetensors.torch import save

    plain = fold_weight_norm({name: value.detach().cpu() for name, value in tokenizer.state_dict().items()})
    state = {name: value.contiguous() for name, value in plain.items()}
    floats = {name: value for name, value in state.items() if value.is_floating_point()}
    if all(bool((value.half().float() == value).all()) for value in floats.values()):
        state |= {name: value.half() for name, value in floats.items()}
    config = {"format": FORMAT, "version": VERSION, **tokenizer.config(), "spec": tokenizer.spec.to_dict()}
    contents = {
        "model.safetensors": save(state, metadata={"format": "pt"}),
        "config.json": (json.dumps(config, indent=2) + "\n").encode(),
        "README.md": model_card(tokenizer.spec, tokenizer.fingerprint, decodes=tokenizer.decodes).encode(),
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
