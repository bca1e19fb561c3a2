"""The held-out speech on which tokenizers are judged: four synthetic voices and the Asterisk-en prompts.

Neither is in any training set. Everything is 16 kHz mono, in a fixed order.

- `voices`: the `eval` split (af_nova, am_puck, bf_lily, bm_fable) of a folder with `manifest.jsonl` and FLAC clips.
- `asterisk-en`: the English core prompts of Asterisk, one real speaker (CC-BY-SA-3.0; used for evaluation only), from
  two Debian packages that are downloaded into the cache on first use. The prompts have already passed a G.722 codec.

Needs: `pip install soundfile soxr`; `apt-get install ffmpeg`, and a Debian bookworm package index (`apt-get update`).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from tokaudio.metrics.intelligibility import normalize_text

SAMPLE_RATE = 16_000
DEFAULT_VOICES = Path(__file__).resolve().parents[2] / "shared" / "data" / "voices"
DEFAULT_CACHE = Path.home() / ".cache" / "tokaudio-benchmarks"
EVAL_VOICES = ("af_nova", "am_puck", "bf_lily", "bm_fable")

ASTERISK_VERSION = "1.6.1-1"
ASTERISK_PACKAGES = {
    "asterisk-core-sounds-en": "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
    "asterisk-core-sounds-en-g722": "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
}


@dataclass(frozen=True)
class Clip:
    """One recording and what is said in it.

    Attributes:
        name: Unique within its set.
        task: `read`, `intent`, `keyword` or `prompt`.
        text: The words; without any for a beep.
        audio: Waveform `[S]` at 16 kHz, float32.
    """

    name: str
    task: str
    text: str
    audio: NDArray[np.float32]

    @property
    def is_speech(self) -> bool:
        """Whether the text holds a word; some prompts are beeps or monkeys, described in brackets."""
        return bool(normalize_text(self.text))


def load_voices(folder: Path = DEFAULT_VOICES) -> list[Clip]:
    """Return the clips of the four evaluation voices, by task, voice and number.

    Args:
        folder: Holds `manifest.jsonl` (fields id, path, task, text, split, voice) and the clips.

    Raises:
        SystemExit: There is no such set, or its eval split is not these four voices.
    """
    manifest = folder / "manifest.jsonl"
    if not manifest.exists():
        raise SystemExit(f"{manifest}: not found; name the folder of the voices set with --voices")
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [row for row in rows if row["split"] == "eval"]
    if {row["voice"] for row in rows} != set(EVAL_VOICES):
        raise SystemExit(f"{manifest}: the eval split is not the voices {', '.join(EVAL_VOICES)}; use the original set")
    rows.sort(key=lambda row: (row["task"], row["voice"], row["id"]))
    return [Clip(row["id"], row["task"], row["text"], read_audio(folder / row["path"])) for row in rows]


def load_asterisk(cache: Path = DEFAULT_CACHE) -> list[Clip]:
    """Return the Asterisk-en prompts that have a text line, without the silence files, by name: 558 clips.

    Args:
        cache: Folder for the packages and the decoded prompts.

    Raises:
        SystemExit: A package cannot be downloaded or is not the expected one, or ffmpeg is missing.
    """
    root = cache / f"asterisk-en-{ASTERISK_VERSION}"
    if not (root / "complete").exists():
        _unpack(cache, root)
    listing = root / "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
    texts = parse_texts(gzip.decompress(listing.read_bytes()).decode("utf-8"))
    paths = ((name, root / "flac" / f"{name}.flac") for name in sorted(texts))
    return [Clip(name, "prompt", texts[name], read_audio(path)) for name, path in paths if path.exists()]


def parse_texts(listing: str) -> dict[str, str]:
    r"""Return prompt name -> text from Asterisk's `name: text` lines; comments and silence files are left out.

    Example:
        >>> parse_texts("; Core sounds\n\nvm-no: no\nsilence/1: (1 second of silence)\n")
        {'vm-no': 'no'}
    """
    pairs = (line.split(":", 1) for line in listing.splitlines() if ":" in line and not line.startswith(";"))
    return {name.strip(): text.strip() for name, text in pairs if not name.startswith("silence/")}


def every_nth(clips: Sequence[Clip], limit: int | None) -> list[Clip]:
    """Return at most `limit` clips, spread evenly over the set; all of them when `limit` is None."""
    if limit is None or limit >= len(clips):
        return list(clips)
    return [clips[index * len(clips) // limit] for index in range(limit)]


def _unpack(cache: Path, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    for package, digest in ASTERISK_PACKAGES.items():
        archive = cache / f"{package}_{ASTERISK_VERSION}_all.deb"
        if not archive.exists():
            cache.mkdir(parents=True, exist_ok=True)
            run_tool(["apt-get", "download", f"{package}={ASTERISK_VERSION}"], cache)
        if hashlib.sha256(archive.read_bytes()).hexdigest() != digest:
            raise SystemExit(f"{archive}: not the expected package; delete it and run again")
        run_tool(["dpkg-deb", "-x", str(archive), str(root)], cache)
    sounds = root / "usr/share/asterisk/sounds/en_US_f_Allison"
    for source in sorted(sounds.rglob("*.g722")):
        target = (root / "flac" / source.relative_to(sounds)).with_suffix(".flac")
        target.parent.mkdir(parents=True, exist_ok=True)
        decode = ["ffmpeg", "-v", "error", "-y", "-f", "g722", "-i", str(source)]
        run_tool([*decode, "-ac", "1", "-ar", str(SAMPLE_RATE), "-c:a", "flac", str(target)], cache)
    (root / "complete").touch()


def run_tool(command: list[str], folder: Path) -> None:
    """Run a command in a folder, or leave with what it said.

    Raises:
        SystemExit: It is not installed, or failed.
    """
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]}: not installed; this benchmark fetches its prompts with Debian's tools")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)}: failed: {done.stderr.strip()}; is the package index there (apt-get update)?"
        )


def read_audio(path: Path) -> NDArray[np.float32]:
    """Return a sound file as 16 kHz mono `[S]`."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono: NDArray[np.float32] = audio.mean(axis=1)
    return mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
