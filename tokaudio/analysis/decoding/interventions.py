"""Tokens with the codes of one codebook replaced: shuffled in time, held constant, or taken from another sound."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens


def check_codebook(tokens: Tokens, index: int) -> None:
    """Refuse a codebook whose codes cannot be replaced.

    Raises:
        AnalysisError: if there is no such codebook, or frames have different numbers of codebooks.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> check_codebook(Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec), 0)
    """
    if not 0 <= index < tokens.spec.num_codebooks:
        raise AnalysisError(f"codebook index must be in 0..{tokens.spec.num_codebooks - 1}, got {index}")
    if tokens.depth is not None:
        raise AnalysisError("codes can be replaced only without a depth; encode with all codebooks at every frame")


def shuffled(tokens: Tokens, index: int, *, seed: int = 0) -> Tokens:
    """Return tokens whose codes of one codebook are in random order, each item's among themselves.

    Codes of a slow codebook are moved as wholes.

    Args:
        tokens: without a depth.
        index: of the codebook.
        seed: of the order.

    Raises:
        AnalysisError: as `check_codebook`.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
        >>> tokens = Tokens.from_codes(torch.tensor([[1, 2, 3], [4, 5, 6]]), spec)
        >>> shuffled(tokens, 1).codes[0].sort().values.tolist(), shuffled(tokens, 1).codes[0, 0].tolist()
        ([[1, 2, 3], [4, 5, 6]], [1, 2, 3])
    """
    check_codebook(tokens, index)
    generator = torch.Generator().manual_seed(seed)
    stride = tokens.spec.codebooks[index].stride
    codes = tokens.codes.clone()
    for item, length in enumerate(tokens.lengths.tolist()):
        own = codes[item, index, :length:stride]
        order = torch.randperm(len(own), generator=generator).to(own.device)
        codes[item, index, :length] = own[order].repeat_interleave(stride)[:length]
    return dataclasses.replace(tokens, codes=codes)


def constant(tokens: Tokens, index: int, code: int | Tensor) -> Tokens:
    """Return tokens that have the same code of one codebook at every frame.

    Args:
        tokens: without a depth.
        index: of the codebook.
        code: one for all items, or for each `[B]`.

    Raises:
        AnalysisError: as `check_codebook`.
        TokensError: if the codebook has no such code.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
        >>> constant(Tokens.from_codes(torch.tensor([[1, 2, 3], [4, 5, 6]]), spec), 1, 7).codes.tolist()
        [[[1, 2, 3], [7, 7, 7]]]
    """
    check_codebook(tokens, index)
    codes = tokens.codes.clone()
    codes[:, index] = torch.as_tensor(code, device=codes.device).reshape(-1, 1)
    return dataclasses.replace(tokens, codes=codes)


def swapped(tokens: Tokens, other: Tokens, index: int) -> Tokens:
    """Return tokens that have one codebook from another sound, as long as the shorter of both.

    Args:
        tokens: of one item, without a depth.
        other: whose codes of the codebook are taken, likewise.
        index: of the codebook.

    Raises:
        AnalysisError: as `check_codebook`, or if there is more than one item, or the tokenizers differ.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
        >>> one, other = (Tokens.from_codes(torch.tensor(codes), spec) for codes in ([[1, 2], [3, 4]], [[5], [6]]))
        >>> swapped(one, other, 1).codes.tolist()
        [[[1], [6]]]
    """
    for side in (tokens, other):
        check_codebook(side, index)
        if len(side) != 1:
            raise AnalysisError(f"tokens of {len(side)} items; give one at a time")
    if tokens.spec != other.spec:
        raise AnalysisError(f"tokens of {tokens.spec.name} and {other.spec.name}; give those of one tokenizer")
    period = tokens.spec.cut_period
    frames = int(min(tokens.lengths[0], other.lengths[0]))
    # Frames of segments and slow codes stay whole, unless it is the end of both.
    if tokens.lengths[0] != other.lengths[0]:
        frames = frames // period * period
    cut = tokens.frames(0, frames)
    codes = cut.codes.clone()
    codes[0, index] = other.codes[0, index, :frames].to(codes.device)
    return dataclasses.replace(cut, codes=codes)


def mean_codes(tokens: Tokens, index: int, table: Tensor) -> Tensor:
    """Return for each item the code that lies nearest to the mean vector of its codes `[B]`; the lowest of equals.

    Decoders take codes, so that this one stands for the mean.

    Args:
        tokens: without a depth.
        index: of the codebook.
        table: its vectors `[V, D]`.

    Raises:
        AnalysisError: as `check_codebook`.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(3),))
        >>> table = torch.tensor([[0.0], [0.6], [1.0]])
        >>> mean_codes(Tokens.from_codes(torch.tensor([[0, 2]]), spec), 0, table).tolist()
        [1]
    """
    check_codebook(tokens, index)
    found = []
    for item, length in zip(tokens.codes[:, index].cpu(), tokens.lengths.tolist(), strict=True):
        found.append(mean_code(table, torch.bincount(item[:length], minlength=len(table))))
    return torch.tensor(found, dtype=torch.int64)


def mean_code(table: Tensor, counts: Tensor) -> int:
    """Return the code that lies nearest to the mean vector of all codes; the lowest of equals.

    Args:
        table: vectors of the codebook `[V, D]`.
        counts: how often each code occurs `[V]`.

    Example:
        >>> mean_code(torch.tensor([[0.0], [0.6], [1.0]]), torch.tensor([1, 0, 1]))
        1
    """
    vectors, times = table.detach().double().cpu(), counts.double().cpu()
    mean = times @ vectors / times.sum().clamp_min(1)
    return int((vectors - mean).square().sum(1).argmin())


def shares_space(tokenizer: Tokenizer) -> list[bool]:
    """Return for each codebook whether another one adds to the same dimensions, as residual codebooks do.

    The decoder of such a tokenizer never heard one of them without those before it.

    Example:
        >>> shares_space(Tokenizer.from_pretrained("mini-codec"))[:2]
        [True, True]
    """
    used = [table.detach().abs().amax(0).cpu() > 0 for table in tokenizer.codebooks()]
    # Tables of different widths are not of one space, as of parts with encoders of their own.
    times = {len(row): torch.stack([other for other in used if len(other) == len(row)]).sum(0) for row in used}
    return [bool((row & (times[len(row)] > 1)).any()) for row in used]
