"""Recordings and what is known about each: manifests in JSONL, CSV or TSV.

recordings = read_manifest("manifest.jsonl")  # a column with the path, others such as speaker, voice, text
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokaudio.errors import AudioError, one_line
from tokaudio.json_text import parse_json

MANIFEST_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv")
PATH_COLUMNS = ("path", "file", "file_name", "audio", "audio_filepath")
_SPEAKERS = ("speaker", "speaker_id", "voice")


@dataclass(frozen=True, slots=True)
class Recording:
    """One audio file.

    Attributes:
        path: where it is.
        name: by which it is told, the same on every machine.
        facts: what a manifest says about it, by column, as text (lists as JSON); without what is empty.
    """

    path: Path
    name: str
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def speaker(self) -> str | None:
        """Who speaks, from the column speaker, speaker_id or voice; None if nothing says so.

        Example:
            >>> Recording(Path("a.wav"), "a.wav", {"voice": "ann"}).speaker
            'ann'
        """
        return next((self.facts[name] for name in _SPEAKERS if name in self.facts), None)


def read_manifest(path: str | os.PathLike[str]) -> list[Recording]:
    r"""Read a manifest: one JSON object per line (`.jsonl`), or a table with a line of names (`.csv`, `.tsv`).

    Args:
        path: of the manifest; a column `path`, `file`, `file_name`, `audio` or `audio_filepath` has paths relative to
            its folder.

    Raises:
        AudioError: if it cannot be read, or a row has no path.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "all.csv")
        ...     _ = file.write_text("path,speaker\na.wav,ann\n")
        ...     read_manifest(file)[0].speaker
        'ann'
    """
    source = Path(path)
    recordings = []
    for number, row in manifest_rows(path):
        facts = {name: _fact(value) for name, value in row.items() if value not in (None, "") and name}
        recordings.append(Recording(source.parent / path_in(row, path, number), path_in(row, path, number), facts))
    if not recordings:
        raise AudioError(one_line(path, "has no rows", "list at least one recording"))
    return recordings


def manifest_rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    r"""Yield the rows of a manifest as they stand there, each with the number of its line, one by one.

    Args:
        path: of the manifest, as for `read_manifest`; columns of tables are text.

    Raises:
        AudioError: if it cannot be read, or a row is none.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "all.jsonl")
        ...     _ = file.write_text('{"path": "a.wav", "duration": 1.5}\n')
        ...     list(manifest_rows(file))
        [(1, {'path': 'a.wav', 'duration': 1.5})]
    """
    source = Path(path)
    json_lines = "json" in source.suffix.lower()
    try:
        with source.open(encoding="utf-8-sig", newline=None if json_lines else "") as stream:
            yield from _json_rows(stream, source) if json_lines else _table_rows(stream, source)
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})"
        raise AudioError(one_line(path, problem, f"give a manifest in {' '.join(MANIFEST_SUFFIXES)}")) from error


def path_in(row: Mapping[str, Any], manifest: str | os.PathLike[str], number: int) -> str:
    """Return the path that a row of a manifest names, as it stands there.

    Raises:
        AudioError: if there is none; `manifest` and `number`, of the line, are for the message.

    Example:
        >>> path_in({"audio_filepath": "a.wav", "text": "one"}, "all.jsonl", 1)
        'a.wav'
    """
    place = next((row[name] for name in PATH_COLUMNS if row.get(name) not in (None, "")), None)
    if place is None:
        problem = f"line {number} has no path"
        raise AudioError(one_line(manifest, problem, f"name a column {' or '.join(PATH_COLUMNS)}"))
    return _fact(place)


def _fact(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def _json_rows(lines: Iterable[str], source: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            problem = f"line {number} is no JSON ({getattr(error, 'msg', error)})"
            raise AudioError(one_line(source, problem, "give one object per line")) from error
        if not isinstance(row, dict):
            raise AudioError(one_line(source, f"line {number} is no object", "give one object per line"))
        yield number, row


def _table_rows(lines: Iterable[str], source: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(lines, delimiter="\t" if source.suffix.lower() == ".tsv" else ",", restkey="")
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise AudioError(one_line(source, f"is no table ({error})", "export it again")) from error
