"""Layouts with one row per codebook: parallel, and delayed so that each codebook can see the ones before it.

Step s of the grid holds, in the row of codebook k, the code of frame `s - delays[k]`. Without delays all codes of a
frame are written at once. With delays 0, 1, 2, ... (MusicGen, arXiv:2306.05284) a model that writes a column per step
knows codebook k - 1 of a frame before it writes codebook k; Moshi (arXiv:2410.00037) delays the acoustic codebooks
alike, behind the semantic one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tokaudio._spec_checks import require_int
from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import Integers, as_array, like
from tokaudio.layouts.base import Layout
from tokaudio.layouts.orders import flatten
from tokaudio.layouts.ranges import require_range
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec

if TYPE_CHECKING:
    from tokaudio.layouts.grid_decoder import GridDecoder


class GridLayout(Layout):
    """Codes [K, T] as rows [R, S] of codes, with an empty code where a row has not begun or has ended.

    Models with rows have an embedding table for each, so the rows hold codes, not ids of one vocabulary, unless a
    vocabulary is given.

    Args:
        spec: of the tokenizer.
        delays: of each row, in steps; none where None. See `musicgen_delays` and `acoustic_delays`.
        by_place: whether a multi-rate tokenizer has a row for each place within its period, so that a step is a whole
            period (7 rows for SNAC, as mini-omni has them), instead of repeating slow codes at each frame.
        lead: empty steps in front, which a model's first prediction can start from.
        before: id of the empty places in front; None for the size of the largest codebook, which no code is, or for
            the special id `pad` of the vocabulary.
        after: id of the empty places at the end; as `before` where None.
        vocabulary: which id is which code; bare codes where None.
        fingerprint: of the tokenizer's weights.

    Raises:
        TokensError: delays that do not fit the rows, or empty ids that are codes.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 3)
        >>> layout = GridLayout(spec, delays=musicgen_delays(3))
        >>> rows = layout.encode_codes(np.array([[1, 2], [3, 4], [5, 6]]))
        >>> rows.tolist()
        [[1, 2, 8, 8], [8, 3, 4, 8], [8, 8, 5, 6]]
        >>> layout.decode_ids(rows).tolist()
        [[1, 2], [3, 4], [5, 6]]
    """

    name = "grid"

    def __init__(
        self,
        spec: TokenizerSpec,
        *,
        delays: Sequence[int] | None = None,
        by_place: bool = False,
        lead: int = 0,
        before: int | None = None,
        after: int | None = None,
        vocabulary: Vocabulary | None = None,
        fingerprint: str = "",
    ) -> None:
        super().__init__(spec, vocabulary, fingerprint)
        self.by_place, self.in_vocabulary = by_place, vocabulary is not None
        self.step = spec.stride_period if by_place else 1
        plan = flatten(spec).plan(self.step) if by_place else None
        self._books = np.arange(spec.num_codebooks) if plan is None else plan.books
        self._times = np.zeros_like(self._books) if plan is None else plan.times
        self.delays = tuple([0] * len(self._books) if delays is None else delays)
        require_int("lead", lead, minimum=0)
        for delay in self.delays:
            require_int("delay", delay, minimum=0)
        if len(self.delays) != len(self._books):
            raise TokensError(f"{len(self.delays)} delays for {len(self._books)} rows; give one per row")
        self.lead = lead
        empty = self.vocabulary.special("pad") if vocabulary is not None else max(spec.codebook_sizes)
        self.before = empty if before is None else before
        self.after = self.before if after is None else after
        self._strides = np.array([book.stride for book in spec.codebooks], dtype=np.int64)
        for number in (self.before, self.after):
            self._check_empty(number)

    def _check_empty(self, number: int) -> None:
        require_int("empty id", number, minimum=0)
        if self.in_vocabulary and self.vocabulary.name_of(number).startswith("code "):
            raise TokensError(f"the empty id {number} is {self.vocabulary.name_of(number)}; give a special one")
        if not self.in_vocabulary and number < max(self.spec.codebook_sizes):
            raise TokensError(f"the empty id {number} is a code; give {max(self.spec.codebook_sizes)} or more")

    def options(self) -> dict[str, Any]:
        """Return delays and empty ids as plain values."""
        return {
            "delays": list(self.delays),
            "by_place": self.by_place,
            "lead": self.lead,
            "before": self.before,
            "after": self.after,
            "in_vocabulary": self.in_vocabulary,
        }

    @property
    def num_rows(self) -> int:
        """Number of rows R."""
        return len(self._books)

    @property
    def overhead(self) -> int:
        """Steps that a grid has beyond those of its frames."""
        return self.lead + max(self.delays)

    def encode_codes(self, codes: Integers) -> Integers:
        """Return rows [R, S] of codes [K, T]; see `Layout`. S is T / step + lead + the greatest delay."""
        array = self.checked(codes)
        steps, rest = divmod(array.shape[1], self.step)
        if rest:
            raise TokensError(
                f"{array.shape[1]} frames are no multiple of the period {self.step}; cut or repeat frames"
            )
        times = self._times[:, None] + self.step * np.arange(steps)[None, :]
        body = array[self._books[:, None], times] + self._offsets(times)
        rows = np.full((self.num_rows, steps + self.overhead), self.after, dtype=np.int64)
        for r, delay in enumerate(self.delays):
            rows[r, : self.lead + delay] = self.before
            rows[r, self.lead + delay : self.lead + delay + steps] = body[r]
        return like(rows, codes)

    def _offsets(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the id of code 0 at each place [R, steps]; zeros for bare codes."""
        offsets = np.zeros_like(times)
        for r, book in enumerate(self._books if self.in_vocabulary else ()):
            firsts = self.vocabulary.firsts(int(book))
            offsets[r] = firsts[times[r] // self._strides[book] % len(firsts)]
        return offsets

    def decode_ids(self, ids: Integers) -> Integers:
        """Return the codes [K, T] of rows [R, S]; see `Layout`."""
        rows = self.rows_of(ids)
        steps = rows.shape[1] - self.overhead
        if steps < 0:
            raise TokensError(
                f"{rows.shape[1]} steps, of which {self.overhead} are empty by the delays; give all steps"
            )
        body = np.stack([rows[r, self.lead + d : self.lead + d + steps] for r, d in enumerate(self.delays)])
        for r, delay in enumerate(self.delays):
            self.require_empty(rows[r, : self.lead + delay], self.before, r, 0)
            self.require_empty(rows[r, self.lead + delay + steps :], self.after, r, self.lead + delay + steps)
        codes = self.frames_of(body, 0)
        return like(self.checked(codes), ids)

    def rows_of(self, ids: Integers) -> NDArray[np.int64]:
        """Return rows [R, S] as an array, after checking how many there are."""
        rows = as_array("rows", ids, 2)
        if rows.shape[0] != self.num_rows:
            raise TokensError(f"{rows.shape[0]} rows; give the {self.num_rows} of this layout")
        return rows

    def require_empty(self, found: NDArray[np.int64], wanted: int, row: int, start: int) -> None:
        """Refuse places of a row, from step `start` on, that hold anything but the empty id."""
        wrong = np.flatnonzero(found != wanted)
        if len(wrong):
            place = f"row {row}, step {start + int(wrong[0])}, holds {int(found[wrong[0]])}"
            raise TokensError(f"{place} where the empty {wanted} belongs; check the delays")

    def frames_of(self, body: NDArray[np.int64], first_step: int) -> NDArray[np.int64]:
        """Return codes [K, frames] of rows that are in line, [R, steps], from step `first_step` on."""
        times = self._times[:, None] + self.step * np.arange(first_step, first_step + body.shape[1])[None, :]
        codes = body - self._offsets(times)
        frames = self.step * body.shape[1]
        result = np.zeros((self.spec.num_codebooks, frames), dtype=np.int64)
        for r, book in enumerate(self._books):
            require_range(codes[r], self.spec.codebooks[book].size, f"row {r}")
            result[book, times[r] - self.step * first_step] = codes[r]
        if self.by_place:
            for k, stride in enumerate(self._strides):
                result[k] = result[k, np.arange(frames) // stride * stride]
        return result

    def decoder(self) -> GridDecoder:
        """Return the inverse for columns [R, n] that arrive bit by bit.

        Example:
            >>> from tokaudio.spec import CodebookSpec
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
            >>> decoder = GridLayout(spec, delays=musicgen_delays(2)).decoder()
            >>> decoder.push(np.array([[1, 2], [8, 3]])).tolist()
            [[1], [3]]
        """
        from tokaudio.layouts.grid_decoder import GridDecoder

        return GridDecoder(self)


def musicgen_delays(rows: int, *, channels: int = 1) -> tuple[int, ...]:
    """Return one step more for each codebook; stereo MusicGen has the codebooks of left and right in turn.

    Example:
        >>> musicgen_delays(4), musicgen_delays(4, channels=2)
        ((0, 1, 2, 3), (0, 0, 1, 1))
    """
    return tuple(row // channels for row in range(rows))


def acoustic_delays(spec: TokenizerSpec, delay: int = 1) -> tuple[int, ...]:
    """Return the same delay for all codebooks but the semantic ones, or but the first where none is semantic.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> acoustic_delays(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 3), 2)
        (0, 2, 2)
    """
    semantic = [book.role == "semantic" for book in spec.codebooks]
    ahead = semantic if any(semantic) else [k == 0 for k in range(spec.num_codebooks)]
    return tuple(0 if first else delay for first in ahead)
