"""Training checkpoints: tensors and plain values, nested, in one safetensors file; no pickle is written or opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tokaudio.atomic import atomic_write
from tokaudio.checkpoints.safe import read_safetensors
from tokaudio.errors import CheckpointError, one_line

CHECKPOINT = "checkpoint.safetensors"
_TREE = "tree"


def write_checkpoint(path: Path, tree: Mapping[str, Any]) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers, text, booleans and None.

    Tensors are stored by number; the file's metadata holds the tree as JSON, which gives finite and other numbers back
    to the last bit. The previous file stays valid until the new one is complete.

    Raises:
        OutputError: if it cannot be written.
        TypeError: if the tree holds anything else.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / CHECKPOINT
        >>> write_checkpoint(path, {"done": 3, "state": {0: torch.ones(2), "rates": (0.1, None)}})
        >>> read_checkpoint(path)
        {'done': 3, 'state': {0: tensor([1., 1.]), 'rates': (0.1, None)}}
    """
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    plan = json.dumps(_taken_apart(tree, tensors))
    atomic_write(path, save(tensors, metadata={_TREE: plan}), overwrite=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `write_checkpoint` wrote, with all tensors on the CPU.

    Raises:
        CheckpointError: if it cannot be read, or is none.
    """
    tensors, metadata = read_safetensors(path)
    try:
        tree = _put_together(json.loads(metadata[_TREE]), tensors)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        problem = f"is no training checkpoint ({type(error).__name__}: {error})"
        raise CheckpointError(one_line(path, problem, "delete it to start again")) from error
    if not isinstance(tree, dict):
        raise CheckpointError(one_line(path, "is no training checkpoint", "delete it to start again"))
    return tree


def _taken_apart(node: Any, tensors: dict[str, Tensor]) -> list[Any]:
    """Return a node as JSON: its kind and its content; tensors are put aside."""
    if isinstance(node, Tensor):
        name = str(len(tensors))
        # A copy: two tensors of one file may not share memory.
        tensors[name] = node.detach().cpu().clone().contiguous()
        return ["tensor", name]
    if isinstance(node, Mapping):
        for key in node:
            if type(key) not in (str, int):
                raise TypeError(f"a checkpoint cannot hold the key {key!r}")
        return ["dict", [[key, _taken_apart(value, tensors)] for key, value in node.items()]]
    if isinstance(node, (list, tuple)):
        kind = "tuple" if isinstance(node, tuple) else "list"
        return [kind, [_taken_apart(value, tensors) for value in node]]
    if node is None or isinstance(node, (bool, int, float, str)):
        return ["plain", node]
    raise TypeError(f"a checkpoint cannot hold a {type(node).__name__}")


def _put_together(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return the node that `_taken_apart` described."""
    kind, content = node
    match kind:
        case "tensor":
            return tensors[content]
        case "dict":
            return {key: _put_together(value, tensors) for key, value in content}
        case "list":
            return [_put_together(value, tensors) for value in content]
        case "tuple":
            return tuple(_put_together(value, tensors) for value in content)
        case "plain":
            return content
    raise ValueError(f"a node of kind {kind!r}")
