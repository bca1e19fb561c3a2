"""From recordings and reconstructions to scores with intervals; slow parts are remembered by content.

Needs: `pip install 'tokaudio[metrics]'` (pystoi, jiwer).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from evaluation_sets import Clip
from judges import WhisperJudge
from numpy.typing import ArrayLike, NDArray
from systems import System

from tokaudio.errors import AudioError
from tokaudio.metrics.intelligibility import stoi, word_errors

SAMPLE_RATE = 16_000
RESAMPLES = 2_000


class Cache:
    """A dictionary on disk, keyed by the content of what was computed from.

    Args:
        path: SQLite file; made when missing. None remembers nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(path, timeout=60)) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, value TEXT)")

    def get(self, parts: Sequence[str | bytes], compute: Callable[[], Any]) -> Any:
        """Return what is stored for `parts`, or compute and store it (anything that JSON can hold)."""
        if self._path is None:
            return compute()
        digest = hashlib.sha256()
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8, "little") + data)
        key = digest.hexdigest()
        with closing(sqlite3.connect(self._path, timeout=60)) as connection:
            row = connection.execute("SELECT value FROM results WHERE key = ?", (key,)).fetchone()
            if row is None:
                row = (json.dumps(compute()),)
                with connection:
                    connection.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", (key, *row))
        return json.loads(row[0])


@dataclass
class SetScores:
    """What one system scored on one set; entry i of every list belongs to clip i.

    Attributes:
        stois: STOI per clip, NaN where it is undefined (under 0.4 s of sound, or no speech).
        errors: Word errors per clip; empty when the set is not transcribed.
        words: Reference words per clip; empty when the set is not transcribed.
        bits: Total size of the coded forms.
        seconds: Total duration.
        usage: Share of each codebook's codes that occur in the set.
    """

    stois: list[float] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    bits: float = 0.0
    seconds: float = 0.0
    usage: list[float] = field(default_factory=list)

    @property
    def kbps(self) -> float:
        """Mean bitrate over the set, in kbit/s."""
        return self.bits / self.seconds / 1_000

    @property
    def wer(self) -> float | None:
        """Word error rate, a fraction; None when the set is not transcribed."""
        return sum(self.errors) / sum(self.words) if sum(self.words) else None


def run_system(system: System, clips: Sequence[Clip], *, judge: WhisperJudge | None, cache: Cache) -> SetScores:
    """Run one system over one set.

    Args:
        system: What to run.
        clips: The set. Wordless prompts count for bits and codebook usage only.
        judge: Reads the reconstructions; None leaves the word errors out.
        cache: Remembers STOI and transcripts.
    """
    scores = SetScores()
    seen = [np.zeros(size, dtype=bool) for size in system.codebook_sizes]
    started = time.monotonic()
    for number, clip in enumerate(clips, start=1):
        output = system.run(clip.audio)
        scores.bits += output.bits
        scores.seconds += len(clip.audio) / SAMPLE_RATE
        for used, codes in zip(seen, output.codes if output.codes is not None else (), strict=True):
            used[codes] = True
        if clip.is_speech:
            scores.stois.append(clip_stoi(clip.audio, output.audio, cache))
            if judge is not None:
                counts = word_errors([clip.text], [transcript(output.audio, judge, cache)])
                scores.errors.append(counts.errors)
                scores.words.append(counts.words)
        if sys.stderr.isatty() or number == len(clips):
            end = "\n" if number == len(clips) else "\r"
            print(f"{system.name}: {number}/{len(clips)}, {time.monotonic() - started:.0f} s", end=end, file=sys.stderr)
    scores.usage = [float(used.mean()) for used in seen]
    return scores


def clip_stoi(reference: NDArray[np.float32], estimate: NDArray[np.float32], cache: Cache) -> float:
    """Return the STOI of one clip, NaN where it is undefined; remembered by the content of both waveforms."""

    def compute() -> float | None:
        try:
            return stoi(reference, estimate, SAMPLE_RATE)
        except AudioError as error:
            if "undefined" in str(error):
                return None
            raise

    value = cache.get(["stoi", version("pystoi"), version("numpy"), _bytes(reference), _bytes(estimate)], compute)
    return float("nan") if value is None else float(value)


def transcript(audio: NDArray[np.float32], judge: WhisperJudge, cache: Cache) -> str:
    """Return what the judge reads, remembered by the content of the waveform."""
    return str(cache.get([judge.identity, _bytes(audio)], lambda: next(judge.transcribe([audio]))))


def mean_interval(values: ArrayLike) -> tuple[float, float]:
    """Return the mean over files, NaN left out, and half the width of its 95 % bootstrap interval."""
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    means = array[_resamples(array.size)].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(array.mean()), float(high - low) / 2


def wer_difference(system: SetScores, reference: SetScores) -> tuple[float, float]:
    """Return WER minus the reference system's, and half the width of its paired 95 % bootstrap interval over files."""
    more = np.asarray(system.errors) - np.asarray(reference.errors)
    words = np.asarray(system.words)
    index = _resamples(words.size)
    low, high = np.percentile(more[index].sum(axis=1) / words[index].sum(axis=1), [2.5, 97.5])
    return float(more.sum() / words.sum()), float(high - low) / 2


def _resamples(size: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, size, (RESAMPLES, size))


def _bytes(audio: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(audio, dtype="<f4").tobytes()
