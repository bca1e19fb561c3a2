"""A folder of token files (`.npz`), one for each row, with a list of them.

| file | content |
|---|---|
| `tokaudio.json` | the description of the dataset |
| `rows.jsonl` | per row and line: `file`, `key`, `num_frames`, `num_samples`, `sample_rate`, `duration`, `source`, `start`, `end`, the columns, `crc32`; at the end `{"rows": N}` |
| `NAME.npz` | the token file (`tokaudio.storage.npz`), which numpy alone reads |

NAME is the key as in WebDataset.
"""  # noqa: E501

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokaudio.errors import TokensError
from tokaudio.storage._facts import (
    LIST,
    arrays_of,
    damaged,
    facts_of,
    listed,
    member_name,
    read_shard_info,
    row_of,
    shard_info,
    to_json,
)
from tokaudio.storage.dataset_info import FILE_NAME, DatasetInfo, info_bytes
from tokaudio.storage.npz import read_npz, write_npz
from tokaudio.storage.rows import TokenRow, checked_rows, distinct


def write_shard(path: str | os.PathLike[str], rows: Iterable[TokenRow], info: DatasetInfo) -> None:
    """Write rows to a new folder; see `ShardFormat.write_shard`."""
    folder, count = Path(path), 0
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(info_bytes(shard_info(info)))
    with (folder / LIST).open("wb") as stream:
        for row in checked_rows(rows, info):
            name = f"{member_name(row.key)}.npz"
            write_npz(folder / name, row.to_tokens(info))
            stream.write(to_json({"file": name, **facts_of(row)}) + b"\n")
            count += 1
        stream.write(to_json({"rows": count}) + b"\n")


def read_shard(path: str | os.PathLike[str]) -> Iterator[TokenRow]:
    """Yield the rows of a folder that `write_shard` wrote; see `ShardFormat.read_shard`."""
    info = read_shard_info(path)
    yield from distinct(_rows(Path(path), info))


def _rows(folder: Path, info: DatasetInfo) -> Iterator[TokenRow]:
    for facts in listed(folder / LIST):
        file = folder / f"{member_name(str(facts.get('key')))}.npz"
        if facts.get("file") != file.name:
            damaged(folder / LIST, f"the row {facts.get('key')!a:.40} has the name of another")
        try:
            tokens = read_npz(file)
            if (tokens.spec, tokens.fingerprint, len(tokens)) != (info.spec, info.fingerprint, 1):
                damaged(file, "it is of another tokenizer")
            row = row_of(facts, arrays_of(TokenRow.from_tokens(tokens, "row")), info)
        except TokensError as error:
            damaged(file, str(error).removeprefix(f"{file}: ").partition("; ")[0], error)
        yield row
