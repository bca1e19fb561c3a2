r"""Megatron-LM's indexed dataset: the ids of a layout as a `.bin` of numbers and a `.idx` of places.

A shard is a folder:

| file | content |
|---|---|
| `tokens.bin` | ids of all documents one after the other, uint16 where all ids are below 65,536, else int32 |
| `tokens.idx` | see below; a document, and a sequence, is one row of the dataset |
| `rows.jsonl` | per row and line the facts that ids do not hold; at the end `{"rows": N}` |
| `tokaudio.json` | the description of the dataset, with layout and vocabulary |

The index, little-endian: `MMIDIDX\0\0`, version 1 (uint64), the type's number (uint8: 8 for uint16, 4 for int32), the
numbers of sequences N and of document bounds N + 1 (uint64), lengths of the sequences (int32 [N]), their first bytes
in `tokens.bin` (int64 [N]), and the bounds 0, 1, ..., N (int64 [N + 1]).

Where the layout's ids are those of its vocabulary, a document ends with `eos` if there is one. A layout of several
rows (delays) is written step by step: the ids of all its rows at the first time, at the second, and so on.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import TokensError
from tokaudio.layouts.file import AnyLayout
from tokaudio.layouts.flat import FlatLayout
from tokaudio.layouts.grid import GridLayout
from tokaudio.layouts.runs import RunsLayout
from tokaudio.storage._facts import LIST, damaged, facts_of, listed, read_shard_info, row_of, shard_info, to_json
from tokaudio.storage._safe_npz import open_regular
from tokaudio.storage.dataset_info import FILE_NAME, DatasetInfo, info_bytes
from tokaudio.storage.rows import TokenRow, checked_rows, distinct

PREFIX = "tokens"
_HEADER = struct.Struct("<9sQBQQ")
_MAGIC = b"MMIDIDX\x00\x00"
_TYPES = {np.dtype("uint16"): 8, np.dtype("int32"): 4}
_EOS = "eos"


def id_dtype(layout: AnyLayout) -> np.dtype[Any]:
    """Return the type in which ids of a layout are written: uint16 where it holds them all, else int32."""
    ids = layout.vocabulary.size
    if isinstance(layout, GridLayout):
        ids = max(ids, layout.before + 1, layout.after + 1)
    return np.dtype("uint16" if ids <= 2**16 else "int32")


def document(codes: NDArray[Any], layout: AnyLayout) -> NDArray[np.int64]:
    """Return the ids [L] of the codes [K, T] of one row.

    Raises:
        TokensError: a layout whose ids do not form one row.
    """
    if isinstance(layout, GridLayout):
        return np.asarray(layout.encode_codes(codes)).T.reshape(-1)
    if not isinstance(layout, (FlatLayout, RunsLayout)):
        known = "flatten, coarse-first, delay or the like"
        raise TokensError(f"the layout {layout.name} does not give one row of ids; use {known}")
    ids = np.asarray(layout.encode_codes(codes))
    end = layout.vocabulary.specials.get(_EOS)
    return ids if end is None else np.append(ids, end)


def codes_of(ids: NDArray[Any], layout: AnyLayout) -> NDArray[Any]:
    """Return the codes [K, T] of a document: the inverse of `document`.

    Raises:
        TokensError: ids that are no document of the layout.
    """
    if isinstance(layout, GridLayout):
        if len(ids) % layout.num_rows:
            raise TokensError(f"{len(ids)} ids in steps of {layout.num_rows}; write the shard again")
        return np.asarray(layout.decode_ids(ids.reshape(-1, layout.num_rows).T))
    if not isinstance(layout, (FlatLayout, RunsLayout)):
        raise TokensError(f"the layout {layout.name} does not give one row of ids; use another")
    end = layout.vocabulary.specials.get(_EOS)
    if end is not None:
        if not len(ids) or ids[-1] != end:
            raise TokensError("a document does not end with eos; write the shard again")
        ids = ids[:-1]
    return np.asarray(layout.decode_ids(ids))


def write_shard(path: str | os.PathLike[str], rows: Iterable[TokenRow], info: DatasetInfo) -> None:
    """Write rows as ids of `info.layout` to a new folder; see `ShardFormat.write_shard`."""
    layout = _layout(info)
    folder, dtype = Path(path), id_dtype(layout)
    lengths: list[int] = []
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(info_bytes(shard_info(info)))
    with (folder / LIST).open("wb") as facts, (folder / f"{PREFIX}.bin").open("wb") as stream:
        for row in checked_rows(rows, info):
            ids = document(row.codes.astype(np.int64), layout)
            stream.write(ids.astype(dtype.newbyteorder("<")).tobytes())
            facts.write(to_json(facts_of(row)) + b"\n")
            lengths.append(len(ids))
        facts.write(to_json({"rows": len(lengths)}) + b"\n")
    (folder / f"{PREFIX}.idx").write_bytes(index_bytes(lengths, dtype))


def index_bytes(lengths: list[int], dtype: np.dtype[Any]) -> bytes:
    """Return the content of the `.idx` of documents of such lengths.

    Example:
        >>> len(index_bytes([3, 5], np.dtype("uint16")))
        82
    """
    count, sizes = len(lengths), np.array(lengths, "<i4")
    starts = (np.cumsum(sizes, dtype="<i8") - sizes) * dtype.itemsize
    bounds = np.arange(count + 1, dtype="<i8")
    head = _HEADER.pack(_MAGIC, 1, _TYPES[dtype], count, count + 1)
    return head + sizes.tobytes() + starts.astype("<i8").tobytes() + bounds.tobytes()


def read_shard(path: str | os.PathLike[str]) -> Iterator[TokenRow]:
    """Yield the rows of a folder that `write_shard` wrote; see `ShardFormat.read_shard`."""
    info = read_shard_info(path)
    yield from distinct(_rows(Path(path), info, _layout(info)))


def _rows(folder: Path, info: DatasetInfo, layout: AnyLayout) -> Iterator[TokenRow]:
    dtype = id_dtype(layout)
    lengths = _read_index(folder / f"{PREFIX}.idx", dtype)
    with open_regular(folder / f"{PREFIX}.bin") as stream:
        if os.fstat(stream.fileno()).st_size != int(lengths.sum()) * dtype.itemsize:
            damaged(folder / f"{PREFIX}.bin", "its size is not that of the index")
        facts = listed(folder / LIST)
        for length in lengths.tolist():
            try:
                codes = codes_of(_take(stream, length, dtype), layout).astype(info.code_dtype)
                row = row_of(next(facts, {}), {"codes": codes}, info)
            except TokensError as error:
                damaged(folder, str(error).partition("; ")[0], error)
            yield row
        if next(facts, None) is not None:
            damaged(folder / LIST, "it has more rows than the index")


def _take(stream: BinaryIO, length: int, dtype: np.dtype[Any]) -> NDArray[np.int64]:
    content = stream.read(length * dtype.itemsize)
    return np.frombuffer(content, dtype.newbyteorder("<")).astype(np.int64)


def _read_index(path: Path, dtype: np.dtype[Any]) -> NDArray[np.int64]:
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        head = stream.read(_HEADER.size)
        count = (size - _HEADER.size - 8) // 20
        if count < 0 or head != _HEADER.pack(_MAGIC, 1, _TYPES[dtype], count, count + 1):
            damaged(path, "it is no index of this type, or of another size")
        lengths = np.frombuffer(stream.read(4 * count), "<i4").astype(np.int64)
        if (lengths < 0).any() or head + lengths.astype("<i4").tobytes() + stream.read() != index_bytes(
            lengths.tolist(), dtype
        ):
            damaged(path, "its places do not follow from its lengths")
    return lengths


def _layout(info: DatasetInfo) -> AnyLayout:
    if info.layout is None:
        raise TokensError("Megatron's files hold ids, and the dataset has no layout; give one")
    if info.depth or info.extras:
        raise TokensError("Megatron's files hold ids alone, no depth and no extras; leave them out")
    return info.layout
