"""Weight norm (arXiv 1602.07868) in the three dialects of published files, folded into plain weights.

- `X.weight_g` and `X.weight_v`: `torch.nn.utils.weight_norm`;
- `X.parametrizations.weight.original0` and `original1`: `torch.nn.utils.parametrizations.weight_norm`;
- `X.weight`: folded already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from tokaudio.errors import CheckpointError, one_line

# Endings of the norm and of the direction, and what they become.
_DIALECTS = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
_WHOLE = -1


def fold_weight_norm(tensors: Mapping[str, Tensor], *, where: str = "checkpoint") -> dict[str, Tensor]:
    """Return the tensors with every pair of norm and direction replaced by the weight that it stands for.

    The axis along which the norms were taken follows from the shape of the norm, which is 1 everywhere else: the first
    axis for convolutions, the last for the positional convolution of HuBERT. The weight is computed in float32 by the
    operation that torch uses in the forward pass, so that it is the same to the last bit.

    Args:
        tensors: by name, in any mixture of dialects.
        where: the file, for messages.

    Raises:
        CheckpointError: if one of a pair is missing, their shapes do not agree, or the weight is there as well.

    Example:
        >>> pair = {"conv.weight_g": torch.tensor([[10.0]]), "conv.weight_v": torch.tensor([[3.0, 4.0]])}
        >>> fold_weight_norm(pair)
        {'conv.weight': tensor([[6., 8.]])}
    """
    folded: dict[str, Tensor] = {}
    for name, value in tensors.items():
        stem, norm, direction = _parts(name)
        if norm is None or direction is None:
            target, result = name, value
        elif norm not in tensors or direction not in tensors:
            lacking = direction if norm in tensors else norm
            problem = f"has tensor {name!r} without {lacking!r}"
            raise CheckpointError(one_line(where, problem, "get an intact copy"))
        elif name == direction:
            continue
        else:
            target, result = f"{stem}weight", _fold(tensors[norm], tensors[direction], norm, where)
        if target in folded:
            raise CheckpointError(one_line(where, f"holds {target!r} twice, with weight norm and without", "mend it"))
        folded[target] = result
    return folded


def folded_names(names: Iterable[str]) -> frozenset[str]:
    """Return the names that `fold_weight_norm` would give.

    Example:
        >>> sorted(folded_names(["a.weight_g", "a.weight_v", "a.bias"]))
        ['a.bias', 'a.weight']
    """
    parts = ((name, *_parts(name)) for name in names)
    return frozenset(name if norm is None else f"{stem}weight" for name, stem, norm, _ in parts)


def _parts(name: str) -> tuple[str, str | None, str | None]:
    """Return what a name begins with, and the names of the norm and the direction if it is one of them."""
    for norm, direction in _DIALECTS:
        for ending in (norm, direction):
            stem = name.removesuffix(ending)
            if stem != name and (not stem or stem.endswith(".")):
                return stem, stem + norm, stem + direction
    return name, None, None


def _fold(norm: Tensor, direction: Tensor, name: str, where: str) -> Tensor:
    shape = list(direction.shape)
    if norm.dim() == 0:
        dim = _WHOLE
    else:
        # Where several axes fit, all of them have size 1, and the norm is over everything whichever is taken.
        fitting = [
            d for d in range(len(shape)) if list(norm.shape) == [n if i == d else 1 for i, n in enumerate(shape)]
        ]
        if not fitting:
            problem = f"tensor {name!r} has shape {list(norm.shape)}, which is no norm of {shape}"
            raise CheckpointError(one_line(where, problem, "get an intact copy"))
        dim = fitting[0]
    return torch._weight_norm(direction.float(), norm.float(), dim)
