"""Finding files in a folder, without losing any silently and without going round in circles."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokaudio.errors import AudioError, TokaudioError, one_line

_LIBSNDFILE = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".w64", ".rf64")
AUDIO_SUFFIXES = (*_LIBSNDFILE, ".au", ".snd", ".caf", ".m4a", ".mp4", ".aac", ".webm", ".wma", ".wv")


@dataclass
class Visit:
    """What a folder holds.

    Attributes:
        files: path and path relative to the folder, sorted, of everything that has a wanted suffix and is no folder.
        failures: folders that could not be read, or that are named like a file: path and error.
        ignored: files of other suffixes; hidden ones are not counted.
    """

    files: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, TokaudioError]] = field(default_factory=list)
    ignored: int = 0


def walk(root: str, suffixes: Sequence[str]) -> Visit:
    """Look for files with some suffixes in a folder and in all folders below it.

    Links are followed, except to a folder that the search is already within. Hidden files and folders are left out.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for name in ("b.wav", "a.WAV", "notes.txt", ".hidden.wav"):
        ...         Path(root, name).touch()
        ...     visit = walk(root, [".wav"])
        >>> [name for _, name in visit.files], visit.ignored
        (['a.WAV', 'b.wav'], 1)
    """
    visit = Visit()
    _enter(root, "", tuple(suffixes), frozenset(), visit)
    return visit


def _enter(
    path: str, relative: str, suffixes: tuple[str, ...], above: frozenset[tuple[int, int]], visit: Visit
) -> None:
    try:
        status = Path(path).stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        entries = list(_entries(path))
    except OSError as unlisted:
        problem = f"cannot be listed ({unlisted.strerror})"
        visit.failures.append((path, AudioError(one_line(path, problem, "run chmod u+rx on it, or run as its owner"))))
        return
    for entry in entries:
        name = str(Path(relative, entry.name))
        wanted = entry.name.lower().endswith(suffixes)
        # Not entry.is_dir(), which raises for links that go round in a circle.
        if Path(entry.path).is_dir():
            before = len(visit.files)
            _enter(entry.path, name, suffixes, above | {here}, visit)
            if wanted and len(visit.files) == before:
                error = AudioError(one_line(entry.path, "is a directory", "rename or remove it"))
                visit.failures.append((entry.path, error))
        elif wanted:
            visit.files.append((entry.path, name))
        else:
            visit.ignored += 1


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        shown = (entry for entry in entries if not entry.name.startswith("."))
        yield from sorted(shown, key=lambda entry: os.fsencode(entry.name))
