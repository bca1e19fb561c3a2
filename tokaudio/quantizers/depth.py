"""Vectors of codes whose number differs from frame to frame: hierarchical codebooks with dynamic allocation.

Where a frame has fewer codes than there are codebooks, it has the first ones, and the places of the others hold
`NO_CODE`. `Tokens` says the same with a depth per frame and zeros in those places.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tokaudio.errors import TokensError

# Far from every number that arithmetic on codes gives by mistake: -1 stays a code out of range.
NO_CODE = -(2**31)


def without_unused(codes: Tensor, depth: Tensor) -> Tensor:
    """Return codes `[B, K, T]` with `NO_CODE` beyond the depth `[B, T]` of each frame.

    Example:
        >>> without_unused(torch.tensor([[[5, 6], [7, 0]]]), torch.tensor([[2, 1]])).tolist()
        [[[5, 6], [7, -2147483648]]]
    """
    books = torch.arange(codes.shape[1], device=codes.device)[None, :, None]
    return codes.masked_fill(books >= depth[:, None], NO_CODE)


def depth_of(codes: Tensor) -> Tensor:
    """Return how many codes each frame of `[B, K, T]` has, `[B, T]`.

    Raises:
        TokensError: if a code follows a place without one.

    Example:
        >>> depth_of(torch.tensor([[[5, 6], [7, NO_CODE]]])).tolist()
        [[2, 1]]
    """
    there = codes != NO_CODE
    if bool((there[:, 1:] & ~there[:, :-1]).any()):
        raise TokensError("a frame has a later code and lacks an earlier one; give the first codes of every frame")
    return there.sum(dim=1)


def decode_to_depth(decode: Callable[[Tensor], Tensor], codes: Tensor) -> Tensor:
    """Return the vectors `[B, D, T]` of codes `[B, K, T]`, each frame's of the codes that it has.

    A frame without any has a vector of zeros.

    Args:
        decode: from codes `[B, k, T]`, k up to K, to vectors, frame by frame, such as a quantizer's `decode`.
        codes: with `NO_CODE` where a frame has none.

    Raises:
        TokensError: if a code follows a place without one.

    Example:
        >>> decode_to_depth(lambda codes: codes.sum(1, keepdim=True).float(), torch.tensor([[[5, 6], [7, NO_CODE]]]))
        tensor([[[12.,  6.]]])
    """
    depth = depth_of(codes)
    codes, books = codes.clamp_min(0), codes.shape[1]
    present = [d for d in depth.unique().tolist() if d]
    if present == [books] and bool((depth > 0).all()):
        return decode(codes)
    vectors: Tensor | None = None
    for d in present or [books]:
        found = decode(codes[:, :d])
        chosen = (depth == d)[:, None]
        vectors = torch.where(chosen, found, 0.0 if vectors is None else vectors)
    assert vectors is not None
    return vectors
