"""From what a pickle holds to tensors by name, and the plain rest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tokaudio.checkpoints.inert import Placeholder
from tokaudio.errors import CheckpointError, one_line

# Names under which training code puts the weights; they say nothing about the network.
WRAPPERS = frozenset({"state_dict", "model", "model_state_dict"})
# Shared parts make a small pickle unfold without end.
_MAX_DEPTH, _MAX_LEAVES = 32, 1_000_000
_NOTHING = object()


def flatten(content: Mapping[Any, Any], where: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of nested dictionaries by dotted name, and the plain values in nested dictionaries.

    A dictionary of tensors that is called `state_dict`, `model` or `model_state_dict` adds nothing to the names.
    Lists of plain values are plain; what is neither tensor nor plain is left out.

    Raises:
        CheckpointError: if two tensors get one name, or the nesting is absurd.

    Example:
        >>> tensors, rest = flatten({"state_dict": {"a.b": torch.zeros(1)}, "x": 3, "net": {"c": torch.ones(1)}}, "-")
        >>> sorted(tensors), rest
        (['a.b', 'net.c'], {'x': 3})
    """
    walk = _Walk(where)
    metadata = walk.descend(content, "", 0)
    return walk.tensors, metadata


class _Walk:
    def __init__(self, where: str | os.PathLike[str]) -> None:
        self.where = where
        self.tensors: dict[str, Tensor] = {}
        self._leaves = 0

    def descend(self, content: Mapping[Any, Any], prefix: str, depth: int) -> dict[str, Any]:
        rest: dict[str, Any] = {}
        for key, value in content.items():
            self._count(depth)
            name = f"{prefix}{key}"
            if isinstance(value, Tensor):
                if name in self.tensors:
                    raise CheckpointError(one_line(self.where, f"holds tensor {name!r} twice", "keep one of them"))
                self.tensors[name] = value.detach()
            elif isinstance(value, Mapping):
                inside = prefix if key in WRAPPERS and _has_tensors(value) else f"{name}."
                nested = self.descend(value, inside, depth + 1)
                if nested or not (value or isinstance(value, Placeholder)):
                    rest[str(key)] = nested
            elif (simple := self._plain(value, depth)) is not _NOTHING:
                rest[str(key)] = simple
        return rest

    def _plain(self, value: Any, depth: int) -> Any:
        """Return a value that JSON knows, or `_NOTHING`."""
        self._count(depth)
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, (torch.dtype, torch.device, Path)):
            return str(value)
        if isinstance(value, Placeholder) and not value:
            return _NOTHING
        if isinstance(value, Mapping):
            items = {str(key): self._plain(item, depth + 1) for key, item in value.items()}
            return items if _NOTHING not in items.values() else _NOTHING
        if isinstance(value, (list, tuple, set, frozenset)):
            elements = [self._plain(item, depth + 1) for item in value]
            return elements if all(element is not _NOTHING for element in elements) else _NOTHING
        return _NOTHING

    def _count(self, depth: int) -> None:
        self._leaves += 1
        if depth > _MAX_DEPTH or self._leaves > _MAX_LEAVES:
            raise CheckpointError(one_line(self.where, "is nested beyond reason", "do not use it"))


def _has_tensors(content: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, Tensor) for value in content.values())
