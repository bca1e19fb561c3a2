"""A short name for a set of weights, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor


def fingerprint_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the first 16 hexadecimal digits of a SHA-256 over names, dtypes, shapes and little-endian values.

    Example:
        >>> import torch
        >>> fingerprint_of({"a": torch.zeros(2)}) == fingerprint_of({"a": torch.zeros(3)})
        False
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]
