"""Lhotse Shar: cuts with the codes as a `TemporalArray`, which `lhotse.CutSet.from_shar` reads.

A shard is a folder:

| file | content |
|---|---|
| `cuts.tokaudio.json` | the description of the dataset; Lhotse takes no notice of a file of this name |
| `cuts.000000.jsonl` | one `MonoCut` per line, its facts and columns in `custom`, `text`, `speaker` and `language` in a supervision |
| `codes.000000.tar` | per cut `ID.npy`, the codes [T, K], and `ID.json`, a `TemporalArray` of one frame per hop |
| `depth.000000.tar` | [T], only of datasets with a depth |
| `extra_NAME.000000.tar` | side information: a `TemporalArray` where the name begins with `frame_`, else an `Array` |

Frames stand first, as Lhotse cuts arrays in memory along their first dimension, whatever `temporal_dim` says.
Cuts have no recording; `sampling_rate` in `custom` lets Lhotse cut them all the same.
The id of a cut is its key, escaped as in WebDataset; the key itself is `custom["key"]`.
"""  # noqa: E501

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tokaudio.errors import TokensError
from tokaudio.storage._facts import (
    MAX_FACTS_BYTES,
    array_names,
    arrays_of,
    damaged,
    facts_of,
    from_json,
    member_name,
    read_shard_info,
    row_of,
    shard_info,
    to_json,
)
from tokaudio.storage._npy import Array, NpyError, from_npy, to_npy
from tokaudio.storage._safe_npz import open_regular
from tokaudio.storage._tar import TarWriter, read_tar
from tokaudio.storage.dataset_info import DatasetInfo, info_bytes
from tokaudio.storage.rows import TokenRow, checked_rows, distinct

CUTS = "cuts.000000.jsonl"
INFO = "cuts.tokaudio.json"
_SPOKEN = ("text", "speaker", "language")


def _tar(name: str) -> str:
    return f"{name}.000000.tar"


def write_shard(path: str | os.PathLike[str], rows: Iterable[TokenRow], info: DatasetInfo) -> None:
    """Write rows to a new folder; see `ShardFormat.write_shard`."""
    folder = Path(path)
    folder.mkdir()
    (folder / INFO).write_bytes(info_bytes(shard_info(info)))
    with contextlib.ExitStack() as stack:
        streams = {name: stack.enter_context((folder / _tar(name)).open("wb")) for name in array_names(info)}
        tars = {name: TarWriter(stream) for name, stream in streams.items()}
        cuts = stack.enter_context((folder / CUTS).open("wb"))
        for row in checked_rows(rows, info):
            name = member_name(row.key)
            for part, array in arrays_of(row).items():
                frames_first = array.T if part == "codes" else array
                tars[part].add(f"{name}.npy", to_npy(frames_first))
                tars[part].add(f"{name}.json", to_json(array_manifest(part, frames_first, info)))
            cuts.write(to_json(cut_manifest(row)) + b"\n")
        for tar in tars.values():
            tar.close()


def cut_manifest(row: TokenRow) -> dict[str, Any]:
    """Return a row as Lhotse writes a `MonoCut`, without its arrays."""
    name = member_name(row.key)
    spoken = {k: v for k, v in row.columns.items() if k in _SPOKEN and isinstance(v, str)}
    where = {"id": name, "recording_id": name, "start": 0, "duration": row.duration, "channel": 0}
    return {
        "id": name,
        "start": 0,
        "duration": row.duration,
        "channel": 0,
        "supervisions": [{**where, **spoken}] if spoken else [],
        "custom": {**facts_of(row), "sampling_rate": row.sample_rate},
        "type": "MonoCut",
    }


def array_manifest(name: str, array: Array, info: DatasetInfo) -> dict[str, Any]:
    """Return an array as Lhotse writes a `TemporalArray`, or an `Array` where it has no frames."""
    place = {"storage_type": "shar", "storage_path": "", "storage_key": "", "shape": list(array.shape)}
    if name.startswith("extra_") and not name.startswith("extra_frame_"):
        return place
    shift = float(1 / info.spec.frame_rate)
    return {"array": place, "temporal_dim": 0, "frame_shift": shift, "start": 0}


def read_shard(path: str | os.PathLike[str]) -> Iterator[TokenRow]:
    """Yield the rows of a folder that `write_shard` wrote; see `ShardFormat.read_shard`."""
    info = read_shard_info(path, INFO)
    yield from distinct(_rows(Path(path), info))


def _rows(folder: Path, info: DatasetInfo) -> Iterator[TokenRow]:
    tars = {name: read_tar(folder / _tar(name)) for name in array_names(info)}
    for line in _lines(folder / CUTS):
        try:
            cut = from_json(line)
            found = {name: list(itertools.islice(members, 2)) for name, members in tars.items()}
            if any(len(pair) < 2 for pair in found.values()) or not isinstance(cut.get("custom"), dict):
                raise TokensError("a cut lacks its arrays; write it again")
            arrays = {name: from_npy(pair[0][1]) for name, pair in found.items()}
            row = row_of(cut["custom"], {**arrays, "codes": np.ascontiguousarray(arrays["codes"].T)}, info)
        except (NpyError, TokensError) as error:
            damaged(folder / CUTS, str(error).partition("; ")[0], error)
        stem = member_name(row.key)
        if any([name for name, _ in pair] != [f"{stem}.npy", f"{stem}.json"] for pair in found.values()):
            damaged(folder / CUTS, f"arrays beside {stem} are those of another row")
        yield row
    for members in tars.values():
        if next(members, None) is not None:
            damaged(folder / CUTS, "it has fewer cuts than arrays")


def _lines(path: Path) -> Iterator[bytes]:
    with open_regular(path) as stream:
        while line := stream.readline(MAX_FACTS_BYTES):
            if not line.endswith(b"\n"):
                damaged(path, "it is cut off")
            yield line
