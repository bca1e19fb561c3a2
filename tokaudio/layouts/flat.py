"""Layouts with one row of ids [L]: frame by frame, coarse first, semantic then acoustic; see `orders`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import Integers, as_array, like
from tokaudio.layouts.base import Layout
from tokaudio.layouts.flat_decoder import FlatDecoder
from tokaudio.layouts.orders import SEPARATOR, Order, Plan, flatten
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec


class FlatLayout(Layout):
    """Codes [K, T] as one row of ids [L].

    Args:
        spec: of the tokenizer.
        order: in which the codes are written; frame by frame where None.
        vocabulary: which id is which code; `Vocabulary.for_spec(spec)` where None.
        fingerprint: of the tokenizer's weights.

    Raises:
        TokensError: an order or a vocabulary that is not for the tokenizer's codebooks, or no special id `sep` for an
            order with separators.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8), CodebookSpec(8)))
        >>> layout = FlatLayout(spec, vocabulary=Vocabulary.for_spec(spec, specials=["eos"]))
        >>> ids = layout.encode_codes(np.array([[1, 2, 3], [4, 5, 6]]))
        >>> ids.tolist(), layout.decode_ids(ids).tolist()
        ([2, 13, 3, 14, 4, 15], [[1, 2, 3], [4, 5, 6]])
    """

    name = "flat"

    def __init__(
        self,
        spec: TokenizerSpec,
        order: Order | None = None,
        *,
        vocabulary: Vocabulary | None = None,
        fingerprint: str = "",
    ) -> None:
        super().__init__(spec, vocabulary, fingerprint)
        self.order = order or flatten(spec)
        if self.order.strides != tuple(book.stride for book in spec.codebooks):
            raise TokensError(f"an order for strides {self.order.strides}; make one for {spec.name}")
        self.separator = self.vocabulary.special("sep") if self.order.separated else None
        period = spec.stride_period
        phases = [period // stride for stride in self.order.strides]
        self._phases = np.array(phases, dtype=np.int64)
        self._strides = np.array(self.order.strides, dtype=np.int64)
        # First id of each codebook at each of its phases, repeated to the width of the fastest.
        firsts = [np.resize(self.vocabulary.firsts(k), max(phases)) for k in range(spec.num_codebooks)]
        self._firsts = np.stack(firsts)

    def options(self) -> dict[str, Any]:
        """Return the order as plain values."""
        order = self.order
        return {"stages": [list(s) for s in order.stages], "chunk": order.chunk, "separated": order.separated}

    def phases(self, books: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which code of its codebook within the period each one is, from codebooks [L] and frames [L]."""
        return times // self._strides[books] % self._phases[books]

    def encode_codes(self, codes: Integers) -> Integers:
        """Return the ids [L] of codes [K, T]; see `Layout`."""
        array = self.checked(codes)
        plan = self.order.plan(array.shape[1])
        ids = array[plan.books, plan.times] + self._firsts[plan.books, self.phases(plan.books, plan.times)]
        if self.separator is not None:
            ids = np.where(plan.books == SEPARATOR, self.separator, ids)
        return like(ids, codes)

    def decode_ids(self, ids: Integers) -> Integers:
        """Return the codes [K, T] of ids [L]; see `Layout`."""
        array = as_array("ids", ids, 1)
        books, phases, codes = self.vocabulary.lookup(array)
        try:
            frames = self.order.frames(len(array))
        except TokensError as error:
            raise TokensError(self._where(array, books, phases, None) or str(error)) from error
        plan = self.order.plan(frames)
        wrong = self._where(array, books, phases, plan)
        if wrong is not None:
            raise TokensError(wrong)
        is_code = books >= 0
        result = np.zeros((self.spec.num_codebooks, frames), dtype=np.int64)
        result[plan.books[is_code], plan.times[is_code]] = codes[is_code]
        for k, stride in enumerate(self.order.strides):
            require_code_sizes(codes[books == k], self.spec.codebooks[k].size, k)
            result[k] = result[k, np.arange(frames) // stride * stride]
        return like(result, ids)

    def _where(
        self, ids: NDArray[np.int64], books: NDArray[np.int64], phases: NDArray[np.int64], plan: Plan | None
    ) -> str | None:
        """Return what is wrong with the first id that cannot stand where it does; None where all can."""
        if plan is None:
            # The number of ids fits no item, so say what stands wrong in the longest one that begins like it.
            if self.order.chunk is None:
                return None
            whole = self.order.plan(self.order.step * (len(ids) + 1))
            plan = Plan(whole.books[: len(ids)], whole.times[: len(ids)])
        separators = np.zeros(len(ids), dtype=bool) if self.separator is None else ids == self.separator
        found = np.where(separators, SEPARATOR, np.where(books < 0, SEPARATOR - 1, books))
        expected = self.phases(plan.books, plan.times)
        bad = (found != plan.books) | ((phases >= 0) & (books >= 0) & (phases != expected))
        if not bad.any():
            return None
        place = int(np.argmax(bad))
        return misplaced(self.vocabulary, int(ids[place]), place, int(plan.books[place]), int(expected[place]))

    def decoder(self) -> FlatDecoder:
        """Return the inverse for ids that arrive bit by bit.

        Example:
            >>> from tokaudio.spec import CodebookSpec
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8), CodebookSpec(8)))
            >>> layout = FlatLayout(spec, vocabulary=Vocabulary.for_spec(spec, specials=["eos"]))
            >>> decoder = layout.decoder()
            >>> decoder.push(np.array([2, 13, 3])).tolist(), decoder.push(np.array([14])).tolist()
            ([[1], [4]], [[2], [5]])
        """
        return FlatDecoder(self.spec, self.order, self.vocabulary, self.separator)


def require_code_sizes(codes: NDArray[np.int64], size: int, codebook: int) -> None:
    """Refuse ids of a range that is wider than its codebook, such as merged units, where single codes belong."""
    if codes.size and int(codes.max()) >= size:
        raise TokensError(f"id for {int(codes.max())} of codebook {codebook}, which has {size} codes; undo BPE first")


def misplaced(vocabulary: Vocabulary, number: int, place: int, book: int, phase: int) -> str:
    """Return the message for an id that cannot stand where it does.

    Example:
        >>> from tokaudio.layouts.ranges import CodeRange
        >>> misplaced(Vocabulary((CodeRange(0, 0, 4), CodeRange(1, 4, 4))), 5, 7, 0, 0)
        'position 7 holds id 5, code 1 of codebook 1, where one of codebook 0 belongs; check where the ids begin'
    """
    told = len(vocabulary.firsts(book)) > 1 if book >= 0 else False
    wanted = "sep" if book < 0 else f"one of codebook {book}" + (f", place {phase}" if told else "")
    found = f"id {number}, {vocabulary.name_of(number)},"
    return f"position {place} holds {found} where {wanted} belongs; check where the ids begin"
