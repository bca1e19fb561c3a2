"""Recordings to a pool that crops are cut from: decoded once to a cache where they fit, broken ones left out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tokaudio.atomic import atomic_write
from tokaudio.audio import as_audio, audio_info, read_audio, resample, to_channels
from tokaudio.audio.manifest import Recording
from tokaudio.errors import AudioError, TokaudioError
from tokaudio.training.batches import Fail, ignore_interrupts
from tokaudio.training.pool import AudioPool, Clip, FilePool, write_pool
from tokaudio.training.recipe import DataOptions

TRAIN, VALIDATION = "train", "validation"
_NOTHING = "the data: no recording could be used for training; name some that can be read"


def is_validation(name: str, share: float) -> bool:
    """Return whether a recording is kept out of training: a hash of its name decides, whatever else there is.

    Example:
        >>> sum(is_validation(f"{number}.wav", 0.1) for number in range(1000))
        107
    """
    digest = hashlib.sha256(os.fsencode(name)).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def decode(path: str | os.PathLike[str], sample_rate: int) -> Tensor:
    """Return a recording `[S]`, mono at a rate in Hz.

    Raises:
        AudioError: if it cannot be read to its end.
    """
    samples, rate = read_audio(path)
    mono, _ = to_channels(as_audio(samples).samples, 1)
    return resample(mono, rate, sample_rate)[0, 0]


class _Decoded(Dataset[tuple[str, str, Any, str]]):
    def __init__(self, recordings: Sequence[Recording], rate: int, share: float) -> None:
        self.recordings, self.rate, self.share = recordings, rate, share

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, number: int) -> tuple[str, str, Any, str]:
        one = self.recordings[number]
        source = VALIDATION if is_validation(one.name, self.share) else TRAIN
        try:
            return one.name, source, decode(one.path, self.rate).numpy(), ""
        except (TokaudioError, OSError) as error:
            return str(one.path), source, None, _told(error, one)


def _told(error: Exception, one: Recording) -> str:
    text = str(error) if isinstance(error, TokaudioError) else f"cannot be read ({error}); check it"
    return text if text.startswith(f"{one.path}:") else f"{one.path}: {text}"


def open_data(
    recordings: Sequence[Recording],
    folder: Path,
    sample_rate: int,
    options: DataOptions,
    *,
    workers: int = 0,
    fail: Fail = lambda name, line: None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> AudioPool:
    """Return a pool of recordings, whose sources are `train` and `validation`; no crop is drawn from the latter.

    Args:
        recordings: the data.
        folder: where the cache is made, or found as an earlier run made it.
        sample_rate: in Hz.
        options: share of validation, and how much is cached.
        workers: processes that decode.
        fail: hears of every broken recording, path and one line.
        tell: hears how many recordings of all are decoded.

    Raises:
        AudioError: if no recording for training can be read.
        OutputError: if the cache cannot be written.
    """
    told = folder / "data.json"
    if told.is_file():
        found = json.loads(told.read_text(encoding="utf-8"))
        for name, line in found["failures"]:
            fail(name, line)
    else:
        found = _scan(recordings, sample_rate, options, fail)
        if found["cached"]:
            decoded = _Decoded(recordings, sample_rate, options.validation)
            if not write_pool(folder, _decode_all(decoded, found["failures"], workers, fail, tell), sample_rate):
                raise AudioError(_NOTHING)
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(told, json.dumps(found).encode(), overwrite=True)
    weights = {VALIDATION: 0.0}
    if found["cached"]:
        pool = AudioPool(folder, weights=weights)
    else:
        paths = {one.name: str(one.path) for one in recordings}
        clips = [Clip(name, source, 0, length) for name, source, length in found["clips"]]
        pool = FilePool([paths[clip.id] for clip in clips], clips, sample_rate, weights=weights)
    if not any(clip.source == TRAIN and clip.length for clip in pool.clips):
        raise AudioError(_NOTHING)
    return pool


def _scan(recordings: Sequence[Recording], rate: int, options: DataOptions, fail: Fail) -> dict[str, Any]:
    """Return which recordings there are, by what their files say of themselves, and whether they fit in the cache."""
    clips, failures, limit = [], [], options.cache_hours * 3600 * rate
    total = 0
    for one in recordings:
        try:
            info = audio_info(one.path)
            length = round((info.duration or 0.0) * rate)
        except (TokaudioError, OSError) as error:
            failures.append((str(one.path), _told(error, one)))
            continue
        total += length
        clips.append((one.name, VALIDATION if is_validation(one.name, options.validation) else TRAIN, length))
    cached = total <= limit
    if not cached:
        for name, line in failures:
            fail(name, line)
    return {"cached": cached, "clips": [] if cached else clips, "failures": [] if cached else failures}


def _decode_all(
    decoded: _Decoded,
    failures: list[tuple[str, str]],
    workers: int,
    fail: Fail,
    tell: Callable[[int, int], None],
) -> Iterator[tuple[str, str, Any]]:
    """Yield name, source and samples of the recordings that can be read; add the others to the failures."""
    loader = DataLoader(
        decoded, batch_size=None, num_workers=workers, worker_init_fn=ignore_interrupts, collate_fn=_as_is
    )
    for done, (name, source, samples, problem) in enumerate(loader, start=1):
        if problem:
            failures.append((name, problem))
            fail(name, problem)
        else:
            yield name, source, samples
        tell(done, len(decoded))


def _as_is(item: Any) -> Any:
    return item
