"""Fetch and prepare the speech that the shipped tokenizers are trained on: 16 kHz mono, about four hours.

Sources, all free to train on and to ship weights from (attribution in `tokaudio/assets/NOTICE.md`):

- Debian `festvox-ru`: one Russian speaker, 620 sentences (BSD-like licence);
- Debian `asterisk-core-sounds-it-g722` and `-ru-g722`: prompts, one speaker each (CC-BY-3.0);
- a folder of labelled voices (`manifest.jsonl` + FLAC), of which only the rows with split `train` are taken.

Debian packages come through `apt-get download`; G.722 files are headerless and are decoded by ffmpeg.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tokaudio.training.pool import Clip, write_pool

SAMPLE_RATE = 16_000
# Isolated words are short and many; sentences teach more per second.
SOURCE_WEIGHTS = {"voices-keyword": 0.3}
PACKAGES = ("festvox-ru", "asterisk-core-sounds-it-g722", "asterisk-core-sounds-ru-g722")


def fetch_packages(folder: Path, packages: tuple[str, ...] = PACKAGES) -> list[Path]:
    """Download and unpack Debian packages below `folder`; return the unpacked folders. Needs `apt-get`, `dpkg-deb`."""
    unpacked = []
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        target = folder / package
        if not target.is_dir():
            if not (found := sorted(folder.glob(f"{package}_*.deb"))):
                subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
                found = sorted(folder.glob(f"{package}_*.deb"))
            part = folder / f"{package}.part"
            shutil.rmtree(part, ignore_errors=True)
            subprocess.run(["dpkg-deb", "-x", str(found[-1]), str(part)], check=True)
            part.rename(target)
        unpacked.append(target)
    return unpacked


def decode_g722(path: Path) -> np.ndarray:
    """Decode a headerless G.722 file to samples `[S]`, 16 kHz float32."""
    command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", str(path), "-f", "s16le", "-ac", "1", "-ar", "16000", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, "<i2").astype(np.float32) / 32768.0


def read_16k(path: Path) -> np.ndarray:
    """Read any sound file that libsndfile knows to samples `[S]`, 16 kHz mono float32."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE, quality="HQ"), np.float32)


def _is_speech(samples: np.ndarray) -> bool:
    """Drop the prompts that are digital silence or shorter than 0.2 s."""
    return len(samples) > 0.2 * SAMPLE_RATE and float(np.abs(samples).max()) > 0.02


def debian_clips(folder: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield `(id, source, samples)` of every recording in the Debian packages."""
    for package, root in zip(PACKAGES, fetch_packages(folder), strict=True):
        for path in sorted(root.rglob("*.g722")) + sorted(root.rglob("wav/*.wav")):
            samples = decode_g722(path) if path.suffix == ".g722" else read_16k(path)
            if _is_speech(samples):
                yield path.relative_to(root).as_posix(), package, samples


def voice_clips(folder: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield `(id, source, samples)` of the training voices; rows of split `eval` stay out."""
    with (folder / "manifest.jsonl").open(encoding="utf-8") as manifest:
        for line in manifest:
            row = json.loads(line)
            if row["split"] == "train":
                yield row["id"], f"voices-{row['task']}", read_16k(folder / row["path"])


def prepare(out: Path, *, voices: Path, downloads: Path) -> list[Clip]:
    """Make the training pool in `out` and return its index."""

    def clips() -> Iterator[tuple[str, str, np.ndarray]]:
        yield from debian_clips(downloads)
        yield from voice_clips(voices)

    return write_pool(out, clips(), SAMPLE_RATE)
