"""Quantizers inside quantizers: what residual and product quantizers put in a row or side by side, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer


def make_inner(inner: str, dim: int, options: Mapping[str, Any] | None, *, seed: int) -> Quantizer:
    """Make a quantizer of vectors of width `dim` by its name.

    Args:
        inner: name in the registry.
        dim: D.
        options: arguments of its constructor besides `dim`.
        seed: for quantizers that take one and are given none.

    Raises:
        UnknownNameError: if no quantizer has this name.
        CheckpointError: if an option does not exist or is missing.

    Example:
        >>> make_inner("vq", 8, {"codebook_size": 16}, seed=3).codebook_sizes
        (16,)
    """
    # The registry lists the quantizers that have inner ones, and can only be asked later.
    from tokaudio.quantizers.registry import QUANTIZERS, make_quantizer

    given = {"dim": dim, **(options or {})}
    if inner in QUANTIZERS and "seed" in inspect.signature(QUANTIZERS[inner]).parameters:
        given = {"seed": seed, **given}
    return make_quantizer(inner, given)


def quantizer_of(modules: nn.ModuleList, index: int) -> Quantizer:
    """Return quantizer `index` of a list; of a list of one, which all share, that one."""
    module = modules[index if len(modules) > 1 else 0]
    assert isinstance(module, Quantizer)
    return module


def renumbered(stats: Mapping[str, Tensor], place: Callable[[int], int]) -> dict[str, Tensor]:
    """Return figures by names that end in the number of their codebook outside, in place of the one inside.

    Example:
        >>> import torch
        >>> sorted(renumbered({"perplexity_1": torch.ones(()), "revived": torch.ones(())}, lambda k: 10 + k))
        ['perplexity_11', 'revived_10']
    """
    placed = {}
    for name, value in stats.items():
        stem, _, number = name.rpartition("_")
        inside = number.isdecimal()
        placed[f"{stem if inside else name}_{place(int(number) if inside else 0)}"] = value
    return placed
