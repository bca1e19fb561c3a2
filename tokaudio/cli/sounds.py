"""Which recordings a command is to read: files, folders, and manifests of one JSON object per line."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokaudio.cli.batch import AUDIO_SUFFIXES
from tokaudio.cli.failures import refuse
from tokaudio.cli.walk import walk
from tokaudio.errors import AudioError, TokaudioError, one_line

MANIFEST_SUFFIXES = (".jsonl", ".ndjson")
# What manifests call the path of a recording: ours, and those of NeMo and of Hugging Face.
_PATHS = ("path", "audio_filepath", "audio", "file_name")


@dataclass
class Found:
    """What was found.

    Attributes:
        files: path and name of every recording, no two names alike. Names are relative to the folder or manifest, so
            that they are the same wherever it lies; with several of these, the name of each stands in front.
        failures: folders that could not be read: path and error.
        ignored: files in the folders that are not of the kind that is read.
    """

    files: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, TokaudioError]] = field(default_factory=list)
    ignored: int = 0


def find_sounds(paths: Sequence[str], where: Sequence[str] = ()) -> Found:
    """Return the recordings that paths stand for, each once.

    Args:
        paths: audio files, folders, or manifests (`.jsonl`), whose rows name a file relative to the manifest's folder.
        where: conditions `COLUMN=VALUE`; rows of manifests are taken that meet all of them.

    Raises:
        AudioError: if a path does not exist.
        MisuseError: if a manifest or a condition cannot be read, or if nothing is found.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     Path(root, "a.wav").touch()
        ...     [name for _, name in find_sounds([root]).files]
        ['a.wav']
    """
    conditions = [_condition(text) for text in where]
    if conditions and not any(_is_manifest(path) for path in paths):
        raise refuse(f"--where {where[0]}", "there is no manifest to filter", "name a .jsonl file, or leave it out")
    found, files = Found(), dict[Path, tuple[str, str]]()
    for path in paths:
        if not Path(path).exists():
            raise AudioError(one_line(path, "no such file or folder", "check the path"))
        root = Path(path).absolute().name if len(paths) > 1 else ""
        for file, name in _listed(path, conditions, found):
            files.setdefault(Path(os.path.normpath(Path.cwd() / file)), (file, str(Path(root, name))))
    if not files and not found.failures:
        problem = (
            "holds no rows that meet the conditions" if conditions else f"holds none of {' '.join(AUDIO_SUFFIXES)}"
        )
        raise refuse(paths[0], problem, "name recordings, a folder of them, or a manifest")
    counts = Counter(name for _, name in files.values())
    found.files = [(file, name if counts[name] == 1 else file) for file, name in files.values()]
    return found


def _listed(path: str, conditions: Sequence[tuple[str, str]], found: Found) -> list[tuple[str, str]]:
    """Return path and name of every recording that one path stands for."""
    if Path(path).is_dir():
        visit = walk(path, AUDIO_SUFFIXES)
        found.ignored += visit.ignored
        found.failures += visit.failures
        return visit.files
    if _is_manifest(path):
        rows = [row for row in _rows(path) if all(str(row.get(name)) == value for name, value in conditions)]
        names = [str(row["path"]) for row in rows]
        return [(str(Path(path).parent / name), name) for name in names]
    return [(path, Path(path).name)]


def _is_manifest(path: str) -> bool:
    return Path(path).suffix.lower() in MANIFEST_SUFFIXES and not Path(path).is_dir()


def _rows(path: str) -> list[dict[str, Any]]:
    """Return the rows of a manifest, each with a `path`."""
    import json

    rows = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise refuse(path, f"cannot be read ({error})", "give a text file with a JSON object per line") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        name = (
            next((row[key] for key in _PATHS if isinstance(row.get(key), str)), None) if isinstance(row, dict) else None
        )
        if row is None or name is None:
            remedy = f"give one JSON object per line, with the file under one of: {', '.join(_PATHS)}"
            raise refuse(path, f"line {number} names no file", remedy)
        rows.append({**row, "path": name})
    return rows


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise refuse(f"--where {text}", "is no condition", "write COLUMN=VALUE, such as split=train")
    return name, value
