"""Speech that was read aloud, with its texts: LibriSpeech, LibriTTS, LJSpeech and Common Voice."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.probes.datasets.tree import Tree
from tokaudio.probes.errors import ProbeError

_SIDES = {"train": "train", "dev": "valid", "test": "test"}


def librispeech(root: str | os.PathLike[str]) -> list[Recording]:
    """Read LibriSpeech: `SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt` and FLAC beside it (openslr.org/12).

    Args:
        root: the folder `LibriSpeech`, or the one it is in, with any of its subsets.

    Returns:
        Recordings with split (train, valid for dev, test), subset, speaker, text and language.

    Raises:
        ProbeError: there is no subset, or a recording of a transcript is missing.
    """
    tree = Tree(root, "LibriSpeech", inner=("LibriSpeech",))
    return tree.checked(_librispeech(tree, _subsets(tree)))


def _librispeech(tree: Tree, subsets: list[str]) -> Iterator[Recording]:
    for subset, speaker, chapter in _chapters(tree, subsets):
        folder = f"{subset}/{speaker}/{chapter}"
        for line in tree.lines(tree.require(f"{folder}/{speaker}-{chapter}.trans.txt")):
            name, _, text = line.partition(" ")
            facts = _facts(subset, speaker, text.lower())
            yield tree.recording(f"{folder}/{name}.flac", facts)


def libritts(root: str | os.PathLike[str]) -> list[Recording]:
    """Read LibriTTS: `SUBSET/SPEAKER/CHAPTER/NAME.wav`, `NAME.normalized.txt` beside it (openslr.org/60).

    Args:
        root: the folder `LibriTTS`, or the one it is in, with any of its subsets.

    Returns:
        Recordings with split, subset, speaker, text (as normalised) and language.

    Raises:
        ProbeError: there is no subset, or a text has no recording.
    """
    tree = Tree(root, "LibriTTS", inner=("LibriTTS", "LibriTTS_R"))
    return tree.checked(_libritts(tree, _subsets(tree)))


def _libritts(tree: Tree, subsets: list[str]) -> Iterator[Recording]:
    ending = ".normalized.txt"
    for subset, speaker, chapter in _chapters(tree, subsets):
        folder = f"{subset}/{speaker}/{chapter}"
        for name in tree.files(folder, ending):
            facts = _facts(subset, speaker, tree.text(f"{folder}/{name}").strip())
            yield tree.recording(f"{folder}/{name.removesuffix(ending)}.wav", facts)


def _subsets(tree: Tree) -> list[str]:
    found = [name for name in tree.folders() if name.partition("-")[0] in _SIDES and "-" in name]
    if not found:
        problem = f"{tree.corpus} has none of its subsets, such as train-clean-100 or test-clean"
        raise ProbeError(one_line(tree.root, problem, "give the folder it was unpacked to"))
    return found


def _chapters(tree: Tree, subsets: list[str]) -> Iterator[tuple[str, str, str]]:
    for subset in subsets:
        for speaker in tree.folders(subset):
            for chapter in tree.folders(f"{subset}/{speaker}"):
                yield subset, speaker, chapter


def _facts(subset: str, speaker: str, text: str) -> dict[str, str]:
    side = _SIDES[subset.partition("-")[0]]
    return {"split": side, "subset": subset, "speaker": speaker, "text": text, "language": "en"}


def ljspeech(root: str | os.PathLike[str]) -> list[Recording]:
    """Read LJSpeech: `metadata.csv`, rows `NAME|TEXT|NORMALISED TEXT`, and `wavs/NAME.wav` (keithito.com).

    Args:
        root: the folder `LJSpeech-1.1`, or the one it is in.

    Returns:
        Recordings with speaker (always LJ), text (as normalised) and language; there is no official split.

    Raises:
        ProbeError: a file or recording is missing, or a row is not of three parts.
    """
    tree = Tree(root, "LJSpeech", inner=("LJSpeech-1.1",))
    tree.require("wavs")
    found = []
    for number, line in enumerate(tree.lines(tree.require("metadata.csv")), start=1):
        parts = line.split("|")
        if len(parts) != 3:
            problem = f"line {number} is not NAME|TEXT|NORMALISED TEXT"
            raise ProbeError(one_line(tree.root / "metadata.csv", problem, "unpack LJSpeech again"))
        facts = {"speaker": "LJ", "text": parts[2] or parts[1], "language": "en"}
        found.append(tree.recording(f"wavs/{parts[0]}.wav", facts))
    return tree.checked(found)


def common_voice(root: str | os.PathLike[str]) -> list[Recording]:
    """Read Common Voice: `LANGUAGE/{train,dev,test}.tsv` and `LANGUAGE/clips/` (commonvoice.mozilla.org).

    Args:
        root: the folder of a release, `cv-corpus-...`, with any languages, or that of one language.

    Returns:
        Recordings with split, speaker (the client), text and language.

    Raises:
        ProbeError: there are no tables, or a clip is missing.
    """
    tree = Tree(root, "Common Voice")
    alone = tree.has("clips")
    places = ["."] if alone else [name for name in tree.folders() if tree.has(name, "clips")]
    if not places:
        problem = "Common Voice has no folder clips in any language"
        raise ProbeError(one_line(tree.root, problem, "give the folder of a release, or of a language"))
    return tree.checked(one for place in places for one in _common_voice(tree, place))


def _common_voice(tree: Tree, place: str) -> Iterator[Recording]:
    before = "" if place == "." else f"{place}/"
    for name, side in _SIDES.items():
        table = tree.require(f"{before}{name}.tsv")
        for row in tree.rows(table, "client_id", "path", "sentence", delimiter="\t", quoted=False):
            facts = {
                "split": side,
                "speaker": row["client_id"],
                "text": row["sentence"],
                "language": row.get("locale") or (tree.root.name if place == "." else place),
            }
            yield tree.recording(f"{before}clips/{row['path']}", facts)
