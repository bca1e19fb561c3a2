"""Integers in and out, as numpy arrays or torch tensors: whichever goes in comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.errors import TokensError

Integers = TypeVar("Integers", Tensor, NDArray[Any])
"""A torch tensor or a numpy array; a function that has it twice returns what it was given."""


def as_array(what: str, values: Tensor | NDArray[Any] | Sequence[int], dimensions: int) -> NDArray[np.int64]:
    """Return integers as an int64 array with a given number of dimensions.

    Raises:
        TokensError: other values, or another number of dimensions.

    Example:
        >>> as_array("ids", torch.tensor([3, 1]), 1)
        array([3, 1])
    """
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    empty = array.size == 0 and array.dtype.kind == "f" and not isinstance(values, Tensor)
    if (array.dtype.kind not in "iu" and not empty) or array.ndim != dimensions:
        shape = f"{array.dtype} {list(array.shape)}"
        raise TokensError(f"{what} are {shape}; give integers with {dimensions} dimension{'s' * (dimensions > 1)}")
    return array.astype(np.int64)


def like(array: NDArray[np.int64], given: Integers) -> Integers:
    """Return an array as what was given: a tensor on its device, or an array.

    Example:
        >>> like(np.array([3, 1]), torch.tensor([0]))
        tensor([3, 1])
    """
    if isinstance(given, Tensor):
        return torch.from_numpy(np.ascontiguousarray(array)).to(given.device)
    return array
