"""Saved tokens to analyse: token files, folders of them, and datasets of shards, one recording after the other.

for one in saved_tokens(["corpus/", "a.npz"]):
    one.recording.name, one.tokens, one.error
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio.manifest import Recording
from tokaudio.errors import TokaudioError, one_line
from tokaudio.storage import load_tokens
from tokaudio.storage.dataset_info import FILE_NAME, read_info
from tokaudio.storage.formats import FORMAT_NAMES, ShardFormat, shard_format
from tokaudio.storage.rows import TokenRow
from tokaudio.tokens import Tokens
from tokaudio.walk import walk

SUFFIX = ".npz"
"""Of token files."""


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """The tokens of one recording, or why they cannot be read.

    Attributes:
        recording: whose tokens they are; columns of a dataset are its facts.
        tokens: of one item; None where they cannot be read.
        error: why they cannot.
    """

    recording: Recording
    tokens: Tokens | None
    error: TokaudioError | None = None


def token_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the token files and shards that a path stands for: itself, those of a dataset, or all below a folder.

    Args:
        path: a token file (`.npz`), a shard, the folder of a dataset, or a folder of token files.

    Returns:
        Paths in order; none where there is no token file.

    Raises:
        AnalysisError: if a dataset has no shard that codes can be read from.

    Example:
        >>> token_files("a.npz"), token_files("corpus/00000.parquet"), token_files("a.wav")
        ([PosixPath('a.npz')], [PosixPath('corpus/00000.parquet')], [])
    """
    place = Path(path)
    if place.suffix.lower() == SUFFIX or _format(place) is not None:
        return [place]
    if (place / FILE_NAME).is_file():
        found = [shard for one in _formats() for shard in one.shards(place)]
        if not found:
            raise AnalysisError(one_line(place, "is a dataset without shards of codes", "give one that has them"))
        return found
    return [Path(file) for file, _ in walk(os.fspath(place), [SUFFIX]).files] if place.is_dir() else []


def how_many(paths: Iterable[Path]) -> int:
    """Return of how many recordings files hold the tokens, as far as datasets say so; a file counts as one.

    Example:
        >>> how_many([Path("a.npz"), Path("b.npz")])
        2
    """
    files = list(paths)
    folders = {file.parent for file in files if _format(file) is not None}
    rows = 0
    for folder in folders:
        try:
            rows += read_info(folder).num_rows or 0
        except TokaudioError:
            continue
    return rows + sum(_format(file) is None for file in files)


def saved_tokens(given: Iterable[Tokens | str | os.PathLike[str]]) -> Iterator[Saved]:
    """Yield the tokens of each recording.

    Args:
        given: tokens, or what `token_files` takes.

    Raises:
        AnalysisError: as `token_files`, or if a path stands for no tokens.

    Example:
        >>> [one.error is None for one in saved_tokens(["missing.npz"])]
        [False]
    """
    for number, one in enumerate(given, start=1):
        if isinstance(one, Tokens):
            yield from _items(one, f"item {number}")
            continue
        files = token_files(one)
        if not files:
            raise AnalysisError(one_line(one, "holds no tokens", "give token files, or the folder of a dataset"))
        for file in files:
            yield from _file(file)


def _file(file: Path) -> Iterator[Saved]:
    try:
        form = _format(file)
        yield from _items(load_tokens(file), os.fspath(file)) if form is None else _shard(file, form)
    except TokaudioError as error:
        yield Saved(Recording(file, os.fspath(file)), None, error)


def _items(tokens: Tokens, name: str) -> Iterator[Saved]:
    for item in tokens:
        yield Saved(Recording(Path(name), name), item)


def _shard(shard: Path, form: ShardFormat) -> Iterator[Saved]:
    info = read_info(shard.parent)
    for row in form.read_shard(shard):
        yield Saved(_recording(row), row.to_tokens(info))


def _recording(row: TokenRow) -> Recording:
    # Labels of a file count from its beginning: a segment from further on can only have labels of its own name.
    place = row.source if row.source and not row.start else row.key
    return Recording(Path(place), row.key, _facts(row.columns))


def _facts(columns: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in columns.items() if value not in (None, "")}


def _formats() -> Iterator[ShardFormat]:
    """Yield the formats that hold codes; ids of a language model are not codes."""
    return (one for one in map(shard_format, FORMAT_NAMES) if not one.needs_layout)


def _format(path: Path) -> ShardFormat | None:
    return next((one for one in _formats() if one.suffix == path.suffix.lower()), None)
