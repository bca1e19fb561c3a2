"""Rows of a dataset of tokens: one utterance, or one segment of a long file, as every format holds it.

`TokenRow` knows numpy only; `from_tokens` and `to_tokens` are the way to `Tokens`. What all rows of a dataset share
(tokenizer, fingerprint, types of the columns) is a `DatasetInfo`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tokaudio.errors import TokensError
from tokaudio.storage.dataset_info import ColumnType, DatasetInfo, ExtraInfo, read_info, save_info

if TYPE_CHECKING:
    from tokaudio.tokens import Tokens

__all__ = ["Column", "DatasetInfo", "ExtraInfo", "TokenRow", "checked", "read_info", "save_info"]

Array = np.ndarray[Any, np.dtype[Any]]
Column = str | int | float | bool | None

MAX_KEY_BYTES = 1024
_TYPES: dict[ColumnType, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (float, int),
    "boolean": bool,
}


@dataclass(frozen=True, eq=False)
class TokenRow:
    """One utterance, or one segment of a long file.

    Args:
        key: identifies the row within its dataset: any text of 1 to 1,024 bytes in UTF-8.
        codes: integers [K, T]: uint16, or int32 where a codebook has more than 65,536 codes. A codebook with stride s
            repeats each code s times.
        num_samples: audio samples that the codes stand for, at `sample_rate`.
        sample_rate: of the tokenizer, in Hz.
        source: where the sound was.
        start: of the segment in the source, in seconds; None for the beginning.
        end: of the segment in the source, in seconds; None for the source's end.
        columns: further facts by name, such as text, speaker and language.
        depth: how many codebooks are valid at each frame, uint16 [T]; None where all are.
        extras: side information by name: [T, ...] where the name begins with `frame_`.

    Raises:
        TokensError: a key that is no text, arrays of another shape or type, or a negative length.

    Example:
        >>> row = TokenRow("a", np.zeros((2, 50), np.uint16), 16_000, 16_000)
        >>> row.num_frames, row.duration
        (50, 1.0)
    """

    key: str
    codes: Array
    num_samples: int
    sample_rate: int
    source: str = ""
    start: float | None = None
    end: float | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    depth: Array | None = None
    extras: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or not 1 <= len(_utf8("key", self.key)) <= MAX_KEY_BYTES:
            raise TokensError(f"a row has the key {self.key!a:.60}; give text of 1 to {MAX_KEY_BYTES} bytes")
        _utf8("source", self.source)
        if self.codes.ndim != 2 or self.codes.dtype not in (np.dtype("uint16"), np.dtype("int32")):
            shown = f"{self.codes.dtype} {list(self.codes.shape)}"
            raise TokensError(f"codes of {self.key!a:.60} are {shown}; give uint16 or int32 [K, T]")
        if not 0 <= self.num_samples < 2**63 or not 1 <= self.sample_rate < 2**31:
            shown = f"{self.num_samples} samples at {self.sample_rate} Hz"
            raise TokensError(f"the row {self.key!a:.60} has {shown}; give lengths of 0 or more")
        if not all(time is None or math.isfinite(time) for time in (self.start, self.end)):
            raise TokensError(f"the row {self.key!a:.60} has a start or end that is no time; give seconds")
        if self.depth is not None and (self.depth.dtype != np.uint16 or self.depth.shape != self.codes.shape[1:]):
            raise TokensError(f"the depth of {self.key!a:.60} is of another shape or type; give uint16 [T]")

    @property
    def num_frames(self) -> int:
        """Frames T."""
        return self.codes.shape[1]

    @property
    def duration(self) -> float:
        """Seconds of sound."""
        return self.num_samples / self.sample_rate

    def __eq__(self, other: object) -> bool:
        """Whether everything is equal, types of arrays included. Rows have no hash."""
        if not isinstance(other, TokenRow):
            return NotImplemented
        mine, theirs = self._arrays(), other._arrays()
        plain = all(getattr(self, name) == getattr(other, name) for name in _PLAIN)
        same = plain and dict(self.columns) == dict(other.columns) and mine.keys() == theirs.keys()
        return same and all(a.dtype == theirs[n].dtype and np.array_equal(a, theirs[n]) for n, a in mine.items())

    __hash__ = None  # type: ignore[assignment]

    def _arrays(self) -> dict[str, Array]:
        depth = {} if self.depth is None else {"depth": self.depth}
        return {"codes": self.codes, **depth, **{f"extra_{name}": value for name, value in self.extras.items()}}

    @classmethod
    def from_tokens(
        cls,
        tokens: Tokens,
        key: str,
        *,
        source: str = "",
        start: float | None = None,
        end: float | None = None,
        columns: Mapping[str, Column] | None = None,
    ) -> TokenRow:
        """Return the row of one item.

        Raises:
            TokensError: more or fewer than one item, or extras of a type that numpy lacks.

        Example:
            >>> import torch
            >>> from tokaudio.tokens import CodebookSpec, TokenizerSpec, Tokens
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> TokenRow.from_tokens(Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec), "a").codes.tolist()
            [[1, 2, 3]]
        """
        if len(tokens) != 1:
            raise TokensError(f"a row is one item, and these tokens have {len(tokens)}; give tokens[i] one by one")
        from tokaudio.storage.npz import extra_array

        tokens = tokens.trim().to("cpu")
        dtype = DatasetInfo(tokens.spec).code_dtype
        return cls(
            key,
            np.ascontiguousarray(tokens.codes[0].numpy(), dtype),
            int(tokens.num_samples[0]),
            tokens.spec.sample_rate,
            source,
            start,
            end,
            dict(columns or {}),
            None if tokens.depth is None else tokens.depth[0].numpy().astype(np.uint16),
            {name: extra_array(key, name, value[0]) for name, value in tokens.extras.items()},
        )

    def to_tokens(self, info: DatasetInfo) -> Tokens:
        """Return the row as `Tokens` of one item.

        Raises:
            TokensError: a row that does not fit the dataset.

        Example:
            >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
            >>> info = DatasetInfo(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),)))
            >>> TokenRow("a", np.array([[1, 2, 3]], np.uint16), 960, 16_000).to_tokens(info)
            Tokens(toy, 1 codebook x 3 frames, 0.06 s, 0.15 kbps)
        """
        import torch

        from tokaudio.tokens import Tokens

        checked(self, info)
        return Tokens(
            torch.from_numpy(self.codes.astype(np.int64))[None],
            torch.tensor([self.num_frames]),
            torch.tensor([self.num_samples]),
            info.spec,
            info.fingerprint,
            {name: torch.from_numpy(np.array(value))[None] for name, value in self.extras.items()},
            None if self.depth is None else torch.from_numpy(self.depth.astype(np.int64))[None],
            dict(info.provenance),
        )


_PLAIN = ("key", "num_samples", "sample_rate", "source", "start", "end")


def checked(row: TokenRow, info: DatasetInfo) -> TokenRow:
    """Return a row with all columns of its dataset, None where it had none, after checking that it fits.

    Times, and what a column of numbers holds, become floats.

    Raises:
        TokensError: other codebooks, codes out of range, columns or extras of other names, types or shapes.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> row = TokenRow("a", np.array([[1, 2, 9]], np.uint16), 960, 16_000)
        >>> checked(row, DatasetInfo(spec))
        Traceback (most recent call last):
        tokaudio.errors.TokensError: the row 'a' has code 9 in codebook 0, which has 8 codes; encode it again
    """
    where, spec = f"the row {row.key!a:.60}", info.spec
    if row.codes.shape[0] != spec.num_codebooks or row.codes.dtype != info.code_dtype:
        shown = f"{row.codes.shape[0]} rows of {row.codes.dtype}"
        wanted = f"{spec.num_codebooks} of {info.code_dtype}"
        raise TokensError(f"{where} has codes in {shown}, the dataset has {wanted}; encode with one tokenizer")
    if row.sample_rate != spec.sample_rate:
        raise TokensError(f"{where} is at {row.sample_rate} Hz, the dataset at {spec.sample_rate} Hz; encode it again")
    low, high = row.codes.min(axis=1, initial=0), row.codes.max(axis=1, initial=0)
    for k, size in enumerate(spec.codebook_sizes):
        if low[k] < 0 or high[k] >= size:
            wrong = low[k] if low[k] < 0 else high[k]
            raise TokensError(f"{where} has code {wrong} in codebook {k}, which has {size} codes; encode it again")
    frames = np.arange(row.num_frames)
    for k, book in enumerate(spec.codebooks):
        if book.stride > 1 and (row.codes[k] != row.codes[k, frames // book.stride * book.stride]).any():
            raise TokensError(f"{where} changes codebook {k} within its stride of {book.stride}; repeat each code")
    _require_depth(row, info, where)
    _require_extras(row, info, where)
    unknown = [name for name in row.columns if name not in info.columns]
    if unknown:
        raise TokensError(f"{where} has a column {unknown[0]!a:.60} that the dataset lacks; declare it")
    columns = {name: _value(where, name, kind, row.columns.get(name)) for name, kind in info.columns.items()}
    start, end = (None if time is None else float(time) for time in (row.start, row.end))
    return dataclasses.replace(row, columns=columns, start=start, end=end)


def checked_rows(rows: Iterable[TokenRow], info: DatasetInfo) -> Iterator[TokenRow]:
    """Yield rows as `checked` returns them, and refuse a second one of the same key."""
    return distinct(checked(row, info) for row in rows)


def distinct(rows: Iterable[TokenRow]) -> Iterator[TokenRow]:
    """Yield rows, and refuse a second one of the same key."""
    seen: set[str] = set()
    for row in rows:
        if row.key in seen:
            raise TokensError(f"two rows have the key {row.key!a:.60}; give each row a key of its own")
        seen.add(row.key)
        yield row


def _require_depth(row: TokenRow, info: DatasetInfo, where: str) -> None:
    if (row.depth is not None) != info.depth:
        raise TokensError(f"{where} and the dataset differ in whether there is a depth; encode with one tokenizer")
    if row.depth is not None:
        beyond = np.arange(info.spec.num_codebooks)[:, None] >= row.depth
        if row.depth.max(initial=0) > info.spec.num_codebooks or row.codes[beyond].any():
            raise TokensError(f"{where} has codes beyond its depth, or too great a depth; set them to 0")


def _require_extras(row: TokenRow, info: DatasetInfo, where: str) -> None:
    if sorted(row.extras) != list(info.extras):
        raise TokensError(f"{where} has the extras {sorted(row.extras)}, the dataset {list(info.extras)}; declare them")
    for name, extra in info.extras.items():
        shape = (row.num_frames, *extra.shape) if name.startswith("frame_") else extra.shape
        value = row.extras[name]
        if value.dtype != np.dtype(extra.dtype) or value.shape != shape:
            shown, wanted = f"{value.dtype} {list(value.shape)}", f"{extra.dtype} {list(shape)}"
            raise TokensError(f"{where} has the extra {name} as {shown}, not {wanted}; declare it as it is")


def _value(where: str, name: str, kind: ColumnType, value: Column) -> Column:
    if value is None:
        return None
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        raise TokensError(f"{where} has {value!a:.60} in the column {name}, which is a {kind}; convert it")
    if isinstance(value, str):
        _utf8(f"column {name}", value)
    elif kind == "integer" and not -(2**63) <= value < 2**63:
        raise TokensError(f"{where} has {value!a:.60} in the column {name}; give numbers of 64 bits")
    elif kind == "number":
        value = float(value)
        if not math.isfinite(value):
            raise TokensError(f"{where} has {value} in the column {name}; leave out what is not finite")
    return value


def _utf8(what: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise TokensError(f"a {what} is {text!a:.60}, which UTF-8 cannot hold; escape it") from None
