"""Tiny weights put where a page expects published ones: on the Hub of the stage, or in its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tests.docs.stages import Stage
from tokaudio.catalogue import find


def serve(stage: Stage, name: str, files: Path, renamed: Mapping[str, str] | None = None) -> None:
    """Serve files under the repositories and names that the catalogue has for a tokenizer.

    Args:
        name: of the tokenizer.
        files: their folder, or the only one.
        renamed: published names of files to those in the folder, where they differ.

    Raises:
        FileNotFoundError: if a file that the catalogue names was not made.
    """
    entry = find(name)
    assert entry is not None and entry.files, name
    for path in entry.files:
        repo, _, inner = path.rpartition(":")
        file = Path(inner).name
        source = files if files.is_file() else files / (renamed or {}).get(file, file)
        stage.hub.add(repo or entry.repo, {inner: source.read_bytes()})


def vouch_for(stage: Stage, *files: str) -> None:
    """Let the digests of files in the stage stand for those of the published files of these names.

    The digest is still compared on load; it is that of the tiny file.
    """
    digests = {file: hashlib.sha256((stage.folder / file).read_bytes()).hexdigest() for file in files}
    stage.patch.setattr(
        "tokaudio.tokenizers.resolve.known_digests", lambda name: (digests[name],) if name in digests else ()
    )
