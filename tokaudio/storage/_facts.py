"""The plain facts of a row as every format holds them, its checksum, and names of files that keys become.

All names are the same in all formats: `key`, `num_frames`, `num_samples`, `sample_rate`, `duration`, `source`, `start`,
`end`, and the columns of the dataset.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from tokaudio.errors import MissingDependencyError, TokensError, one_line
from tokaudio.json_text import parse_json
from tokaudio.storage._npy import Array, array_header
from tokaudio.storage._safe_npz import open_regular
from tokaudio.storage.dataset_info import FILE_NAME, MAX_INFO_BYTES, DatasetInfo, parse_info
from tokaudio.storage.rows import TokenRow, checked

CHECKSUM = "crc32"
LIST = "rows.jsonl"
MAX_FACTS_BYTES = 2**24
MAX_NAME = 80
# Of a name that was too long: its beginning, `~`, and a digest.
SHORTENED_NAME = 41


def damaged(path: object, detail: str, error: BaseException | None = None) -> NoReturn:
    """Raise the error about a shard that is none, or that is damaged."""
    remedy = "copy it again, or encode what it held again"
    raise TokensError(one_line(str(path), f"it is no shard of tokens, or a damaged one ({detail})", remedy)) from error


def missing(package: str, extra: str, error: ImportError) -> NoReturn:
    """Raise the error about a package that a format needs."""
    problem, remedy = f"the package {package} is missing", f"run: pip install tokaudio[{extra}]"
    raise MissingDependencyError(one_line(extra, problem, remedy)) from error


def shard_info(info: DatasetInfo) -> DatasetInfo:
    """Return what a shard says about its dataset: all but the counts, which are known when all shards are."""
    return dataclasses.replace(info, num_rows=None, num_frames=None, num_samples=None)


def parse_shard_info(path: object, content: bytes) -> DatasetInfo:
    """Return what a shard says about its dataset, if its description is whole.

    Raises:
        TokensError: anything else.
    """
    if not content.endswith(b"}\n"):
        damaged(path, "its description of a dataset is cut off")
    return parse_info(str(path), content)


def read_shard_info(folder: str | os.PathLike[str], name: str = FILE_NAME) -> DatasetInfo:
    """Return what a shard that is a folder says about its dataset.

    Raises:
        TokensError: no such folder, or a description that is cut off or damaged.
    """
    file = Path(folder) / name
    if not Path(folder).is_dir():
        raise TokensError(one_line(folder, "there is no such folder", "check the path"))
    with open_regular(file) as stream:
        return parse_shard_info(file, stream.read(MAX_INFO_BYTES))


def member_name(key: str, *, longest: int = MAX_NAME) -> str:
    """Return the name of a file for a key: ASCII without dots and slashes, the same for no two keys of one shard.

    Args:
        key: of the row.
        longest: characters that the name may have, `SHORTENED_NAME` at least.

    Example:
        >>> member_name("a/b.wav"), member_name("größe")
        ('a%2Fb%2Ewav', 'gr%C3%B6%C3%9Fe')
    """
    name = quote(key, safe="").replace(".", "%2E").replace("~", "%7E")
    if len(name) <= longest:
        return name
    return f"{name[:16].rpartition('%')[0] or name[:16]}~{hashlib.sha256(key.encode()).hexdigest()[:24]}"


def facts_of(row: TokenRow) -> dict[str, Any]:
    """Return the plain facts of a row with its checksum, for JSON."""
    return {
        "key": row.key,
        "num_frames": row.num_frames,
        "num_samples": row.num_samples,
        "sample_rate": row.sample_rate,
        "duration": row.duration,
        "source": row.source,
        "start": row.start,
        "end": row.end,
        **row.columns,
        CHECKSUM: row_crc(row),
    }


def to_json(facts: Mapping[str, Any]) -> bytes:
    """Return one line of JSON, without its end."""
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def from_json(content: bytes) -> dict[str, Any]:
    """Return an object of JSON.

    Raises:
        TokensError: anything else.
    """
    try:
        facts = parse_json(content)
    except ValueError as error:
        raise TokensError("the facts of a row are no JSON; write it again") from error
    if not isinstance(facts, dict):
        raise TokensError("the facts of a row are no object; write it again")
    return facts


def row_crc(row: TokenRow, crc: int = 0) -> int:
    """Return the CRC-32 of everything in a row that `checked` returned, continued from `crc`."""
    plain = [row.key, row.num_samples, row.sample_rate, row.source, row.start, row.end, sorted(row.columns.items())]
    crc = zlib.crc32(to_json({"row": plain}), crc)
    for name, array in arrays_of(row).items():
        crc = zlib.crc32(name.encode(), crc)
        crc = zlib.crc32(array_header(array.dtype, array.shape), crc)
        crc = zlib.crc32(array.tobytes(), crc)
    return crc


def arrays_of(row: TokenRow) -> dict[str, Array]:
    """Return the arrays of a row: `codes`, `depth` if there is one, and `extra_NAME` by name."""
    depth = {} if row.depth is None else {"depth": row.depth}
    return {"codes": row.codes, **depth, **{f"extra_{name}": row.extras[name] for name in sorted(row.extras)}}


def array_names(info: DatasetInfo) -> list[str]:
    """Return the names of the arrays that each row of a dataset has."""
    return ["codes", *["depth"] * info.depth, *(f"extra_{name}" for name in info.extras)]


def row_of(
    facts: Mapping[str, Any], arrays: Mapping[str, Array], info: DatasetInfo, *, checksum: bool = True
) -> TokenRow:
    """Return the row of what `facts_of` and `arrays_of` gave.

    Args:
        facts: of the row; further ones are not looked at.
        arrays: of the row.
        info: of the dataset.
        checksum: whether the facts hold the checksum, which is then compared.

    Raises:
        TokensError: anything that does not fit together.
    """
    try:
        row = TokenRow(
            _typed(facts, "key", str),
            arrays["codes"],
            _typed(facts, "num_samples", int),
            _typed(facts, "sample_rate", int),
            _typed(facts, "source", str),
            None if facts["start"] is None else float(_typed(facts, "start", (int, float))),
            None if facts["end"] is None else float(_typed(facts, "end", (int, float))),
            {name: facts[name] for name in info.columns},
            arrays.get("depth"),
            {name: arrays[f"extra_{name}"] for name in info.extras},
        )
        row = checked(row, info)
        if facts["num_frames"] != row.num_frames or facts.get("duration", row.duration) != row.duration:
            raise TokensError(f"the row {row.key!a:.60} is not as long as it says; write it again")
        if checksum and facts[CHECKSUM] != row_crc(row):
            raise TokensError(f"the checksum of the row {row.key!a:.60} does not match; write it again")
    except (KeyError, OverflowError) as error:
        raise TokensError(f"a row lacks {error!s:.60}; write it again") from error
    return row


def _typed(facts: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    value = facts[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TokensError(f"the field {name} of a row is {value!a:.60}; write it again")
    return value


def listed(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list that says at its end how many there are."""
    count = 0
    with open_regular(path) as stream:
        while line := stream.readline(MAX_FACTS_BYTES):
            facts = from_json(line)
            if "key" not in facts:
                if facts != {"rows": count} or not line.endswith(b"\n") or stream.read(1):
                    damaged(path, "it does not say at its end how many rows it has")
                return
            yield facts
            count += 1
    damaged(path, "it is cut off")
