"""One block of a `.tka` file: rows to bytes and back; `tokaudio.storage.bitstream` describes it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import TokensError
from tokaudio.storage._facts import from_json, row_of, to_json
from tokaudio.storage._npy import Array
from tokaudio.storage._rans import MAX_COUNT, Table, decode, encode
from tokaudio.storage.dataset_info import DatasetInfo
from tokaudio.storage.rows import TokenRow

MAX_BLOCK_CODES = 2**27
_PARTS = 4
_SIZE = struct.Struct("<Q")
_PLAIN = ("key", "num_frames", "num_samples", "source", "start", "end")


def pack(rows: list[TokenRow], info: DatasetInfo) -> bytes:
    """Return the bytes of a block."""
    streams = _streams(rows, info)
    tables = [Table.of(stream) for stream in streams]
    facts = b"\n".join(to_json(_facts(row)) for row in rows)
    written = b"".join(_numbers(_table_numbers(table)) for table in tables)
    extras = b"".join(row.extras[name].tobytes() for row in rows for name in info.extras)
    parts = (facts, written, encode(streams, tables).tobytes(), extras)
    return b"".join(_SIZE.pack(len(part)) + part for part in parts)


def _facts(row: TokenRow) -> dict[str, Any]:
    facts = {name: getattr(row, name) for name in _PLAIN} | dict(row.columns)
    return {name: value for name, value in facts.items() if value is not None}


def _streams(rows: list[TokenRow], info: DatasetInfo) -> list[Array]:
    """Return the symbols of a block: depths if there are any, and the codes of each codebook."""
    streams = [np.concatenate([row.depth for row in rows if row.depth is not None])] if info.depth else []
    for k, book in enumerate(info.spec.codebooks):
        parts = [row.codes[k, :: book.stride][_valid(row.depth, k, book.stride)] for row in rows]
        streams.append(np.concatenate(parts))
    return streams


def _valid(depth: Array | None, k: int, stride: int) -> Any:
    return slice(None) if depth is None else depth[::stride] > k


def _table_numbers(table: Table) -> list[int]:
    """Return a table as numbers: how many follow, then the count of each symbol, behind 0 and a gap if need be."""
    numbers: list[int] = []
    for gap, count in zip(np.diff(table.symbols, prepend=-1).tolist(), table.counts.tolist(), strict=True):
        numbers += [count] if gap == 1 else [0, gap, count]
    return [len(numbers), *numbers]


def _table(numbers: NDArray[np.int64]) -> Table:
    """Return the table of what `_table_numbers` gave, without how many they are."""
    escape = numbers == 0
    gap = np.concatenate([[False], escape[:-1]]) if len(numbers) else escape
    count = ~escape & ~gap
    if (escape & gap).any() or (gap[:-1] & escape[1:]).any() or (len(count) and not count[-1]):
        raise TokensError("a table is none; write it again")
    gaps = np.ones(int(count.sum()), np.int64)
    gaps[np.cumsum(count)[gap]] = numbers[gap]
    return Table(np.cumsum(gaps) - 1, numbers[count])


def _numbers(values: Iterable[int]) -> bytes:
    """Return whole numbers of 7 bits a byte, the lowest first."""
    out = bytearray()
    for value in values:
        rest = value
        while rest > 0x7F:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)
    return bytes(out)


class _Numbers:
    """Takes whole numbers from bytes, at most as many as there are bytes."""

    def __init__(self, content: bytes) -> None:
        raw = np.frombuffer(content, np.uint8)
        ends = np.flatnonzero(raw < 0x80)
        starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
        if len(raw) and (not len(ends) or ends[-1] != len(raw) - 1 or (ends - starts).max() > 4):
            raise TokensError("a number is cut off or too large; write the shard again")
        shifts = 7 * (np.arange(len(raw)) - np.repeat(starts, ends - starts + 1))
        parts = (raw & 0x7F).astype(np.int64) << shifts
        self._values = np.add.reduceat(parts, starts) if len(starts) else parts
        self._place = 0

    def take(self, count: int) -> NDArray[np.int64]:
        values = self._values[self._place : self._place + count]
        if len(values) < count:
            raise TokensError("numbers are missing; write the shard again")
        self._place += count
        return values

    def close(self) -> None:
        if self._place != len(self._values):
            raise TokensError("there are more numbers than symbols; write the shard again")


def split(content: bytes) -> list[bytes]:
    """Return the parts of a block.

    Raises:
        TokensError: parts that are cut off.
    """
    parts, place = [], 0
    for _ in range(_PARTS):
        start = place + _SIZE.size
        (size,) = _SIZE.unpack(content[place:start].ljust(_SIZE.size, b"\xff"))
        if size > len(content) - start:
            raise TokensError("a part of a block is cut off; write it again")
        place = start + size
        parts.append(content[start:place])
    if place != len(content):
        raise TokensError("a block has more parts; write it again")
    return parts


def tables_of(content: bytes, streams: int) -> list[Table]:
    """Return the tables of a block.

    Raises:
        TokensError: tables that are none.
    """
    numbers, tables = _Numbers(content), []
    for _ in range(streams):
        tables.append(_table(numbers.take(int(numbers.take(1)[0]))))
        if tables[-1].total > MAX_COUNT:
            raise TokensError("a table has too many symbols; write it again")
    numbers.close()
    return tables


def unpack(parts: list[bytes], info: DatasetInfo) -> list[TokenRow]:
    """Return the rows of a block.

    Raises:
        TokensError, ValueError: parts that are those of no block.
    """
    facts = [from_json(line) for line in parts[0].split(b"\n")]
    frames = [one.get("num_frames") for one in facts]
    if not all(isinstance(n, int) and 0 <= n <= MAX_COUNT for n in frames):
        raise TokensError("a row has no length; write it again")
    lengths = [int(n) for n in frames if isinstance(n, int)]
    if sum(lengths) * info.spec.num_codebooks > 2 * MAX_BLOCK_CODES:
        raise TokensError("a block is too large; write it again")
    tables = tables_of(parts[1], info.spec.num_codebooks + info.depth)
    words = np.frombuffer(parts[2][: len(parts[2]) // 4 * 4], "<u4")
    depths: list[Array | None] = [None] * len(facts)
    if info.depth and tables[0].total != sum(lengths):
        raise TokensError("there is not one depth per frame; write it again")
    streams = decode(words, [table.total for table in tables], tables)
    if info.depth:
        depths = list(np.split(streams.pop(0).astype(np.uint16), np.cumsum(lengths)[:-1]))
    codes = _codes(streams, lengths, depths, info)
    extras = _extras(parts[3], lengths, info)
    plain = ({"start": None, "end": None, "sample_rate": info.spec.sample_rate} | one for one in facts)
    rows = zip(plain, codes, depths, extras, strict=True)
    return [_row(one, {"codes": array, "depth": depth, **more}, info) for one, array, depth, more in rows]


def _row(facts: Mapping[str, Any], arrays: Mapping[str, Array | None], info: DatasetInfo) -> TokenRow:
    columns = dict.fromkeys(info.columns)
    return row_of({**columns, **facts}, {n: a for n, a in arrays.items() if a is not None}, info, checksum=False)


def _codes(streams: list[NDArray[np.int64]], lengths: list[int], depths: list[Any], info: DatasetInfo) -> list[Array]:
    result = [np.zeros((len(streams), length), info.code_dtype) for length in lengths]
    for k, (stream, book) in enumerate(zip(streams, info.spec.codebooks, strict=True)):
        if int(stream.max(initial=0)) >= book.size:
            raise TokensError("a table has symbols that are no codes; write it again")
        place = 0
        for codes, depth in zip(result, depths, strict=True):
            short = np.zeros(-(-codes.shape[1] // book.stride), info.code_dtype)
            valid = _valid(depth, k, book.stride)
            count = len(short[valid])
            if place + count > len(stream):
                raise TokensError("codes are missing; write it again")
            short[valid] = stream[place : place + count]
            codes[k] = np.repeat(short, book.stride)[: codes.shape[1]]
            place += count
        if place != len(stream):
            raise TokensError("there are more codes than frames; write it again")
    return result


def _extras(content: bytes, lengths: list[int], info: DatasetInfo) -> Iterator[dict[str, Array]]:
    place = 0
    rows: list[dict[str, Array]] = []
    for length in lengths:
        arrays = {}
        for name, extra in info.extras.items():
            shape = (length, *extra.shape) if name.startswith("frame_") else extra.shape
            dtype, values = np.dtype(extra.dtype), int(np.prod(shape, dtype=np.int64))
            part = content[place : place + values * dtype.itemsize]
            if len(part) != values * dtype.itemsize:
                raise TokensError("side information is missing; write it again")
            arrays[f"extra_{name}"] = np.frombuffer(part, dtype).reshape(shape)
            place += len(part)
        rows.append(arrays)
    if place != len(content):
        raise TokensError("there is more side information than rows; write it again")
    return iter(rows)
