"""Cutting signals into pieces, for everything that runs block by block."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from tokaudio.nn.stages import Stage


def pieces(longest: int) -> st.SearchStrategy[list[int]]:
    """Lengths of pieces, some of them empty, that add up to 1 to `longest` and more."""
    return st.lists(st.integers(0, longest // 3), min_size=1, max_size=8).filter(lambda cuts: sum(cuts) > 0)


def in_pieces(stage: Stage, x: Tensor, cuts: list[int]) -> Tensor:
    """Run a stage over `[n, C]` cut into pieces; the last piece ends it."""
    blocks = x.split(cuts)
    return torch.cat([stage(block, last=i == len(blocks) - 1) for i, block in enumerate(blocks)])
