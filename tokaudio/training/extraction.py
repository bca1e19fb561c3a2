"""Features of many recordings, extracted once to disk, with broken ones left out and interruptions survived.

Sounds of up to a minute are computed as a whole, so that their features are those that the tokenizer quantizes; longer
ones in pieces of 40 s, the last of up to a minute. Nothing of a recording that turns out to be broken is kept.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tokaudio.audio import AudioReader, StreamResampler, as_audio, to_channels
from tokaudio.digests import sha256_of
from tokaudio.errors import AudioError, TokaudioError, one_line
from tokaudio.tokenizers import Tokenizer
from tokaudio.training.frames import FrameLog, FramesOnDisk
from tokaudio.training.kmeans import FitError
from tokaudio.training.resumable import WorkError, WorkFolder

_PIECE_SECONDS, _LONGEST_SECONDS = 40, 60
# Work that a crash may cost: features and journal are made safe this often.
_SYNC_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording: its path, and a name by which it is ordered and recorded, the same on every machine."""

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one recording.

    Attributes:
        name: of the recording.
        frames: that were kept.
        seconds: of audio that they come from.
        sha256: of the file.
        stamp: size in bytes and time of change in ns.
        problem: why it could not be used; empty if it could.
        short: whether it is shorter than one frame, which is no failure.
    """

    name: str
    frames: int = 0
    seconds: float = 0.0
    sha256: str = ""
    stamp: tuple[int, int] = (0, 0)
    problem: str = ""
    short: bool = False


class Listener:
    """Hears how a fit goes on; this one does nothing."""

    def finished(self, sound: Sound, entry: Entry, error: Exception | None, *, before: bool) -> None:
        """A recording is done, with an error or without; `before`: in an earlier run."""

    def fitted(self, done: int, total: int) -> None:
        """So many codebooks of all are done; none when the first is begun."""


def in_drawn_order(sounds: Sequence[Sound], seed: int) -> list[Sound]:
    """Return recordings in an order that depends on their names and a seed only, not on where others are.

    Example:
        >>> sounds = [Sound(f"/data/{name}", name) for name in "abcd"]
        >>> [sound.name for sound in in_drawn_order(sounds, seed=1)]
        ['d', 'b', 'c', 'a']
    """
    return sorted(sounds, key=lambda sound: (hashlib.sha256(os.fsencode(f"{seed}\n{sound.name}")).digest(), sound.name))


def data_hash(entries: Sequence[Entry]) -> str:
    r"""Return a SHA-256 of the contents that were used, whatever the files are called and in whatever order they came.

    It is that of the sorted SHA-256 of the files, in hexadecimal digits, each followed by `\n`.

    Example:
        >>> a, b = Entry("a", 3, sha256="11"), Entry("b", 4, sha256="22")
        >>> data_hash([a, b]) == data_hash([b, a, Entry("broken", sha256="33")])
        True
    """
    used = sorted(entry.sha256 for entry in entries if entry.frames)
    return hashlib.sha256("".join(f"{digest}\n" for digest in used).encode()).hexdigest()


def extract(
    tokenizer: Tokenizer,
    sounds: Sequence[Sound],
    work: WorkFolder,
    *,
    width: int,
    shortest: int,
    limit: int | None = None,
    dtype: torch.dtype = torch.float16,
    allow_truncated: bool = False,
    threads: int = 1,
    listener: Listener | None = None,
) -> tuple[FramesOnDisk, list[Entry]]:
    """Write the features of recordings to a folder, going on where an earlier run stopped.

    Args:
        tokenizer: whose `features` they are.
        sounds: the recordings, in the order in which they are to be taken.
        work: the folder.
        width: of the features.
        shortest: samples of the shortest signal that has a frame.
        limit: frames at most; the recordings after it are not read.
        dtype: float16 or float32.
        allow_truncated: take what is there of cut-off files.
        threads: pieces that are computed at once, which changes nothing in the result.
        listener: hears of every recording.

    Returns:
        The features, and what became of the recordings that were read.

    Raises:
        FitError: if no recording could be used, or features are too large for float16.
        OutputError: if the disk takes no more.
        WorkError: if a recording has changed since an earlier run.
    """
    listener = listener or Listener()
    entries = _earlier(sounds, work, listener)
    log = FrameLog(work.path, width, dtype, sum(entry.frames for entry in entries))
    unsafe: list[Entry] = []

    def make_safe() -> None:
        log.sync()
        work.note(asdict(entry) for entry in unsafe)
        unsafe.clear()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="tokaudio")
    synced = time.monotonic()
    try:
        left = () if limit is not None and log.rows >= limit else sounds[len(entries) :]
        events = _ahead(_events(left, tokenizer, shortest, pool, allow_truncated=allow_truncated), threads)
        for sound, entry, error in _appended(events, log, limit, tokenizer):
            entries.append(entry)
            unsafe.append(entry)
            listener.finished(sound, entry, error, before=False)
            if time.monotonic() - synced > _SYNC_SECONDS:
                make_safe()
                synced = time.monotonic()
        make_safe()
        if not log.rows:
            raise FitError(one_line("the data", "no recording gave a frame", "name recordings that can be read"))
        return log.finish(), entries
    finally:
        # What is still being computed is not waited for: an interrupted run ends now.
        pool.shutdown(wait=False, cancel_futures=True)
        log.close()


@dataclass(frozen=True, slots=True)
class _Event:
    """A piece of a recording that is being computed, or its end, with what went wrong."""

    sound: Sound
    about: Entry
    rows: Future[Tensor] | None = None
    error: Exception | None = None


def _events(
    sounds: Sequence[Sound], tokenizer: Tokenizer, shortest: int, pool: ThreadPoolExecutor, *, allow_truncated: bool
) -> Iterator[_Event]:
    """Yield the pieces of every recording, as they are read and sent off, and its end."""

    def compute(samples: Tensor) -> Tensor:
        rows = tokenizer.features(samples, tokenizer.spec.sample_rate)[0].T
        if not bool(torch.isfinite(rows).all()):
            raise AudioError("its features hold a NaN or Inf; check the weights and the recording")
        return rows.cpu()

    for sound in sounds:
        about = Entry(sound.name)
        try:
            status = Path(sound.path).stat()
            about = Entry(sound.name, sha256=sha256_of(sound.path), stamp=(status.st_size, status.st_mtime_ns))
            for samples in _pieces(sound.path, tokenizer, allow_truncated):
                if len(samples) < shortest:
                    about = replace(about, short=True)
                else:
                    yield _Event(sound, about, rows=pool.submit(compute, samples))
            yield _Event(sound, about)
        except FileNotFoundError:
            yield _Event(sound, about, error=AudioError(one_line(sound.path, "no such file", "check the path")))
        except (TokaudioError, OSError) as error:
            yield _Event(sound, about, error=error)


def _ahead(events: Iterable[_Event], count: int) -> Iterator[_Event]:
    """Yield events, each when so many further ones are there, so that they are computed meanwhile."""
    waiting: deque[_Event] = deque()
    for event in events:
        waiting.append(event)
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting


def _appended(
    events: Iterable[_Event], log: FrameLog, limit: int | None, tokenizer: Tokenizer
) -> Iterator[tuple[Sound, Entry, Exception | None]]:
    """Append what is computed, and yield what became of each recording; nothing of a broken one stays."""
    start = log.rows
    broken: Exception | None = None
    for event in events:
        full = False
        if event.rows is not None and broken is None:
            try:
                rows = event.rows.result()
            except TokaudioError as problem:
                broken = problem
            else:
                log.append(rows if limit is None else rows[: limit - log.rows])
                full = log.rows == limit
        if event.rows is not None and not full:
            continue
        error = broken or event.error
        if error is not None:
            log.cut(start)
        frames = log.rows - start
        seconds = frames / float(tokenizer.spec.frame_rate)
        told = "" if error is None else _told(error, event.sound)
        short = event.about.short and error is None
        yield event.sound, replace(event.about, frames=frames, seconds=seconds, problem=told, short=short), error
        if full:
            return
        start, broken = log.rows, None


def _pieces(path: str, tokenizer: Tokenizer, allow_truncated: bool) -> Iterator[Tensor]:
    """Yield a recording `[S]` at the tokenizer's rate, in pieces if it is long."""
    spec = tokenizer.spec
    piece, longest = _PIECE_SECONDS * spec.sample_rate, _LONGEST_SECONDS * spec.sample_rate
    with AudioReader(path, allow_truncated=allow_truncated) as reader:
        resampler = StreamResampler(reader.sample_rate, spec.sample_rate, spec.channels)
        held = torch.zeros(0)
        for block in reader.blocks():
            samples, _ = to_channels(as_audio(block).samples, spec.channels)
            held = torch.cat([held, torch.from_numpy(resampler.push(samples[0].numpy()))[0]])
            while len(held) > longest:
                yield held[:piece]
                held = held[piece:]
        yield torch.cat([held, torch.from_numpy(resampler.flush())[0]])


def _earlier(sounds: Sequence[Sound], work: WorkFolder, listener: Listener) -> list[Entry]:
    """Return what became of the recordings that earlier runs finished, which must be the same files still."""
    entries = [Entry(**{**row, "stamp": tuple(row["stamp"])}) for row in work.noted()]
    if [entry.name for entry in entries] != [sound.name for sound in sounds[: len(entries)]]:
        raise WorkError(one_line(work.path, "holds unfinished work on other recordings", "delete it, or use -f"))
    for sound, entry in zip(sounds, entries, strict=False):
        if entry.frames and not _is_same(sound.path, entry):
            problem = f"was read by a run whose work is in {work.path}, and has changed since"
            raise WorkError(one_line(sound.path, problem, "delete that folder to start over"))
        listener.finished(sound, entry, AudioError(entry.problem) if entry.problem else None, before=True)
    return entries


def _is_same(path: str, entry: Entry) -> bool:
    try:
        status = Path(path).stat()
        return (status.st_size, status.st_mtime_ns) == entry.stamp or sha256_of(path) == entry.sha256
    except OSError:
        return False


def _told(error: Exception, sound: Sound) -> str:
    """Return what went wrong, without the path of the machine where it did."""
    text = str(error) if isinstance(error, TokaudioError) else f"cannot be read ({error})"
    return text.removeprefix(f"{sound.path}: ")
