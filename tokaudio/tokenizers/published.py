"""Tokenizers from files as others published them: a folder as it is on the Hub, or one file of weights.

Which family a checkpoint belongs to is judged by its configuration and the names of its tensors, never by the name of
its folder. A family says so in `recognises`, and makes a tokenizer in `from_published`; see
[`PublishedFamily`][tokaudio.tokenizers.published.PublishedFamily].
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from tokaudio.checkpoints import Checkpoint, fold_weight_norm, folded_names, read_checkpoint, read_shapes
from tokaudio.checkpoints.configs import read_mapping
from tokaudio.checkpoints.reading import SUFFIXES
from tokaudio.errors import CheckpointError, TokaudioError, one_line
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.building import build, load_tensors

__all__ = [
    "PublishedFamily",
    "PublishedSource",
    "build",
    "load_published",
    "load_tensors",
    "recognise",
    "title_of",
]

_STANDARD = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
# What trainers leave next to the weights.
_NOT_WEIGHTS = ("training_args*", "optimizer*", "scheduler*", "rng_state*", "scaler*", "*-of-*")
_YAML = (".yaml", ".yml")


class PublishedSource:
    """A folder as it is on the Hub, or one file of weights with what lies next to it.

    Nothing is read before it is asked for, and nothing is read twice.

    Args:
        path: the folder, or the file.
        name: what it is called, such as `facebook/encodec_24khz`; else taken from the Hub's cache, or from the path.

    Attributes:
        path: as given.
        name: what it is called, for messages and specs; say nothing about the family from it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> torch.save({"conv.weight_g": torch.ones(2, 1), "conv.weight_v": torch.eye(2)}, folder / "a.pth")
        >>> source = PublishedSource(folder)
        >>> source.names(), source.tensors()["conv.weight"].shape, source.config
        (frozenset({'conv.weight'}), torch.Size([2, 2]), None)
    """

    def __init__(self, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        self.path = Path(path)
        self.name = name or _name_of(self.path)
        self._checkpoints: dict[Path, Checkpoint] = {}
        self._shapes: dict[Path, dict[str, tuple[int, ...]]] = {}

    @cached_property
    def config(self) -> dict[str, Any] | None:
        """The fields of `config.json`, else of the one YAML file, else of the configuration inside the weights.

        Next to a single file, a configuration of the same name comes first. None if there is no configuration.
        """
        folder = self.path if self.path.is_dir() else self.path.parent
        own = [] if self.path.is_dir() else [self.path.with_suffix(end) for end in (".json", *_YAML)]
        for path in (*own, folder / "config.json"):
            if path.is_file():
                return read_mapping(path)
        yamls = sorted(path for path in folder.iterdir() if path.suffix in _YAML) if folder.is_dir() else []
        if len(yamls) == 1:
            return read_mapping(yamls[0])
        if not self.weight_files():
            return None
        inside = self.checkpoint().metadata.get("config") if self.weight_file().suffix == ".nemo" else None
        return inside if isinstance(inside, dict) else None

    def weight_files(self) -> list[Path]:
        """Return all files that may hold weights, by name."""
        if not self.path.is_dir():
            return [self.path]
        files = (path for path in self.path.iterdir() if path.is_file() and not path.name.startswith("."))
        weights = (path for path in files if path.suffix in SUFFIXES or path.name in _STANDARD)
        return sorted(p for p in weights if not any(fnmatch.fnmatch(p.name, pattern) for pattern in _NOT_WEIGHTS))

    def weight_file(self, prefer: Sequence[str] = ()) -> Path:
        """Return the file of weights.

        Args:
            prefer: names or patterns such as `tokenizer-*.safetensors`, of which the first that fits one file wins;
                else `model.safetensors`, `pytorch_model.bin`, the only `.safetensors`, the only file of another kind.

        Raises:
            CheckpointError: if there is none, or it is not clear which.
        """
        files = self.weight_files()
        names = [path.name for path in files]
        for pattern in (*prefer, *_STANDARD, "*.safetensors", "*"):
            fitting = fnmatch.filter(names, pattern)
            if len(fitting) == 1:
                return files[names.index(fitting[0])]
            if fitting:
                several = f"holds several files of weights ({', '.join(fitting[:6])}{', ...' * (len(fitting) > 6)})"
                raise CheckpointError(one_line(self.path, several, "give the path of the one that you mean"))
        raise CheckpointError(
            one_line(self.path, "holds no weights", f"give a folder with one of {', '.join(SUFFIXES)}")
        )

    def checkpoint(self, prefer: Sequence[str] = ()) -> Checkpoint:
        """Return what the file of weights holds, as it is; `prefer` as for `weight_file`.

        Raises:
            CheckpointError: if the file is missing, damaged or unclear.
        """
        path = self.weight_file(prefer)
        if path not in self._checkpoints:
            self._checkpoints[path] = read_checkpoint(path)
        return self._checkpoints[path]

    def tensors(self, prefer: Sequence[str] = ()) -> dict[str, Tensor]:
        """Return the tensors with weight norm folded; others keep the dtype of the file.

        Raises:
            CheckpointError: if the file is missing, damaged or unclear.
        """
        checkpoint = self.checkpoint(prefer)
        return fold_weight_norm(checkpoint.tensors, where=str(checkpoint.path))

    def shapes(self, prefer: Sequence[str] = ()) -> dict[str, tuple[int, ...]]:
        """Return the names and shapes in the file, weight norm not folded; values are not read."""
        path = self.weight_file(prefer)
        if path not in self._shapes:
            self._shapes[path] = read_shapes(path)
        return self._shapes[path]

    def names(self, prefer: Sequence[str] = ()) -> frozenset[str]:
        """Return the names that `tensors` would give; values are not read."""
        return folded_names(self.shapes(prefer))


@runtime_checkable
class PublishedFamily(Protocol):
    """A family of tokenizers that reads published files.

    It may also have a `TITLE`, its name in messages, such as `SNAC`; else that is the name of the class.

    Attributes:
        FAMILY: its name in the registry, such as `snac`.
    """

    FAMILY: str

    def recognises(self, source: PublishedSource) -> bool:
        """Return whether the files are of this family, by fields of the configuration or names of tensors."""

    def from_published(self, source: PublishedSource) -> Tokenizer:
        """Make the tokenizer; use `build` for its networks."""

    def from_config(self, config: Mapping[str, Any]) -> Tokenizer:
        """Make an untrained tokenizer from what our own `config.json` holds."""


def recognise(source: PublishedSource) -> PublishedFamily:
    """Return the family of published files.

    Raises:
        CheckpointError: if the files are of no known family, of several, or unreadable.
    """
    from tokaudio.tokenizers.registry import FAMILIES

    families: dict[str, PublishedFamily] = {
        name: family for name, family in FAMILIES.items() if isinstance(family, PublishedFamily)
    }
    found: list[PublishedFamily] = []
    unreadable: CheckpointError | None = None
    for family in families.values():
        try:
            if family.recognises(source):
                found.append(family)
        except CheckpointError as error:
            unreadable = unreadable or error
    if len(found) == 1:
        return found[0]
    if found:
        problem = f"looks like weights of {' and of '.join(map(title_of, found))}"
        raise CheckpointError(one_line(source.path, problem, "load it with the class of the family that you mean"))
    if unreadable is not None:
        raise unreadable
    known = ", ".join(sorted(map(title_of, families.values()))) or "none"
    remedy = f"check the path; the known families are {known}"
    raise CheckpointError(one_line(source.path, f"is of no known family ({_summary(source)})", remedy))


def load_published(source: PublishedSource, *, expected: type[Tokenizer] = Tokenizer) -> Tokenizer:
    """Load a tokenizer from published files; it comes in eval mode, on the CPU, in float32.

    Args:
        source: the files.
        expected: the class that was asked for; with a family's class, only that family is considered.

    Raises:
        CheckpointError: if the files are of no known family, of another than `expected`, or damaged.
    """
    if not source.path.exists():
        raise CheckpointError(one_line(source.path, "is missing", "check the path, or download it"))
    # A folder of parts may hold its weights one folder deeper; families know what to make of it.
    if not source.weight_files() and not any((source.path / part).is_dir() for part in ("kmeans", "backbone")):
        source.weight_file()
    # A class that was named needs no vote: its own word is enough.
    named: Any = expected
    own_word = isinstance(named, PublishedFamily) and _recognises(named, source)
    family: Any = named if own_word else recognise(source)
    if not issubclass(family, expected):
        problem = f"is a {title_of(family)} checkpoint, not a {title_of(expected)} one"
        raise CheckpointError(one_line(source.path, problem, "load it with Tokenizer.from_pretrained"))
    try:
        tokenizer = family.from_published(source)
    except TokaudioError:
        raise
    except (LookupError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".replace(";", ",")
        problem = f"does not make a {title_of(family)} tokenizer ({detail})"
        raise CheckpointError(one_line(source.path, problem, "get an intact copy")) from error
    return _finished(tokenizer, str(source.path))


def _recognises(family: PublishedFamily, source: PublishedSource) -> bool:
    try:
        return family.recognises(source)
    except CheckpointError:
        # Others may need other files; if none can read them, one of them says why.
        return False


def title_of(family: object) -> str:
    """Return what messages call a class of tokenizers."""
    return str(getattr(family, "TITLE", None) or getattr(family, "__name__", family))


def _finished(tokenizer: Tokenizer, where: str) -> Tokenizer:
    """Return a tokenizer ready for use, or refuse what a family let through."""
    for name, value in tokenizer.state_dict().items():
        if value.is_floating_point() and value.dtype != torch.float32:
            raise CheckpointError(one_line(where, f"gave tensor {name!r} in {value.dtype}", "save it in float32"))
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(one_line(where, f"tensor {name!r} holds a NaN or an Inf", "get an intact copy"))
    return tokenizer.eval().requires_grad_(False)


def _name_of(path: Path) -> str:
    """Return the repository of a folder in the Hub's cache (`models--OWNER--NAME`), or the last part of a path."""
    for part in reversed(path.absolute().parts):
        if part.startswith("models--"):
            return part.removeprefix("models--").replace("--", "/")
    return path.name or path.absolute().name


def _summary(source: PublishedSource) -> str:
    """Return what was found, in few words."""
    config = source.config
    fields = ", ".join(sorted(map(str, config))[:4]) if config else ""
    parts = [f"configuration with {fields}" if config else "no configuration"]
    try:
        names = sorted(source.names())
        parts.append(f"{len(names)} tensors such as {names[0]}")
    except CheckpointError:
        parts.append("no readable weights")
    return ", ".join(parts)
