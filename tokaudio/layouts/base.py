"""What every layout does: codes to ids and back, for arrays, tensors and whole `Tokens`, at once or as ids arrive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio._tokens_base import TokensBase
from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import Integers, as_array
from tokaudio.layouts.ranges import require_range
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec
from tokaudio.tokens import Tokens


class LayoutDecoder(ABC):
    """The inverse of a layout for ids that arrive bit by bit: frames come out as soon as they are complete."""

    @abstractmethod
    def push(self, ids: Integers) -> Integers:
        """Take the next ids and return the frames that they complete, codes [K, new frames].

        Raises:
            TokensError: an id that cannot stand where it does.
        """

    @abstractmethod
    def close(self) -> None:
        """Say that no more ids come.

        Raises:
            TokensError: if the ids end within a frame.
        """


class Layout(ABC):
    """An exactly invertible map between codes [K, T] of one tokenizer and ids.

    Args:
        spec: of the tokenizer.
        vocabulary: which id is which code; None for the default of the layout.
        fingerprint: of the tokenizer's weights; tokens of other weights are refused where both are known.

    Raises:
        TokensError: a vocabulary that is not for the tokenizer's codebooks.
    """

    name: ClassVar[str]

    def __init__(self, spec: TokenizerSpec, vocabulary: Vocabulary | None, fingerprint: str) -> None:
        self.spec, self.vocabulary, self.fingerprint = spec, vocabulary or Vocabulary.for_spec(spec), fingerprint
        sizes = {one.codebook: one.size for one in self.vocabulary.ranges}
        short = [k for k, size in enumerate(spec.codebook_sizes) if sizes.get(k, 0) < size]
        if short or len(sizes) != spec.num_codebooks:
            wanted = f"{spec.num_codebooks} codebooks of {list(spec.codebook_sizes)} codes"
            raise TokensError(f"{spec.name} has {wanted}, not what the vocabulary is for; use Vocabulary.for_spec")
        for k, book in enumerate(spec.codebooks):
            places = len(self.vocabulary.firsts(k))
            if places not in (1, spec.stride_period // book.stride):
                raise TokensError(f"codebook {k} has {places} phases in the vocabulary; use Vocabulary.for_spec")

    @abstractmethod
    def encode_codes(self, codes: Integers) -> Integers:
        """Return the ids of the codes [K, T] of one item.

        Raises:
            TokensError: codes of a wrong shape or range, or that change within a stride.
        """

    @abstractmethod
    def decode_ids(self, ids: Integers) -> Integers:
        """Return the codes [K, T] of the ids of one item: the inverse of `encode_codes`.

        Raises:
            TokensError: an id that cannot stand where it does; the message names the place and what it is.
        """

    @abstractmethod
    def decoder(self) -> LayoutDecoder:
        """Return the inverse for ids that arrive bit by bit; one per item."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return what makes this layout besides spec and vocabulary, as plain values for JSON."""

    def encode(self, tokens: Tokens) -> list[Tensor]:
        """Return the ids of each item, without padding, on the device of the tokens.

        Side information (`extras`) and the length in samples are not part of the ids.

        Raises:
            TokensError: tokens of another tokenizer, or with a depth that varies.
        """
        require_tokens(tokens, self.spec, self.fingerprint)
        rows = zip(tokens.codes, tokens.lengths.tolist(), strict=True)
        return [self.encode_codes(codes[:, :length]) for codes, length in rows]

    def decode(self, rows: Sequence[Tensor | NDArray[Any]], *, num_samples: Tensor | None = None) -> Tokens:
        """Return tokens of the ids of each item: the inverse of `encode`.

        Args:
            rows: ids of each item.
            num_samples: length of each item in samples, integers [B]; whole frames where None.

        Raises:
            TokensError: no rows, ids that cannot stand where they do, or lengths that do not fit.
        """
        decoded = [self.decode_ids(torch.as_tensor(row)) for row in rows]
        if not decoded:
            raise TokensError("no rows of ids to decode; give at least one")
        tokens = Tokens.batch([Tokens.from_codes(c, self.spec, fingerprint=self.fingerprint) for c in decoded])
        if num_samples is None:
            return tokens
        return Tokens(tokens.codes, tokens.lengths, num_samples, self.spec, self.fingerprint)

    def checked(self, codes: Tensor | NDArray[Any]) -> NDArray[np.int64]:
        """Return codes [K, T] as an array, after checking shape, ranges and strides."""
        return checked_codes(codes, self.spec)

    def to_dict(self) -> dict[str, Any]:
        """Return the layout as plain values, for JSON."""
        return {"name": self.name, **self.options()}

    def __repr__(self) -> str:
        shown = "".join(f", {name}={value}" for name, value in self.options().items() if value not in (None, False))
        return f"{type(self).__name__}({self.spec.name}{shown}, {self.vocabulary.size} ids)"


def require_tokens(tokens: TokensBase, spec: TokenizerSpec, fingerprint: str) -> None:
    """Refuse tokens that a layout for `spec` cannot lay out."""
    mine = tokens.spec
    facts = (mine.name, mine.sample_rate, mine.hop_length, mine.codebooks, mine.codebook_indices)
    if facts != (spec.name, spec.sample_rate, spec.hop_length, spec.codebooks, spec.codebook_indices):
        shown = f"{mine.name} with {mine.num_codebooks} codebooks"
        raise TokensError(f"these tokens are of {shown}, the layout is for {spec.name} with {spec.num_codebooks}")
    if tokens.fingerprint and fingerprint and tokens.fingerprint != fingerprint:
        weights = f"{tokens.fingerprint[:12]}, the layout is for {fingerprint[:12]}"
        raise TokensError(f"these tokens are of weights {weights}; encode with the same weights")
    if tokens.depth is not None:
        raise TokensError("these tokens have a depth that varies; layouts need all codebooks at every frame")


def checked_codes(codes: Tensor | NDArray[Any], spec: TokenizerSpec) -> NDArray[np.int64]:
    """Return codes [K, T] as an array, after checking shape, ranges and strides."""
    array = as_array("codes", codes, 2)
    if array.shape[0] != spec.num_codebooks:
        raise TokensError(f"codes have {array.shape[0]} rows for {spec.num_codebooks} codebooks; give [K, T]")
    starts = np.arange(array.shape[1])
    for k, book in enumerate(spec.codebooks):
        require_range(array[k], book.size, f"codebook {k}")
        if book.stride > 1 and (array[k] != array[k, starts // book.stride * book.stride]).any():
            raise TokensError(f"codebook {k} changes within its stride of {book.stride} frames; repeat each code")
    return array
