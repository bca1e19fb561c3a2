"""Which id of a language model is which code, special id or text token: ranges that cannot collide.

A vocabulary is text first (of whatever size the text tokenizer has, 0 for none), special ids after it, and one range
per codebook after them. Ranges are laid end to end by `Vocabulary.for_spec`, and whatever else is built or read from a
file is refused where two of them overlap.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio._spec_checks import require_int, require_text
from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import Integers, as_array, like
from tokaudio.layouts.ranges import CodeRange, laid_out, require_range
from tokaudio.spec import TokenizerSpec

SPECIALS = ("bos", "eos", "pad", "sep")
NOT_A_CODE = -1


@dataclass(frozen=True)
class Vocabulary:
    """Ranges of ids: text, special ids, codes.

    Args:
        ranges: of the codes; for each codebook one, or one per phase.
        specials: id of each special name; an id within the text is one that the text tokenizer has already.
        text_size: ids 0 to `text_size - 1` are those of a text tokenizer.
        durations: first id and number of ids that stand for durations 1, 2, ... of runs; None for none.

    Raises:
        TokensError: ranges that overlap, special ids within a range of codes, or gaps in codebooks and phases.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(1024),) * 2)
        >>> vocabulary = Vocabulary.for_spec(spec, text_size=32_000)
        >>> vocabulary.special("eos"), vocabulary.ids(1, np.array([0, 5])), vocabulary.size
        (32001, array([33028, 33033]), 34052)
    """

    ranges: tuple[CodeRange, ...]
    specials: Mapping[str, int] = field(default_factory=dict)
    text_size: int = 0
    durations: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranges", tuple(self.ranges))
        object.__setattr__(self, "specials", dict(self.specials))
        require_int("text size", self.text_size, minimum=0)
        if not self.ranges:
            raise TokensError("a vocabulary without codes; give one range per codebook")
        self._check_specials()
        self._check_collisions()
        self._check_phases()

    def _check_specials(self) -> None:
        for name, number in self.specials.items():
            require_text("name of a special id", name, empty=False)
            require_int(f"special id {name}", number, minimum=0)
        owners: dict[int, str] = {}
        for name, number in self.specials.items():
            if number in owners:
                raise TokensError(f"{owners[number]} and {name} are both id {number}; give each an id of its own")
            owners[number] = name

    def _check_collisions(self) -> None:
        taken = [(0, self.text_size, "the text")] if self.text_size else []
        taken += [(one.first, one.stop, one.name) for one in self.ranges]
        if self.durations is not None:
            first, count = self.durations
            require_int("first duration id", first, minimum=0)
            require_int("number of durations", count)
            taken.append((first, first + count, "the durations"))
        fresh = {name: number for name, number in self.specials.items() if number >= self.text_size}
        taken += [(number, number + 1, name) for name, number in fresh.items()]
        for (_, stop, one), (start, _, other) in itertools.pairwise(sorted(taken)):
            if start < stop:
                raise TokensError(f"{one} and {other} share id {start}; give ranges that do not overlap")

    def _check_phases(self) -> None:
        books = sorted({one.codebook for one in self.ranges})
        if books != list(range(len(books))):
            raise TokensError(f"ranges for codebooks {books}; give some for each codebook from 0 on")
        for book in books:
            phases = [one.phase for one in self.ranges if one.codebook == book]
            if phases != [None] and sorted(-1 if p is None else p for p in phases) != list(range(len(phases))):
                raise TokensError(f"codebook {book} has ranges for phases {phases}; give one range, or one per phase")
            if len({one.size for one in self.ranges if one.codebook == book}) > 1:
                raise TokensError(f"codebook {book} has ranges of several sizes; give all the codebook's size")

    @classmethod
    def for_spec(
        cls,
        spec: TokenizerSpec,
        *,
        text_size: int = 0,
        specials: Sequence[str] = SPECIALS,
        text_specials: Mapping[str, int] | None = None,
        per_phase: bool = False,
        durations: int = 0,
        sizes: Mapping[int, int] | None = None,
    ) -> Vocabulary:
        """Lay everything end to end: text, special ids, durations, codebooks.

        Args:
            spec: of the tokenizer.
            text_size: number of ids of the text tokenizer that lies in front.
            specials: names that get new ids, in this order.
            text_specials: names that are ids of the text tokenizer already.
            per_phase: a range for each place within the period of a multi-rate tokenizer, in the order of time, as
                Orpheus has it for SNAC; otherwise one per codebook.
            durations: number of ids for durations of runs.
            sizes: ids of single codebooks, where they are more than its codes, as with BPE over its units.

        Raises:
            TokensError: a size below that of the codebook, or special ids that collide.

        Example:
            >>> from tokaudio.spec import CodebookSpec
            >>> books = tuple(CodebookSpec(4096, stride) for stride in (4, 2, 1))
            >>> snac = TokenizerSpec("snac", "compression", 24_000, 512, books)
            >>> orpheus = Vocabulary.for_spec(snac, text_size=128_256, specials=list("0123456789"), per_phase=True)
            >>> [(one.codebook, one.phase, one.first - 128_266) for one in orpheus.ranges[:4]]
            [(0, 0, 0), (1, 0, 4096), (2, 0, 8192), (2, 1, 12288)]
        """
        place = text_size + len(specials)
        duration_range = (place, durations) if durations else None
        if len(set(specials)) < len(specials) or set(specials) & set(text_specials or {}):
            raise TokensError(f"special names {list(specials)} and {list(text_specials or {})}; give each name once")
        fresh = {name: text_size + number for number, name in enumerate(specials)}
        for name, number in (text_specials or {}).items():
            if not 0 <= number < text_size:
                raise TokensError(f"{name} is id {number} of a text of {text_size} ids; give one that the text has")
        ranges = laid_out(spec, place + durations, per_phase=per_phase, sizes=sizes)
        return cls(ranges, dict(text_specials or {}) | fresh, text_size, duration_range)

    @property
    def num_codebooks(self) -> int:
        """Number of codebooks that have ranges."""
        return 1 + max(one.codebook for one in self.ranges)

    @property
    def size(self) -> int:
        """Rows that an embedding table needs: the greatest id and one more."""
        ends = [one.stop for one in self.ranges] + [number + 1 for number in self.specials.values()]
        return max(*ends, self.text_size, 0 if self.durations is None else sum(self.durations))

    def padded_size(self, multiple: int) -> int:
        """Return the size rounded up, for hardware that likes round tables.

        Example:
            >>> Vocabulary((CodeRange(0, 0, 100),)).padded_size(64)
            128
        """
        require_int("multiple", multiple)
        return -(-self.size // multiple) * multiple

    def special(self, name: str) -> int:
        """Return a special id.

        Raises:
            TokensError: a name that the vocabulary has not.
        """
        if name not in self.specials:
            raise TokensError(f"no special id is called {name!r}; there are {', '.join(self.specials) or 'none'}")
        return self.specials[name]

    def firsts(self, codebook: int) -> NDArray[np.int64]:
        """Return the id of code 0 at each phase, int64 [phases]; one entry where all phases share a range."""
        own = [one for one in self.ranges if one.codebook == codebook]
        if not own:
            raise TokensError(f"no codebook {codebook} in a vocabulary of {self.num_codebooks}; count from 0")
        return np.array([one.first for one in sorted(own, key=lambda one: one.phase or 0)], dtype=np.int64)

    def ids(self, codebook: int, codes: Integers, *, phase: int | None = None) -> Integers:
        """Return the ids of codes [n] of one codebook, such as the ids that BPE gives its units.

        Raises:
            TokensError: codes out of range, or no phase where the vocabulary tells phases apart.
        """
        firsts, array = self.firsts(codebook), as_array("codes", codes, 1)
        size = next(one.size for one in self.ranges if one.codebook == codebook)
        if len(firsts) > 1 and phase is None:
            raise TokensError(f"codebook {codebook} has a range for each of {len(firsts)} phases; give the phase")
        require_range(array, size, f"codebook {codebook}")
        return like(firsts[(phase or 0) % len(firsts)] + array, codes)

    def lookup(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return codebook, phase (-1 for any) and code of each id [n]; codebook -1 for ids that are no codes.

        Raises:
            TokensError: ids outside the vocabulary.

        Example:
            >>> [row.tolist() for row in Vocabulary((CodeRange(0, 4, 8),), {"eos": 1}).lookup(np.array([1, 6]))]
            [[-1, 0], [-1, -1], [-1, 2]]
        """
        require_range(ids, self.size, "the vocabulary", what="id")
        ordered = sorted(self.ranges, key=lambda one: one.first)
        place = np.searchsorted([one.first for one in ordered], ids, side="right") - 1
        stops = np.array([one.stop for one in ordered], dtype=np.int64)
        inside = (place >= 0) & (ids < stops[place])

        def pick(values: list[int]) -> NDArray[np.int64]:
            return np.where(inside, np.array(values, dtype=np.int64)[place], NOT_A_CODE)

        books = pick([one.codebook for one in ordered])
        phases = pick([NOT_A_CODE if one.phase is None else one.phase for one in ordered])
        return books, phases, np.where(inside, ids - pick([one.first for one in ordered]), NOT_A_CODE)

    def name_of(self, number: int) -> str:
        """Return what an id is, in words.

        Example:
            >>> Vocabulary((CodeRange(0, 4, 8),), {"eos": 1}).name_of(6)
            'code 2 of codebook 0'
        """
        for name, special in self.specials.items():
            if special == number:
                return name
        for one in self.ranges:
            if one.first <= number < one.stop:
                return f"code {number - one.first} of {one.name}"
        if 0 <= number < self.text_size:
            return f"text token {number}"
        if self.durations is not None and 0 <= number - self.durations[0] < self.durations[1]:
            return f"a duration of {number - self.durations[0] + 1}"
        return f"unused id {number}" if 0 <= number < self.size else f"id {number}, which is outside"

    def table(self) -> str:
        """Return all ranges in the order of their ids, as text with aligned columns.

        Example:
            >>> print(Vocabulary((CodeRange(0, 4, 8), CodeRange(1, 12, 16)), {"eos": 3}, text_size=3).table())
            what          first  last  count
            text              0     2      3
            eos               3     3      1
            codebook 0        4    11      8
            codebook 1       12    27     16
        """
        rows = [(0, self.text_size, "text")] if self.text_size else []
        rows += [(number, 1, name) for name, number in self.specials.items()]
        rows += [(one.first, one.size, one.name) for one in self.ranges]
        if self.durations is not None:
            rows.append((*self.durations, "durations"))
        cells = [("what", "first", "last", "count")]
        cells += [(name, str(first), str(first + count - 1), str(count)) for first, count, name in sorted(rows)]
        wide = [max(12 if column == 0 else 4, *(len(row[column]) for row in cells)) for column in range(4)]
        lines = [row[0].ljust(wide[0]) + "".join(f"  {row[c].rjust(wide[c])}" for c in (1, 2, 3)) for row in cells]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON; see `docs/layouts/tokaudio-json.md`."""
        return {
            "size": self.size,
            "text": {"first": 0, "size": self.text_size},
            "specials": dict(self.specials),
            "durations": None if self.durations is None else dict(zip(("first", "size"), self.durations, strict=True)),
            "codes": [
                {"codebook": one.codebook, "phase": one.phase, "first": one.first, "size": one.size}
                for one in self.ranges
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Vocabulary:
        """Build a vocabulary from `to_dict()`, or from JSON.

        Raises:
            TokensError: missing or ill-typed fields, or ranges that collide.
        """
        try:
            durations = data["durations"]
            return cls(
                tuple(CodeRange(one["codebook"], one["first"], one["size"], one["phase"]) for one in data["codes"]),
                dict(data["specials"]),
                data["text"]["size"],
                None if durations is None else (durations["first"], durations["size"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, TokensError):
                raise
            raise TokensError(f"a vocabulary with missing or ill-typed fields ({error!r}); write it anew") from error
