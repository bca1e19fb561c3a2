"""The sound of one code held on, while all other codebooks stand at the code nearest to their mean.

    constant_sound(tokenizer, tokens, index=0, code=17)  # as long as the tokens, and with their means
    held_codes(tokenizer, counts, [(0, 17), (1, 3)]).sounds[0, 17]

What is heard is what the decoder makes of a sound that never was: compare codes of one codebook with each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tokaudio.analysis.decoding.interventions import constant, mean_code, mean_codes
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens

SECONDS = 0.5
"""That a code is held."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldCodes:
    """Sounds of codes.

    Attributes:
        sounds: samples `[S]` by codebook and code, channels averaged.
        sample_rate: of them, in Hz.
    """

    sounds: Mapping[tuple[int, int], NDArray[np.float32]]
    sample_rate: int


def constant_sound(tokenizer: Tokenizer, tokens: Tokens, index: int, code: int) -> Tensor:
    """Return the sound of one code held on, all other codebooks at the code nearest to their mean.

    Args:
        tokenizer: that made the tokens.
        tokens: of any sound, without a depth; the result is as long, and the means are theirs.
        index: of the codebook.
        code: that is held.

    Returns:
        Samples `[B, C, S]`.

    Raises:
        AnalysisError: if there is no such codebook, or the tokens have a depth.
        TokensError: if there is no such code, or the tokenizer does not decode.

    Example:
        >>> import torch
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> constant_sound(codec, codec.encode(torch.zeros(1_600)), 0, 5).shape
        torch.Size([1, 1, 1600])
    """
    held = constant(tokens, index, code)
    for other, table in enumerate(tokenizer.codebooks()[: tokens.spec.num_codebooks]):
        if other != index:
            held = constant(held, other, mean_codes(tokens, other, table))
    return tokenizer.decode(held)


def held_codes(
    tokenizer: Tokenizer, counts: Sequence[ArrayLike], wanted: Iterable[tuple[int, int]], *, seconds: float = SECONDS
) -> HeldCodes:
    """Return the sound of each of some codes held on, the other codebooks at their mean over all that was counted.

    Args:
        tokenizer: that decodes.
        counts: of each codebook, how often each of its codes occurred `[V]`.
        wanted: codebook and code of each sound.
        seconds: that each lasts at least.

    Raises:
        AnalysisError: if there is not one table of vectors, and of counts, for each codebook.
        TokensError: if there is no such code, or the tokenizer does not decode bare codes.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> held_codes(codec, [np.ones(1024)] * 8, [(0, 5)]).sounds[0, 5].shape
        (8000,)
    """
    if not tokenizer.decodes:
        raise tokenizer.no_decoder()
    spec, tables = tokenizer.spec, tokenizer.codebooks()
    seen = [torch.from_numpy(np.asarray(count)) for count in counts]
    if not [len(table) for table in tables] == [len(count) for count in seen] == list(spec.codebook_sizes):
        shown = f"{len(tables)} tables and {len(counts)} counts for {spec.num_codebooks} codebooks"
        raise AnalysisError(f"{shown}; held codes need one of each, as long as the codebook")
    means = [mean_code(table, count) for table, count in zip(tables, seen, strict=True)]
    frames = math.ceil(seconds * spec.frame_rate / spec.cut_period) * spec.cut_period
    level = Tokens.from_codes(torch.tensor(means)[:, None].repeat(1, frames), spec, fingerprint=tokenizer.fingerprint)
    return HeldCodes(
        {place: _mono(tokenizer.decode(constant(level, *place))) for place in wanted}, spec.output_sample_rate
    )


def _mono(sound: Tensor) -> NDArray[Any]:
    samples: NDArray[Any] = sound[0].mean(0).float().cpu().numpy()
    return samples
