"""Speech with labels: Speech Commands, SLURP, IEMOCAP and VoxCeleb1."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.json_text import parse_json
from tokaudio.probes.datasets.tree import Tree
from tokaudio.probes.errors import ProbeError

_EMOTIONS = {"ang": "anger", "hap": "happiness", "exc": "happiness", "neu": "neutral", "sad": "sadness"}
_JUDGED = re.compile(r"^\[[\d.]+ - [\d.]+\]\t(Ses\d\d[FM]_\w+_([FM])\d+)\t(\w+)\t")


def speech_commands(root: str | os.PathLike[str]) -> list[Recording]:
    """Read Speech Commands: `WORD/SPEAKER_nohash_N.wav`, `validation_list.txt`, `testing_list.txt` (arXiv 1804.03209).

    Args:
        root: the folder of version 0.01 or 0.02.

    Returns:
        Recordings with split, keyword and speaker; what is in neither list is to train on. Background noise is left
        out.

    Raises:
        ProbeError: a list is missing, or a recording that it names.
    """
    tree = Tree(root, "Speech Commands", inner=("speech_commands_v0.02", "SpeechCommands/speech_commands_v0.02"))
    named = {"validation_list.txt": "valid", "testing_list.txt": "test"}
    sides = {line.strip(): side for name, side in named.items() for line in tree.lines(tree.require(name))}
    names = [f"{word}/{name}" for word in tree.folders() if word[0] not in "_." for name in tree.files(word, ".wav")]
    names += sorted(set(sides) - set(names))
    return tree.checked(
        tree.recording(
            name,
            {
                "split": sides.get(name, "train"),
                "keyword": name.partition("/")[0],
                "speaker": name.partition("/")[2].partition("_nohash_")[0],
                "language": "en",
            },
        )
        for name in names
    )


def slurp(root: str | os.PathLike[str]) -> list[Recording]:
    """Read SLURP: `dataset/slurp/{train,devel,test}.jsonl`, `metadata.json`, `audio/slurp_real/` (arXiv 2011.13205).

    Args:
        root: a copy of the repository pswietojanski/slurp, with its audio.

    Returns:
        Recordings with split, intent (the scenario: 18 classes, as in DASB), action, speaker where it is known, text,
        language, and microphone (headset or distant). Synthetic recordings of `train_synthetic.jsonl` are left out.

    Raises:
        ProbeError: a file or recording is missing, or a line is not an entry.
    """
    tree = Tree(root, "SLURP")
    tree.require("audio/slurp_real")
    speakers: dict[str, str] = {}
    if tree.has("dataset", "slurp", "metadata.json"):
        for entry in _json(tree, "dataset/slurp/metadata.json", tree.text("dataset/slurp/metadata.json")).values():
            for name, one in entry["recordings"].items():
                speakers[name] = one.get("usrid", "")
    sides = {"train": "train", "devel": "valid", "test": "test"}
    return tree.checked(one for name, side in sides.items() for one in _slurp(tree, name, side, speakers))


def _slurp(tree: Tree, name: str, side: str, speakers: dict[str, str]) -> Iterator[Recording]:
    path = tree.require(f"dataset/slurp/{name}.jsonl")
    for line in tree.lines(path):
        entry = _json(tree, path, line)
        try:
            facts = {"split": side, "intent": entry["scenario"], "action": entry["action"], "text": entry["sentence"]}
            files = [one["file"] for one in entry["recordings"]]
        except (KeyError, TypeError) as error:
            problem = f"an entry has no {error}"
            raise ProbeError(one_line(tree.root / path, problem, "fetch SLURP again")) from error
        for file in files:
            microphone = "headset" if "-headset" in file else "distant"
            told = {"speaker": speakers.get(file), "language": "en", "microphone": microphone}
            yield tree.recording(f"audio/slurp_real/{file}", facts | told)


def _json(tree: Tree, path: str, text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise ProbeError(
            one_line(tree.root / path, f"is no JSON ({getattr(error, 'msg', error)})", "fetch SLURP again")
        ) from error


def iemocap(root: str | os.PathLike[str]) -> list[Recording]:
    """Read IEMOCAP: `SessionN/dialog/EmoEvaluation/DIALOG.txt`, `SessionN/sentences/wav/DIALOG/NAME.wav`.

    Busso et al. 2008, Language Resources and Evaluation 42:335; sail.usc.edu/iemocap.

    Args:
        root: the folder `IEMOCAP_full_release`, or the one it is in, with any sessions.

    Returns:
        Recordings of the usual four emotions (excitement counts as happiness) with emotion, speaker (one of ten
        actors), session and language; there is no official split.

    Raises:
        ProbeError: there is no session, or a judged recording is missing.
    """
    tree = Tree(root, "IEMOCAP", inner=("IEMOCAP_full_release", "IEMOCAP"))
    sessions = [name for name in tree.folders() if re.fullmatch(r"Session\d", name)]
    if not sessions:
        raise ProbeError(one_line(tree.root, "IEMOCAP has no folder Session1", "give the folder it was unpacked to"))
    return tree.checked(one for session in sessions for one in _iemocap(tree, session))


def _iemocap(tree: Tree, session: str) -> Iterator[Recording]:
    judgements = tree.require(f"{session}/dialog/EmoEvaluation")
    for file in tree.files(judgements, ".txt"):
        for line in tree.lines(f"{judgements}/{file}"):
            found = _JUDGED.match(line)
            if not found or found[3] not in _EMOTIONS:
                continue
            name = found[1]
            facts = {"emotion": _EMOTIONS[found[3]], "speaker": name[:5] + found[2], "session": session}
            dialog = name.rpartition("_")[0]
            yield tree.recording(f"{session}/sentences/wav/{dialog}/{name}.wav", facts | {"language": "en"})


class Trial(NamedTuple):
    """A pair of recordings to be verified.

    Attributes:
        same: whether one speaker is heard in both.
        left: name of the first recording, as in `Recording.name`.
        right: of the second.
    """

    same: bool
    left: str
    right: str


def voxceleb1(root: str | os.PathLike[str]) -> list[Recording]:
    """Read VoxCeleb1: `wav/SPEAKER/VIDEO/NNNNN.wav` and `iden_split.txt` (robots.ox.ac.uk/~vgg/data/voxceleb).

    Args:
        root: the folder with both, and with `veri_test.txt` for trials.

    Returns:
        Recordings with split (of identification, by video), speaker, video, and verification: test for speakers of
        the trials, train for others.

    Raises:
        ProbeError: a list is missing, or a recording that it names.
    """
    tree = Tree(root, "VoxCeleb1")
    sides = {"1": "train", "2": "valid", "3": "test"}
    tree.require("wav")
    rows = [line.split() for line in tree.lines(tree.require("iden_split.txt"))]
    tried = {one.left.split("/")[1] for one in _trials(tree)} if tree.has("veri_test.txt") else set()
    found = []
    for row in rows:
        if len(row) != 2 or row[0] not in sides or row[1].count("/") != 2:
            problem = f"a line is {' '.join(row)[:60]!r}, not a side and a recording"
            raise ProbeError(one_line(tree.root / "iden_split.txt", problem, "fetch the list again"))
        speaker, video, _ = row[1].split("/")
        facts = {"split": sides[row[0]], "speaker": speaker, "video": video}
        if tried:
            facts["verification"] = "test" if speaker in tried else "train"
        found.append(tree.recording(f"wav/{row[1]}", facts))
    return tree.checked(found)


def voxceleb1_trials(root: str | os.PathLike[str]) -> list[Trial]:
    """Read the verification trials of VoxCeleb1: `veri_test.txt`, rows `1 PATH PATH` (same speaker) or `0 PATH PATH`.

    Args:
        root: as for `voxceleb1`.

    Raises:
        ProbeError: the list is missing, or a row is no trial.
    """
    return list(_trials(Tree(root, "VoxCeleb1")))


def _trials(tree: Tree) -> Iterator[Trial]:
    name = tree.require("veri_test.txt")
    for number, line in enumerate(tree.lines(name), start=1):
        row = line.split()
        if len(row) != 3 or row[0] not in ("0", "1"):
            raise ProbeError(one_line(tree.root / name, f"line {number} is no trial", "fetch the list again"))
        yield Trial(row[0] == "1", f"wav/{row[1]}", f"wav/{row[2]}")
