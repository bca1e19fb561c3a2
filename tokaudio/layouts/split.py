"""The first codebook as a sequence, the others level by level: what VALL-E (arXiv:2301.02111) trains two models on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import Integers, as_array, like
from tokaudio.layouts.base import checked_codes, require_tokens
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec
from tokaudio.tokens import Tokens


@dataclass(frozen=True)
class Level:
    """What a non-autoregressive model learns of one level: all codes of it at once, from those before it.

    Attributes:
        known: ids of the codebooks before it, [level, T].
        wanted: ids of its codebook, [T].
    """

    known: Tensor | NDArray[Any]
    wanted: Tensor | NDArray[Any]


class SplitLayout:
    """Codes [K, T] as a row of ids [T] of the first codebook and ids [K - 1, T] of the others.

    The row is for an autoregressive model, which writes it from left to right and ends it with a special id of the
    vocabulary; the levels are for a model that writes a codebook at a time. Whatever number of levels is there
    decodes, to tokens of so many codebooks.

    Args:
        spec: of the tokenizer, whose codebooks all have one rate.
        vocabulary: which id is which code; `Vocabulary.for_spec(spec)` where None.
        fingerprint: of the tokenizer's weights.

    Raises:
        TokensError: codebooks of several rates, or a vocabulary that is for others.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 3)
        >>> layout = SplitLayout(spec, vocabulary=Vocabulary.for_spec(spec, specials=["eos"]))
        >>> first, others = layout.encode_codes(np.array([[1, 2], [3, 4], [5, 6]]))
        >>> first.tolist(), others.tolist()
        ([2, 3], [[12, 13], [22, 23]])
        >>> layout.decode_ids(first, others[:1]).tolist()
        [[1, 2], [3, 4]]
    """

    name = "split"

    def __init__(self, spec: TokenizerSpec, *, vocabulary: Vocabulary | None = None, fingerprint: str = "") -> None:
        self.spec, self.fingerprint = spec, fingerprint
        self.vocabulary = vocabulary or Vocabulary.for_spec(spec)
        if spec.stride_period > 1:
            raise TokensError(f"{spec.name} has codebooks of several rates; levels need one rate, use a FlatLayout")
        if self.vocabulary.num_codebooks != spec.num_codebooks:
            raise TokensError(f"a vocabulary of {self.vocabulary.num_codebooks} codebooks; use Vocabulary.for_spec")
        self._firsts = np.array([int(self.vocabulary.firsts(k)[0]) for k in range(spec.num_codebooks)])[:, None]

    def encode_codes(self, codes: Integers) -> tuple[Integers, Integers]:
        """Return the ids [T] of the first codebook and the ids [K - 1, T] of the others.

        Raises:
            TokensError: codes of a wrong shape or range.
        """
        ids = checked_codes(codes, self.spec) + self._firsts
        return like(ids[0], codes), like(ids[1:], codes)

    def decode_ids(self, first: Integers, others: Integers) -> Integers:
        """Return codes [1 + levels, T] of the first row and of as many levels as there are.

        Raises:
            TokensError: ids of another codebook, or levels of another length.
        """
        head, rest = as_array("ids of the first codebook", first, 1), as_array("ids of the levels", others, 2)
        if rest.shape[0] >= self.spec.num_codebooks or (rest.shape[0] and rest.shape[1] != len(head)):
            most = self.spec.num_codebooks - 1
            raise TokensError(f"levels of shape {list(rest.shape)}; give up to {most} of length {len(head)}")
        ids = np.concatenate([head[None], rest]) if rest.shape[0] else head[None]
        for k, row in enumerate(ids):
            books, _, _ = self.vocabulary.lookup(row)
            wrong = np.flatnonzero(books != k)
            if len(wrong):
                number = int(row[wrong[0]])
                found = f"position {wrong[0]} of level {k} holds id {number}, {self.vocabulary.name_of(number)}"
                raise TokensError(f"{found}; give ids of codebook {k}, and cut special ids off first")
        return like(checked_codes(ids - self._firsts[: len(ids)], self.spec.select(len(ids))), first)

    def level(self, codes: Integers, number: int) -> Level:
        """Return what is known and what is wanted at a level, 1 to K - 1.

        Raises:
            TokensError: a level that does not exist, or codes of a wrong shape or range.

        Example:
            >>> from tokaudio.spec import CodebookSpec
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 3)
            >>> layout = SplitLayout(spec, vocabulary=Vocabulary.for_spec(spec, specials=[]))
            >>> level = layout.level(np.array([[1, 2], [3, 4], [5, 6]]), 2)
            >>> level.known.tolist(), level.wanted.tolist()
            ([[1, 2], [11, 12]], [21, 22])
        """
        if not 1 <= number < self.spec.num_codebooks:
            raise TokensError(f"level {number} of {self.spec.num_codebooks - 1}; count from 1")
        ids = checked_codes(codes, self.spec) + self._firsts
        return Level(like(ids[:number], codes), like(ids[number], codes))

    def encode(self, tokens: Tokens) -> list[tuple[Tensor, Tensor]]:
        """Return the two parts of each item, without padding.

        Raises:
            TokensError: tokens of another tokenizer, or with a depth that varies.
        """
        require_tokens(tokens, self.spec, self.fingerprint)
        rows = zip(tokens.codes, tokens.lengths.tolist(), strict=True)
        return [self.encode_codes(codes[:, :length]) for codes, length in rows]

    def decode(self, parts: list[tuple[Tensor, Tensor]]) -> Tokens:
        """Return tokens of the two parts of each item; with fewer levels, tokens of fewer codebooks.

        Raises:
            TokensError: no parts, parts with different numbers of levels, or ids of another codebook.
        """
        decoded = [self.decode_ids(torch.as_tensor(first), torch.as_tensor(others)) for first, others in parts]
        if len({codes.shape[0] for codes in decoded}) != 1:
            raise TokensError(f"{len(decoded)} items with different numbers of levels, or none; give all the same")
        spec = self.spec.select(decoded[0].shape[0])
        return Tokens.batch([Tokens.from_codes(codes, spec, fingerprint=self.fingerprint) for codes in decoded])
