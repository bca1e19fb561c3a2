"""Parquet: the format that tokens are kept in, and that `datasets`, `polars`, `duckdb` and Ray open directly.

One row per utterance:

| column | type | content |
|---|---|---|
| `key` | string | identifies the row |
| `codes` | list<list<uint16>> | [K][T]; int32 where a codebook has more than 65,536 codes |
| `num_frames`, `num_samples` | int32, int64 | frames T; samples of sound at `sample_rate` |
| `sample_rate`, `duration` | int32, float64 | in Hz; in seconds |
| `source`, `start`, `end` | string, float64, float64 | where the sound was; null where it is the whole |
| `depth` | list<uint16> | [T], only of datasets with a depth |
| `extra_NAME` | list of its type | side information in row-major order; its shape is in `tokaudio.json` |
| columns of the dataset | string, int64, float64, bool | text, speaker, language and the like |

The file's own metadata has the description of the dataset (`tokaudio`), its CRC-32 (`tokaudio_info_crc32`), the
number of rows (`tokaudio_rows`) and the CRC-32 of them all (`tokaudio_rows_crc32`); pages have checksums as well.
Equal rows give equal bytes with the same version of pyarrow.
"""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tokaudio.errors import TokaudioError, TokensError
from tokaudio.storage._facts import array_names, arrays_of, damaged, missing, row_crc, row_of, shard_info
from tokaudio.storage._npy import Array
from tokaudio.storage._safe_npz import open_regular
from tokaudio.storage.dataset_info import DatasetInfo, info_bytes, parse_info
from tokaudio.storage.rows import TokenRow, checked_rows, distinct

ROW_GROUP_CODES = 2**24
"""Codes after which a group of rows ends: 64 MiB as Parquet counts them."""
ROW_GROUP_ROWS = 2**16
_READ_ROWS = 256
_MAX_GROUP_BYTES = 2**31
_COLUMNS = {"string": "string", "integer": "int64", "number": "float64", "boolean": "bool_"}


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        missing("pyarrow", "data", error)
    return pyarrow


def schema(info: DatasetInfo) -> Any:
    """Return the `pyarrow.Schema` of a dataset, without metadata.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> schema(DatasetInfo(spec)).field("codes").type
        ListType(list<element: list<element: uint16>>)
    """
    pa = _pyarrow()
    numbers = {name: _list(pa, pa.from_numpy_dtype(np.dtype(extra.dtype))) for name, extra in info.extras.items()}
    fields = [
        ("key", pa.string()),
        ("codes", _list(pa, _list(pa, pa.from_numpy_dtype(info.code_dtype)))),
        ("num_frames", pa.int32()),
        ("num_samples", pa.int64()),
        ("sample_rate", pa.int32()),
        ("duration", pa.float64()),
        ("source", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        *[("depth", _list(pa, pa.uint16()))] * info.depth,
        *((f"extra_{name}", kind) for name, kind in numbers.items()),
        *((name, getattr(pa, _COLUMNS[kind])()) for name, kind in info.columns.items()),
    ]
    return pa.schema(fields)


def _list(pa: Any, kind: Any) -> Any:
    return pa.list_(pa.field("element", kind))


def write_shard(path: str | os.PathLike[str], rows: Iterable[TokenRow], info: DatasetInfo) -> None:
    """Write rows to a Parquet file; see `ShardFormat.write_shard`."""
    pa = _pyarrow()
    description = info_bytes(shard_info(info))
    crc = f"{zlib.crc32(description):08x}"
    wanted = schema(info).with_metadata({"tokaudio": description, "tokaudio_info_crc32": crc})
    options = {"compression": "zstd", "write_page_checksum": True, "write_statistics": ["key"], "use_dictionary": True}
    count, total = 0, 0
    with Path(path).open("wb") as stream, pa.parquet.ParquetWriter(stream, wanted, **options) as writer:
        for group in _groups(checked_rows(rows, info)):
            writer.write_table(_table(pa, group, wanted), row_group_size=len(group))
            count += len(group)
            for row in group:
                total = row_crc(row, total)
        writer.add_key_value_metadata({"tokaudio_rows": str(count), "tokaudio_rows_crc32": f"{total:08x}"})


def _groups(rows: Iterable[TokenRow]) -> Iterator[list[TokenRow]]:
    group: list[TokenRow] = []
    codes = 0
    for row in rows:
        group.append(row)
        codes += row.codes.size
        if codes >= ROW_GROUP_CODES or len(group) >= ROW_GROUP_ROWS:
            yield group
            group, codes = [], 0
    if group:
        yield group


def _table(pa: Any, rows: list[TokenRow], wanted: Any) -> Any:
    arrays = [arrays_of(row) for row in rows]
    columns = {}
    for field in wanted:
        name = field.name
        if name == "codes":
            values = [array[name] for array in arrays]
            inner = _lists(pa, np.repeat([v.shape[1] for v in values], [len(v) for v in values]), values, field.type)
            columns[name] = _nested(pa, [len(v) for v in values], inner, field.type)
        elif name in arrays[0]:
            values = [array[name] for array in arrays]
            columns[name] = _nested(pa, [v.size for v in values], _flat(pa, values, field.type.value_type), field.type)
        else:
            plain = (row.columns[name] if name in row.columns else getattr(row, name) for row in rows)
            columns[name] = pa.array(plain, field.type)
    return pa.Table.from_arrays(list(columns.values()), schema=wanted)


def _lists(pa: Any, lengths: Any, values: list[Array], outer: Any) -> Any:
    return _nested(pa, lengths, _flat(pa, values, outer.value_type.value_type), outer.value_type)


def _flat(pa: Any, values: list[Array], kind: Any) -> Any:
    return pa.array(np.concatenate([value.reshape(-1) for value in values]), kind)


def _nested(pa: Any, lengths: Any, values: Any, kind: Any) -> Any:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind)


def read_shard(path: str | os.PathLike[str]) -> Iterator[TokenRow]:
    """Yield the rows of a Parquet file that `write_shard` wrote; see `ShardFormat.read_shard`.

    The checksum of all rows is compared when the last one has been taken.
    """
    pa = _pyarrow()
    with open_regular(path) as stream:
        try:
            yield from _read(pa, path, stream)
        except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
            if isinstance(error, TokaudioError):
                raise
            damaged(path, "".join(c if c.isprintable() else " " for c in str(error))[:80], error)


def _read(pa: Any, path: str | os.PathLike[str], stream: Any) -> Iterator[TokenRow]:
    limits = {"thrift_string_size_limit": 2**26, "thrift_container_size_limit": 2**20}
    file = pa.parquet.ParquetFile(stream, page_checksum_verification=True, **limits)
    facts = file.schema_arrow.metadata or {}
    description = facts.get(b"tokaudio", b"")
    if f"{zlib.crc32(description):08x}".encode() != facts.get(b"tokaudio_info_crc32"):
        damaged(path, "its metadata has no description of a dataset")
    info = parse_info(path, description)
    if file.schema_arrow.remove_metadata() != schema(info):
        damaged(path, "its columns are not those of its description")
    for number in range(file.metadata.num_row_groups):
        if not 0 <= file.metadata.row_group(number).total_byte_size <= _MAX_GROUP_BYTES:
            damaged(path, "a group of rows is too large")
    count, crc = 0, 0
    batches = file.iter_batches(batch_size=_READ_ROWS, use_threads=False)
    for row in distinct(row for batch in batches for row in _rows(path, batch, info)):
        count, crc = count + 1, row_crc(row, crc)
        yield row
    # Only the file's own metadata has what was added at its end.
    facts = file.metadata.metadata or {}
    if (str(count).encode(), f"{crc:08x}".encode()) != (facts[b"tokaudio_rows"], facts[b"tokaudio_rows_crc32"]):
        damaged(path, "the checksum of its rows does not match")


def _rows(path: object, batch: Any, info: DatasetInfo) -> Iterator[TokenRow]:
    names = array_names(info)
    plain = batch.drop_columns(names).to_pylist()
    parts = {name: _parts(batch.column(name)) for name in names}
    for number, facts in enumerate(plain):
        arrays = {name: values[number] for name, values in parts.items()}
        if len({len(row) for row in arrays["codes"]}) > 1:
            damaged(path, f"the row {facts['key']!a:.40} has codes of different lengths")
        rows = arrays["codes"]
        codes = np.stack(rows) if len(rows) else np.empty((0, 0), info.code_dtype)
        shaped = {"codes": codes, **{name: _shaped(name, arrays[name], codes.shape[1], info) for name in names[1:]}}
        yield row_of(facts, shaped, info, checksum=False)


def _parts(column: Any) -> list[Any]:
    """Return the values of each row of a column of lists, as arrays; of lists of lists, lists of arrays."""
    if column.null_count or column.flatten().null_count:
        raise TokensError("a list is missing; write the shard again")
    offsets = column.offsets.to_numpy()
    inner = column.values
    values = _parts(inner) if hasattr(inner.type, "value_type") else inner.to_numpy(zero_copy_only=False)
    return [values[start:stop] for start, stop in itertools.pairwise(offsets)]


def _shaped(name: str, values: Array, frames: int, info: DatasetInfo) -> Array:
    if name == "depth":
        return values
    extra = info.extras[name.removeprefix("extra_")]
    per_frame = (frames,) if name.startswith("extra_frame_") else ()
    return values.reshape((*per_frame, *extra.shape))
