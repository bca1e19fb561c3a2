"""Sound on its way to the model: decoded and resampled ahead of it, by threads, in bounded memory.

Threads suffice: libsndfile, soxr and numpy let go of the interpreter while they work.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tokaudio.errors import AudioError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokaudio.audio import AudioReader
    from tokaudio.spec import TokenizerSpec

T = TypeVar("T")
R = TypeVar("R")

# Manifests round times; a segment may end that much after its file.
_TOLERANCE_SECONDS = 0.05


def segment_blocks(
    reader: AudioReader, *, start: float | None = None, end: float | None = None
) -> Iterator[NDArray[np.float32]]:
    """Yield a segment of a file in blocks `[C, n]` as they are in the file, at least one sample.

    Args:
        reader: at the beginning of the file.
        start: of the segment, in seconds.
        end: of the segment, in seconds; the file must last as long, but for 50 ms.

    Raises:
        AudioError: if there are no samples, or fewer than asked for; and as the reader does.
    """
    rate, taken = reader.sample_rate, 0
    first = round((start or 0.0) * rate)
    wanted = None if end is None else max(0, round(end * rate) - first)
    for block in reader.blocks(start=first, frames=wanted):
        taken += block.shape[1]
        yield block
    if taken == 0:
        where = "" if start is None and end is None else f" between {start or 0:g} s and {end or 'its end'} s"
        raise AudioError(one_line(reader.path, f"holds no samples{where}", "record or export it again"))
    if wanted is not None and taken < wanted - _TOLERANCE_SECONDS * rate and not reader.truncated:
        problem = f"the segment ends at {end:g} s, and the file at {(first + taken) / rate:.3f} s"
        raise AudioError(one_line(reader.path, problem, "mend the manifest"))


def read_clip(
    path: str | os.PathLike[str],
    spec: TokenizerSpec,
    *,
    start: float | None = None,
    end: float | None = None,
    allow_truncated: bool = False,
    longest_seconds: float | None = None,
) -> NDArray[np.float32] | None:
    """Return a file, or a segment of it, as a tokenizer wants it.

    Args:
        path: of the file.
        spec: of the tokenizer.
        start: of the segment, in seconds.
        end: of the segment, in seconds.
        allow_truncated: take what is there of a cut-off file.
        longest_seconds: give up where it is longer.

    Returns:
        float32 `[C, S]` at the tokenizer's rate and channels, the same bits as `Tokenizer.encode` makes of the file;
        None where it is longer than `longest_seconds`.

    Raises:
        AudioError: if it cannot be used.
        MissingDependencyError: if the format needs torchcodec, and that is not installed.

    Example:
        >>> import tempfile, torch
        >>> from tokaudio.audio import write_audio
        >>> from tokaudio.catalogue import tokenizer_spec
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_audio(f"{folder}/a.wav", torch.zeros(2, 8000), 8000)
        ...     read_clip(f"{folder}/a.wav", tokenizer_spec("mini-codec"), start=0.25, end=0.5).shape
        (1, 4000)
    """
    import torch

    from tokaudio.audio import AudioReader, StreamResampler, to_channels

    with AudioReader(path, allow_truncated=allow_truncated) as reader:
        most = None if longest_seconds is None else int(longest_seconds * reader.sample_rate)
        stop = reader.declared_frames if end is None else round(end * reader.sample_rate)
        if most is not None and stop is not None and stop - round((start or 0.0) * reader.sample_rate) > most:
            return None
        resampler = StreamResampler(reader.sample_rate, spec.sample_rate, spec.channels)
        pieces, taken = [], 0
        for block in segment_blocks(reader, start=start, end=end):
            taken += block.shape[1]
            if most is not None and taken > most:
                return None
            samples, _ = to_channels(torch.from_numpy(block)[None], spec.channels)
            pieces.append(resampler.push(samples[0].numpy()))
    pieces.append(resampler.flush())
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)


def prefetched(
    items: Iterable[T], read: Callable[[T], R], *, threads: int, size: Callable[[R], int], budget: int
) -> Iterator[tuple[T, R]]:
    """Yield items with what is read of them, in order, while threads read the next ones.

    Held at a time are the budget, and what two items per thread take.

    Args:
        items: to be read.
        read: reads one; whatever it raises is raised here.
        threads: that read.
        size: of what was read, in any unit.
        budget: of the same unit; no further item is begun while so much waits to be taken.

    Example:
        >>> list(prefetched([1, 2, 3], lambda n: n * n, threads=2, size=lambda n: 1, budget=2))
        [(1, 1), (2, 4), (3, 9)]
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    rest = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tokaudio-reader")
    try:
        while True:
            while _has_room(waiting, 2 * threads, size, budget):
                for item in rest:
                    waiting.append((item, pool.submit(read, item)))
                    break
                else:
                    break
            if not waiting:
                return
            item, future = waiting.popleft()
            yield item, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _has_room(waiting: Iterable[tuple[T, Future[R]]], most_unread: int, size: Callable[[R], int], budget: int) -> bool:
    read = [future for _, future in waiting if future.done()]
    unread = sum(1 for _ in waiting) - len(read)
    return unread < most_unread and sum(size(f.result()) for f in read if f.exception() is None) < budget
