"""Which recordings a command is to read: files, folders, and manifests."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tokaudio.cli.batch import AUDIO_SUFFIXES
from tokaudio.cli.failures import refuse
from tokaudio.errors import AudioError, TokaudioError, one_line
from tokaudio.walk import walk

if TYPE_CHECKING:
    from tokaudio.audio.manifest import Recording


@dataclass
class Found:
    """What was found.

    Attributes:
        recordings: all of them, no two names alike. Names are relative to the folder or manifest, so that they are the
            same wherever it lies; with several of these, the name of each stands in front.
        failures: folders that could not be read: path and error.
        ignored: files in the folders that are not of the kind that is read.
    """

    recordings: list[Recording] = field(default_factory=list)
    failures: list[tuple[str, TokaudioError]] = field(default_factory=list)
    ignored: int = 0


def find_sounds(paths: Sequence[str], where: Sequence[str] = ()) -> Found:
    """Return the recordings that paths stand for, each once.

    Args:
        paths: audio files, folders, or manifests, as `tokaudio.audio.manifest` reads them.
        where: conditions `COLUMN=VALUE`; rows of manifests are taken that meet all of them.

    Raises:
        AudioError: if a path does not exist, or a manifest cannot be read.
        MisuseError: if a condition cannot be read, or if nothing is found.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     Path(root, "a.wav").touch()
        ...     [recording.name for recording in find_sounds([root]).recordings]
        ['a.wav']
    """
    conditions = [_condition(text) for text in where]
    if conditions and not any(_is_manifest(path) for path in paths):
        raise refuse(f"--where {where[0]}", "there is no manifest to filter", "name a manifest, or leave it out")
    found = Found()
    unique: dict[Path, Recording] = {}
    for path in paths:
        if not Path(path).exists():
            raise AudioError(one_line(path, "no such file or folder", "check the path"))
        root = Path(path).absolute().name if len(paths) > 1 else ""
        for one in _listed(path, conditions, found):
            named = dataclasses.replace(one, name=str(Path(root, one.name)))
            unique.setdefault(Path(os.path.normpath(Path.cwd() / one.path)), named)
    if not unique and not found.failures:
        problem = (
            "holds no rows that meet the conditions" if conditions else f"holds none of {' '.join(AUDIO_SUFFIXES)}"
        )
        raise refuse(paths[0], problem, "name recordings, a folder of them, or a manifest")
    counts = Counter(one.name for one in unique.values())
    found.recordings = [
        one if counts[one.name] == 1 else dataclasses.replace(one, name=str(one.path)) for one in unique.values()
    ]
    return found


def _listed(path: str, conditions: Sequence[tuple[str, str]], found: Found) -> list[Recording]:
    """Return every recording that one path stands for."""
    from tokaudio.audio.manifest import Recording, read_manifest

    if Path(path).is_dir():
        visit = walk(path, AUDIO_SUFFIXES)
        found.ignored += visit.ignored
        found.failures += visit.failures
        return [Recording(Path(file), name) for file, name in visit.files]
    if _is_manifest(path):
        return [row for row in read_manifest(path) if all(row.facts.get(name) == text for name, text in conditions)]
    return [Recording(Path(path), Path(path).name)]


def _is_manifest(path: str) -> bool:
    from tokaudio.audio.manifest import MANIFEST_SUFFIXES

    return Path(path).suffix.lower() in MANIFEST_SUFFIXES and not Path(path).is_dir()


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise refuse(f"--where {text}", "is no condition", "write COLUMN=VALUE, such as split=train")
    return name, value
