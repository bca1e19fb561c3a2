"""Sounds and music with labels: ESC-50 and GTZAN."""

from __future__ import annotations

import os

from tokaudio.audio.manifest import Recording
from tokaudio.probes.datasets.tree import Tree

_ESC50_SIDES = {"1": "train", "2": "train", "3": "train", "4": "valid", "5": "test"}


def esc50(root: str | os.PathLike[str]) -> list[Recording]:
    """Read ESC-50: `meta/esc50.csv` and `audio/` (github.com/karolpiczak/ESC-50).

    Args:
        root: a copy of the repository.

    Returns:
        Recordings with event, esc50_fold (1 to 5, as published), source (clips of one source are in one fold) and
        split: fold 5 is to test on, 4 to validate on. Published figures are means over all five folds.

    Raises:
        ProbeError: the table or a recording is missing.
    """
    tree = Tree(root, "ESC-50", inner=("ESC-50-master", "ESC-50"))
    tree.require("audio")
    rows = tree.rows(tree.require("meta/esc50.csv"), "filename", "fold", "category", "src_file")
    return tree.checked(
        tree.recording(
            f"audio/{row['filename']}",
            {
                "split": _ESC50_SIDES.get(row["fold"]),
                "event": row["category"],
                "esc50_fold": row["fold"],
                "source": row["src_file"],
            },
        )
        for row in rows
    )


def gtzan(root: str | os.PathLike[str]) -> list[Recording]:
    """Read GTZAN: `genres/GENRE/GENRE.NNNNN.wav` or `.au` (Tzanetakis and Cook 2002; ten genres).

    Many copies of a song and of an artist are in it (Sturm, arXiv 1306.1461), so that a random split leaks. The lists
    of songs that are told apart by artist (`train_filtered.txt`, `valid_filtered.txt`, `test_filtered.txt`, names such
    as `blues/blues.00029.wav`) give the split where they lie in the folder, and leave out what they do not name.

    Args:
        root: the folder with `genres` or `genres_original`.

    Returns:
        Recordings with genre, and with split where the lists are there.

    Raises:
        ProbeError: there are no genres, or a recording of a list is missing.
    """
    tree = Tree(root, "GTZAN", inner=("GTZAN", "Data"))
    folder = tree.require("genres", "genres_original")
    lists = {"train_filtered.txt": "train", "valid_filtered.txt": "valid", "test_filtered.txt": "test"}
    if not all(tree.has(name) for name in lists):
        names = [
            f"{genre}/{name}"
            for genre in tree.folders(folder)
            for name in tree.files(folder + "/" + genre, ".wav", ".au")
        ]
        return tree.checked(tree.recording(f"{folder}/{name}", {"genre": name.partition("/")[0]}) for name in names)
    found = []
    for file, side in lists.items():
        for line in tree.lines(file):
            genre, _, name = line.strip().partition("/")
            first = name.removesuffix(".wav") + ".au"
            name = first if tree.has(folder, genre, first) else name
            found.append(tree.recording(f"{folder}/{genre}/{name}", {"split": side, "genre": genre}))
    return tree.checked(found)
