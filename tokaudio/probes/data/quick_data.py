"""The labelled voices that the quick suite is measured on: read from the package, or made from a larger set.

    recordings = read_data("quick")       # the recordings that ship
    recordings = read_data("recordings/")   # a folder with a manifest, or a manifest
    build_quick("voices/", "quick/")      # the same set from its source, or a larger one

Manifests say in the columns keyword, intent, speaker, text, language, emotion, event and genre what a recording is;
`tasks` names those that may use it (all that can, where it is missing), and `fold` or `split` which side it is on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from tokaudio.atomic import atomic_write, output_error
from tokaudio.audio import read_audio
from tokaudio.audio.manifest import MANIFEST_SUFFIXES, Recording, read_manifest
from tokaudio.errors import one_line
from tokaudio.probes.datasets import read_corpus
from tokaudio.probes.errors import ProbeError

QUICK = "quick"
TEST_VOICES = (
    *("af_nova", "am_puck", "bf_lily", "bm_fable"),
    *("af_kore", "af_sky", "am_fenrir", "am_onyx", "bf_emma", "bm_lewis"),
)
"""Of the labelled voices. The shipped tokenizers never heard the first four."""
_SENTENCES = 8
_BITS_PER_SECOND = 24_000
_MIXED = "enhancement separation"
_TASKS = {"keyword": "ks sid sv tts", "intent": f"ic asr lm {_MIXED}", "read": f"asr lm {_MIXED}"}
_README = """# Labelled voices for the quick suite of probes

{count} clips, {minutes:.0f} minutes: {voices} English voices that say keywords, requests and sentences. A part of a
set made with Kokoro-82M (Apache-2.0) from texts that were written for it (CC0); under Apache-2.0, like the code.
Synthetic speech: clean, close, without room, noise or emotion. Coded with Opus at {kbps} kbit/s.
`fold` is `test` for voices that probes are tested on; shipped tokenizers never heard af_nova, am_puck, bf_lily and
bm_fable, and heard the other voices without labels.
"""


def shipped_folder() -> Path:
    """Return the folder of the recordings that ship with the package.

    Example:
        >>> shipped_folder().name
        'voices'
    """
    return Path(str(files("tokaudio").joinpath("assets", "voices")))


def read_data(place: str | os.PathLike[str]) -> list[Recording]:
    """Return the recordings of a data set.

    Args:
        place: `quick` for those that ship, `CORPUS:FOLDER` for a corpus in its official layout (see
            [`CORPORA`][tokaudio.probes.datasets.CORPORA]), a folder with `manifest.jsonl` (or .csv, .tsv), or a
            manifest. Manifests of the labelled voices (columns `task` and `label`) are understood as they are.

    Raises:
        ProbeError: there is no such thing.
        AudioError: the manifest cannot be read.

    Example:
        >>> recordings = read_data("quick")
        >>> len({recording.speaker for recording in recordings})
        28
    """
    corpus, colon, root = os.fspath(place).partition(":")
    if colon and not Path(place).exists():
        return read_corpus(corpus, root)
    path = shipped_folder() if os.fspath(place) == QUICK else Path(place)
    if path.is_dir():
        found = [path / f"manifest{suffix}" for suffix in MANIFEST_SUFFIXES if (path / f"manifest{suffix}").is_file()]
        if not found:
            raise ProbeError(one_line(place, "holds no manifest.jsonl, .csv or .tsv", "write one, or name the file"))
        path = found[0]
    elif not path.is_file():
        raise ProbeError(one_line(place, "no such data", "give quick, a folder with a manifest, or a manifest"))
    return [_labelled(recording) for recording in read_manifest(path)]


def _labelled(recording: Recording) -> Recording:
    """Return a recording of the labelled voices with the columns that tasks ask for; others as they are."""
    facts = recording.facts
    kind = facts.get("task")
    if kind not in _TASKS or "voice" not in facts:
        return recording
    told = {name: facts[name] for name in ("voice", "gender", "accent", "text") if name in facts}
    told["fold"] = "test" if facts["voice"] in TEST_VOICES else "train"
    told["tasks"] = "none" if facts["voice"].startswith("blend") else _TASKS[kind]
    if kind != "read" and "label" in facts:
        told[kind] = facts["label"]
    return Recording(recording.path, recording.name, told)


def build_quick(voices: str | os.PathLike[str], out: str | os.PathLike[str], *, whole: bool = False) -> int:
    """Make the quick suite's recordings from the labelled voices, and return how many there are.

    Every keyword, one request of each class and voice, and some sentences; Opus, so that they fit into a package.

    Args:
        voices: folder of the labelled voices.
        out: folder to make; it must not be there.
        whole: take all requests and sentences.

    Raises:
        ProbeError: the folder is there, or holds something else.
        AudioError: a recording cannot be read.
        OutputError: it cannot be written.
    """
    folder = Path(out)
    if folder.exists():
        raise ProbeError(one_line(out, "exists already", "name a folder that does not"))
    chosen = _chosen(read_data(voices), whole)
    if not chosen:
        raise ProbeError(one_line(voices, "holds no labelled voices", "give the folder with their manifest.jsonl"))
    rows, seconds = list[Mapping[str, Any]](), 0.0
    try:
        (folder / "clips").mkdir(parents=True)
        for recording in chosen:
            place = f"clips/{Path(recording.name).stem}.opus"
            seconds += _coded(recording.path, folder / place)
            rows.append({"path": place, **recording.facts})
    except OSError as error:
        raise output_error(out, error) from error
    lines = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    atomic_write(folder / "manifest.jsonl", lines.encode())
    told = {"count": len(rows), "minutes": seconds / 60, "kbps": _BITS_PER_SECOND // 1000}
    readme = _README.format(voices=len({row["voice"] for row in rows}), **told)
    atomic_write(folder / "README.md", readme.encode())
    return len(rows)


def _chosen(recordings: Sequence[Recording], whole: bool) -> list[Recording]:
    """Return the recordings to take: of the requests the first of each class and voice, of the sentences some."""
    taken: dict[tuple[str, str], int] = {}
    chosen = []
    for recording in recordings:
        facts = recording.facts
        if facts.get("tasks") in (None, "none") or "voice" not in facts:
            continue
        # Requests alternate, so that all wordings of a class occur.
        if "keyword" not in facts and not whole:
            key = (facts["voice"], facts.get("intent", "read"))
            taken[key] = taken.get(key, 0) + 1
            if taken[key] > (1 if "intent" in facts else _SENTENCES):
                continue
        chosen.append(recording)
    return chosen


def _coded(source: Path, target: Path) -> float:
    """Write a recording as Opus, and return its seconds."""
    import soundfile

    samples, rate = read_audio(source)
    # libsndfile's level goes from 256 kbit/s of a channel (0) down to 6 (1).
    level = 1 - (_BITS_PER_SECOND - 6000) / (256_000 - 6000)
    soundfile.write(target, samples.numpy().T, rate, format="OGG", subtype="OPUS", compression_level=level)
    return samples.shape[1] / rate
