"""What is to be encoded: the rows of a manifest, or the audio files of a folder, each once and in one order.

Columns of a manifest that say where the sound is:

| column | meaning |
|---|---|
| `path` (or `file`, `file_name`, `audio`, `audio_filepath`) | the file, relative to the manifest's folder |
| `key` (or `id`) | the name of the row; by default its path, with `#START-END` for a segment |
| `start`, `end` | the segment of a long file, in seconds |
| `offset`, `duration` | the same as NeMo writes it; `duration` alone says how long the file is |

All others are passed through, with the type that all their values have in common. Names that rows use themselves, such
as `source` or `sample_rate`, get `manifest_` in front.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokaudio.errors import AudioError, CorpusError, one_line
from tokaudio.storage.dataset_info import RESERVED, ColumnType
from tokaudio.walk import AUDIO_SUFFIXES, walk

Column = str | int | float | bool | None

_KEYS = ("key", "id")
_MAX_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Input:
    """One utterance: a file, or a segment of one.

    Attributes:
        key: its name in the dataset, which no other has.
        name: path of the file relative to the listing's root, or absolute.
        start: of the segment, in seconds; None for the beginning of the file.
        end: of the segment, in seconds; None for the end of the file.
        seconds: how long it is, as far as the manifest says so; takes no part in what an input is.
        columns: what is passed through.
    """

    key: str
    name: str
    start: float | None = None
    end: float | None = None
    seconds: float | None = field(default=None, compare=False)
    columns: Mapping[str, Column] = field(default_factory=dict)

    def to_row(self) -> list[Any]:
        """Return the fields as plain values."""
        return [self.key, self.name, self.start, self.end, dict(self.columns)]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Input:
        """Return what `to_row` gave.

        Example:
            >>> Input.from_row(Input("a", "a.wav", 1.0, 2.0).to_row()).end
            2.0
        """
        key, name, start, end, columns = row
        return cls(key, name, start, end, columns=columns)


@dataclass(frozen=True)
class Listing:
    """All inputs of a job.

    Attributes:
        root: folder that names are relative to.
        inputs: each once, sorted by key, so that the order of a manifest plays no part.
        skipped: key and reason of rows that are not encoded, sorted.
        columns: type of each column.
        ignored: files of a folder that are no audio.
    """

    root: str
    inputs: list[Input]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    columns: Mapping[str, ColumnType] = field(default_factory=dict)
    ignored: int = 0

    def digest(self) -> str:
        """Return the SHA-256 of what is listed, wherever it lies."""
        digest = hashlib.sha256()
        for item in [dict(self.columns), self.skipped, *(one.to_row() for one in self.inputs)]:
            digest.update(json.dumps(item).encode() + b"\n")
        return digest.hexdigest()


def list_inputs(source: str | os.PathLike[str]) -> Listing:
    r"""Return the inputs of a folder of audio files, or of a manifest (`.jsonl`, `.csv`, `.tsv`).

    Raises:
        AudioError: if it is not there, cannot be read, or holds nothing.
        CorpusError: if two different rows have one key.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "all.csv").write_text("path,start,end,text\na.wav,0.5,2,yes\n")
        ...     list_inputs(f"{folder}/all.csv").inputs
        [Input(key='a.wav#0.5-2', name='a.wav', start=0.5, end=2.0, seconds=1.5, columns={'text': 'yes'})]
    """
    if Path(source).is_dir():
        return _list_folder(os.fspath(source))
    if not Path(source).exists():
        raise AudioError(one_line(source, "no such file or folder", "check the path"))
    return _list_manifest(Path(source))


def text_of(name: str) -> str:
    r"""Return a path as text that UTF-8 can hold: one with bytes that are no text is percent-encoded.

    Example:
        >>> text_of("a b.wav"), text_of("caf\udce9.wav")
        ('a b.wav', 'caf%E9.wav')
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return urllib.parse.quote(os.fsencode(name), safe="/ #!$&'()*+,;=:@[]~")
    return name


def _list_folder(folder: str) -> Listing:
    visit = walk(folder, AUDIO_SUFFIXES)
    for path, error in visit.failures:
        # A folder called a.wav fails as an input; one that cannot be read may hold anything.
        if not Path(path).name.lower().endswith(AUDIO_SUFFIXES):
            raise error
    names = [name for _, name in visit.files] + [os.path.relpath(path, folder) for path, _ in visit.failures]
    if not names:
        raise AudioError(one_line(folder, f"holds none of {' '.join(AUDIO_SUFFIXES)}", "name a folder that does"))
    inputs, skipped = _distinct((Input(_short(text_of(name)), name) for name in names), folder)
    return Listing(str(Path(folder).absolute()), inputs, skipped, {}, visit.ignored)


def _list_manifest(manifest: Path) -> Listing:
    from tokaudio.audio.manifest import manifest_rows, path_in

    rows = []
    for number, row in manifest_rows(manifest):
        rows.append(_input(row, path_in(row, manifest, number), manifest, number))
    if not rows:
        raise AudioError(one_line(manifest, "has no rows", "list at least one recording"))
    types: dict[str, ColumnType] = {}
    for one in rows:
        for name, value in one.columns.items():
            if value is not None:
                types[name] = _common(types.get(name), _type_of(value))
    inputs, skipped = _distinct((_typed(one, types) for one in rows), manifest)
    return Listing(str(manifest.absolute().parent), inputs, skipped, dict(sorted(types.items())))


def _input(row: Mapping[str, Any], name: str, manifest: Path, number: int) -> Input:
    from tokaudio.audio.manifest import PATH_COLUMNS

    where = f"{os.fspath(manifest)} line {number}"
    times = {column: _seconds(row.get(column), column, where) for column in ("start", "end", "offset", "duration")}
    start, end, seconds = times["start"], times["end"], times["duration"]
    if start is None and end is None and times["offset"] is not None:
        start, end = times["offset"], None if seconds is None else times["offset"] + seconds
    if end is not None and end <= (start or 0.0):
        raise AudioError(one_line(where, f"the segment ends at {end} s, where it begins or before", "mend the row"))
    if end is not None:
        seconds = end - (start or 0.0)
    elif start is not None:
        seconds = None
    given = next((row[column] for column in _KEYS if row.get(column) not in (None, "")), None)
    span = "" if start is None and end is None else f"#{start or 0:.12g}-{'' if end is None else f'{end:.12g}'}"
    used = {"start", "end", "offset", "duration", *PATH_COLUMNS, *_KEYS}
    columns = {_free(column): value for column, value in row.items() if column and column not in used}
    return Input(_short(text_of(name + span if given is None else str(given))), name, start, end, seconds, columns)


def _seconds(value: Any, column: str, where: str) -> float | None:
    if value in (None, ""):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if isinstance(value, bool) or not (math.isfinite(seconds) and seconds >= 0):
        raise AudioError(one_line(where, f"{column} is {value!a:.40}", "give seconds, 0 or more"))
    return seconds


def _free(column: str) -> str:
    return f"manifest_{column}" if column in RESERVED or column.startswith("extra_") else column


def _short(key: str) -> str:
    """Return a key that is not too long, and still another for another."""
    if len(key.encode()) <= _MAX_KEY_BYTES:
        return key
    kept = key.encode()[: _MAX_KEY_BYTES - 17].decode(errors="ignore")
    return f"{kept}~{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _type_of(value: Any) -> ColumnType:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return "integer"
    return "number" if isinstance(value, float) and math.isfinite(value) else "string"


def _common(first: ColumnType | None, second: ColumnType) -> ColumnType:
    if first is None or first == second:
        return second
    return "number" if {first, second} == {"integer", "number"} else "string"


def _typed(one: Input, types: Mapping[str, ColumnType]) -> Input:
    columns = {name: _value(value, types[name]) for name, value in one.columns.items() if name in types}
    columns = {name: value for name, value in sorted(columns.items()) if value is not None}
    return Input(one.key, one.name, one.start, one.end, one.seconds, columns)


def _value(value: Any, kind: ColumnType) -> Column:
    if value is None or kind in ("boolean", "integer"):
        return value  # type: ignore[no-any-return]
    if kind == "number":
        return float(value)
    return text_of(value) if isinstance(value, str) else json.dumps(value)


def _distinct(inputs: Iterable[Input], listed: str | os.PathLike[str]) -> tuple[list[Input], list[tuple[str, str]]]:
    """Return every input once, sorted by key, and those that are listed again."""
    unique: dict[str, Input] = {}
    skipped = []
    for one in inputs:
        first = unique.setdefault(one.key, one)
        if first is one:
            continue
        if first != one:
            problem = f"two different rows are called {one.key!a:.80}"
            raise CorpusError(one_line(listed, problem, "give each a key of its own (column key)"))
        skipped.append((one.key, "is listed before"))
    return sorted(unique.values(), key=lambda one: one.key), sorted(skipped)
