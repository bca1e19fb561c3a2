"""WebDataset: a tar file with the members `NAME.codes.npy` and `NAME.json` for each row.

| member | content |
|---|---|
| `__tokaudio__/tokaudio.json` | the description of the dataset; WebDataset skips names that begin so |
| `NAME.codes.npy` | the codes, uint16 [K, T], int32 where a codebook has more than 65,536 codes |
| `NAME.depth.npy` | uint16 [T], only of datasets with a depth |
| `NAME.extra_X.npy` | side information |
| `NAME.json` | the facts of the row (`tokaudio.storage._facts`), its columns and `crc32` |
| `__tokaudio__/end.json` | `{"rows": N}`, the last member: an end of zeros alone could stand for lost rows |

NAME is the key with all but letters, digits, `-` and `_` percent-encoded, as WebDataset cuts names at the first dot;
where that gives more than 80 characters, or more than 100 with the longest ending, its beginning and a digest.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokaudio.errors import TokensError
from tokaudio.storage._facts import (
    MAX_NAME,
    SHORTENED_NAME,
    array_names,
    arrays_of,
    damaged,
    facts_of,
    from_json,
    member_name,
    parse_shard_info,
    row_of,
    shard_info,
    to_json,
)
from tokaudio.storage._npy import NpyError, from_npy, to_npy
from tokaudio.storage._tar import MAX_MEMBER_NAME, TarWriter, read_tar
from tokaudio.storage.dataset_info import FILE_NAME, DatasetInfo, info_bytes
from tokaudio.storage.rows import TokenRow, checked_rows, distinct

INFO_MEMBER, END_MEMBER = f"__tokaudio__/{FILE_NAME}", "__tokaudio__/end.json"


def write_shard(path: str | os.PathLike[str], rows: Iterable[TokenRow], info: DatasetInfo) -> None:
    """Write rows to a tar file; see `ShardFormat.write_shard`."""
    with Path(path).open("wb") as stream:
        tar = TarWriter(stream)
        tar.add(INFO_MEMBER, info_bytes(shard_info(info)))
        longest, count = _longest_name(info), 0
        for row in checked_rows(rows, info):
            name = member_name(row.key, longest=longest)
            for part, array in arrays_of(row).items():
                tar.add(f"{name}.{part}.npy", to_npy(array))
            tar.add(f"{name}.json", to_json(facts_of(row)))
            count += 1
        tar.add(END_MEMBER, to_json({"rows": count}))
        tar.close()


def read_shard(path: str | os.PathLike[str]) -> Iterator[TokenRow]:
    """Yield the rows of a tar file that `write_shard` wrote; see `ShardFormat.read_shard`."""
    members = read_tar(path)
    name, content = next(members, ("", b""))
    if name != INFO_MEMBER:
        damaged(path, "it has no description of a dataset")
    info = parse_shard_info(path, content)
    yield from distinct(_rows(path, members, info))


def _endings(info: DatasetInfo) -> list[str]:
    return [*(f".{part}.npy" for part in array_names(info)), ".json"]


def _longest_name(info: DatasetInfo) -> int:
    """Return how long names may be before the longest of their endings, as tar has room for 100 characters."""
    ending = max(_endings(info), key=len)
    if len(ending) + SHORTENED_NAME > MAX_MEMBER_NAME:
        raise TokensError(f"the extra {ending[7:-4]!a:.60} has too long a name for WebDataset; shorten it")
    return min(MAX_NAME, MAX_MEMBER_NAME - len(ending))


def _rows(path: str | os.PathLike[str], members: Iterator[tuple[str, bytes]], info: DatasetInfo) -> Iterator[TokenRow]:
    parts, longest = _endings(info), _longest_name(info)
    for count, (first, content) in enumerate(members):
        if first == END_MEMBER:
            if content != to_json({"rows": count}) or next(members, None) is not None:
                break
            return
        stem = first.removesuffix(parts[0])
        found = {first.removeprefix(stem): content}
        for name, other in itertools.islice(members, len(parts) - 1):
            found[name.removeprefix(stem)] = other
        if list(found) != parts:
            damaged(path, f"the members of {stem!a:.40} are not those of a row")
        try:
            arrays = {part: from_npy(found[f".{part}.npy"]) for part in array_names(info)}
            row = row_of(from_json(found[".json"]), arrays, info)
        except (NpyError, TokensError) as error:
            damaged(path, str(error).partition("; ")[0], error)
        if member_name(row.key, longest=longest) != stem:
            damaged(path, f"the row {row.key!a:.40} has the name of another")
        yield row
    damaged(path, "it does not say at its end how many rows it has")
