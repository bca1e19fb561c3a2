r"""Tokens in as few bytes as static tables give (`.tka`): for research on compression, and for keeping.

A file is `TKA\x01` and sections. A section is its kind (one byte), the size of its content (uint64), the content, and
the CRC-32 of kind, size and content (uint32); all numbers are little-endian.

| kind | content |
|---|---|
| `I` | the description of the dataset, as in `tokaudio.json` |
| `B` | a block of rows |
| `E` | JSON `{"rows": N}`, and nothing after it |

A block has four parts, each a size (uint64) and so many bytes: the facts of its rows, as JSON by line; its tables; the
coded symbols; the side information of its rows, one after the other, each extra in row-major order by name.

Streams of symbols are: the depths of all rows, if the dataset has them, and the codes of each codebook, of all rows
one after the other, once per stride and without those beyond the depth. Each stream has a table: how many numbers
follow; and for each symbol that occurs, in order, its count, after 0 and the difference to the symbol before (-1 for
the first) where that is more than 1. Numbers have 7 bits a byte, the lowest first, and the top bit set in all bytes
but a number's last.
`tokaudio.storage._rans` says how symbols are coded. Nothing in a file depends on floating-point arithmetic.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tokaudio.errors import TokensError
from tokaudio.storage._bitstream_blocks import MAX_BLOCK_CODES, pack, split, tables_of, unpack
from tokaudio.storage._facts import damaged, from_json, parse_shard_info, shard_info, to_json
from tokaudio.storage._rans import MAX_COUNT
from tokaudio.storage._safe_npz import open_regular
from tokaudio.storage.dataset_info import DatasetInfo, info_bytes
from tokaudio.storage.rows import TokenRow, checked_rows, distinct

MAGIC = b"TKA\x01"
BLOCK_CODES = 2**22
"""Codes after which a block ends."""
_HEAD = struct.Struct("<cQ")
_CRC = struct.Struct("<I")


@dataclass
class BitstreamSizes:
    """How many bytes a file spends on what, and how many its codes would need at least.

    Attributes:
        codes: number of codes, once per stride.
        code_bytes: for coded symbols.
        table_bytes: for tables.
        fact_bytes: for keys, columns and other facts.
        total_bytes: of the file.
        entropy_bits: sum over streams of the least that static tables need, without the tables.
    """

    codes: int = 0
    code_bytes: int = 0
    table_bytes: int = 0
    fact_bytes: int = 0
    total_bytes: int = 0
    entropy_bits: float = 0.0


def write_shard(path: str | os.PathLike[str], rows: Iterable[TokenRow], info: DatasetInfo) -> None:
    """Write rows to a `.tka` file; see `ShardFormat.write_shard`. At most a block of rows is held."""
    count = 0
    with Path(path).open("wb") as stream:
        stream.write(MAGIC)
        _write_section(stream, b"I", info_bytes(shard_info(info)))
        for block in _blocks(checked_rows(rows, info)):
            _write_section(stream, b"B", pack(block, info))
            count += len(block)
        _write_section(stream, b"E", to_json({"rows": count}))


def _write_section(stream: BinaryIO, kind: bytes, content: bytes) -> None:
    head = _HEAD.pack(kind, len(content))
    stream.write(head + content + _CRC.pack(zlib.crc32(content, zlib.crc32(head))))


def _blocks(rows: Iterable[TokenRow]) -> Iterator[list[TokenRow]]:
    block: list[TokenRow] = []
    codes = 0
    for row in rows:
        if row.num_frames > MAX_COUNT or row.codes.size > MAX_BLOCK_CODES:
            raise TokensError(f"the row {row.key!a:.60} has {row.num_frames:,} frames; cut it")
        if block and codes + row.codes.size > BLOCK_CODES:
            yield block
            block, codes = [], 0
        block.append(row)
        codes += row.codes.size
    if block:
        yield block


def read_shard(path: str | os.PathLike[str]) -> Iterator[TokenRow]:
    """Yield the rows of a `.tka` file; see `ShardFormat.read_shard`."""
    sections = _sections(path)
    info = parse_shard_info(path, next(sections)[1])
    yield from distinct(row for block in _unpacked(path, sections, info) for row in block)


def _unpacked(path: object, sections: Iterator[tuple[bytes, bytes]], info: DatasetInfo) -> Iterator[list[TokenRow]]:
    count = 0
    for kind, content in sections:
        try:
            if kind == b"E":
                if from_json(content) != {"rows": count}:
                    raise TokensError("its number of rows does not match; write it again")
                return
            rows = unpack(split(content), info)
        except (TokensError, ValueError) as error:
            damaged(path, str(error).partition("; ")[0], error)
        count += len(rows)
        yield rows


def _sections(path: str | os.PathLike[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each section; the first is `I`, the last `E`, all others `B`."""
    with open_regular(path) as stream:
        left = os.fstat(stream.fileno()).st_size - len(MAGIC)
        if stream.read(len(MAGIC)) != MAGIC:
            damaged(path, "it does not begin as one")
        kind, wanted = b"", b"I"
        while kind != b"E":
            head = stream.read(_HEAD.size)
            left -= _HEAD.size + _CRC.size
            if left < 0:
                damaged(path, "it is cut off")
            kind, size = _HEAD.unpack(head)
            if kind not in wanted or size > left:
                damaged(path, "a section is none, or is cut off")
            content = stream.read(size)
            left -= size
            if _CRC.pack(zlib.crc32(content, zlib.crc32(head))) != stream.read(_CRC.size):
                damaged(path, "the checksum of a section does not match")
            wanted = b"BE"
            if kind == b"E" and left:
                damaged(path, "there is more after its end")
            yield kind, content


def sizes(path: str | os.PathLike[str]) -> BitstreamSizes:
    """Return what the bytes of a `.tka` file are spent on.

    Raises:
        TokensError: a file that is damaged, or none.
    """
    found = BitstreamSizes(total_bytes=Path(path).stat().st_size)
    sections = _sections(path)
    info = parse_shard_info(path, next(sections)[1])
    for kind, content in sections:
        if kind == b"B":
            parts = split(content)
            tables = tables_of(parts[1], info.spec.num_codebooks + info.depth)
            found.codes += sum(table.total for table in tables[info.depth :])
            found.fact_bytes += len(parts[0])
            found.table_bytes += len(parts[1])
            found.code_bytes += len(parts[2])
            found.entropy_bits += sum(table.total * table.entropy for table in tables)
    return found
