"""Sound on its way to the model: the same bits as the tokenizer's own, segments, lengths, and what is read ahead."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.support import voice
from tests.corpus.support import RATE
from tests.tokenizers.conftest import make_codec
from tokaudio.audio import AudioReader, read_audio
from tokaudio.corpus.reading import prefetched, read_clip, segment_blocks
from tokaudio.errors import AudioError
from tokaudio.tokenizers.clips import split_clips

SPEC = make_codec().spec


@pytest.mark.parametrize(("rate", "channels", "suffix"), [(4_000, 1, "wav"), (44_100, 2, "flac"), (8_000, 3, "ogg")])
def test_clips_are_the_bits_that_the_tokenizer_makes(tmp_path: Path, rate: int, channels: int, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, voice(3.0, rate, channels), rate)
    (wanted,), _ = split_clips(path, None, None, SPEC)
    clip = read_clip(path, SPEC)
    assert clip is not None and clip.dtype == np.float32
    assert np.array_equal(clip, wanted.numpy())
    assert torch.equal(make_codec().encode(torch.from_numpy(clip)).codes, make_codec().encode(path).codes)


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
@pytest.mark.parametrize(("start", "end"), [(None, 1.0), (0.5, None), (0.333, 1.7), (1.999, 2.03)])
def test_segments_are_parts_of_the_file(tmp_path: Path, suffix: str, start: float | None, end: float | None) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, voice(2.0, RATE), RATE)
    whole, _ = read_audio(path)
    clip = read_clip(path, SPEC, start=start, end=end)
    stop = None if end is None else round(end * RATE)
    assert clip is not None
    assert np.array_equal(clip, whole.numpy()[:, round((start or 0) * RATE) : stop])


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        (None, 2.2, "the segment ends at 2.2 s, and the file at 2.000 s; mend the manifest"),
        (2.5, 3.0, "holds no samples between 2.5 s and 3.0 s"),
        (2.0, None, "holds no samples between 2 s and its end s"),
    ],
)
def test_segments_beyond_the_file_are_refused(
    tmp_path: Path, start: float | None, end: float | None, problem: str
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, voice(2.0, RATE), RATE)
    with AudioReader(path) as reader, pytest.raises(AudioError, match=problem):
        list(segment_blocks(reader, start=start, end=end))
    with pytest.raises(AudioError, match=problem):
        read_clip(path, SPEC, start=start, end=end)


def test_sound_that_is_too_long_is_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, voice(2.0, RATE), RATE)
    assert read_clip(path, SPEC, longest_seconds=1.9) is None
    for options in ({"longest_seconds": 2.0}, {"longest_seconds": 1.0, "start": 0.5, "end": 1.5}):
        assert read_clip(path, SPEC, **options) is not None
    # Where the container does not say how long it is, that is seen while reading.
    soundfile.write(tmp_path / "a.mp3", voice(2.0, 8_000), 8_000)
    assert read_clip(tmp_path / "a.mp3", SPEC, longest_seconds=1.0) is None


@given(st.lists(st.integers(0, 20), max_size=40), st.integers(1, 50), st.integers(1, 4))
def test_everything_is_read_once_and_in_order(sizes: list[int], budget: int, threads: int) -> None:
    items = list(enumerate(sizes))
    seen = list(prefetched(items, lambda item: item[1], threads=threads, size=lambda size: size, budget=budget))
    assert seen == [(item, item[1]) for item in items]


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_is_read_ahead_than_the_budget_allows(threads: int) -> None:
    lock, begun = threading.Lock(), [0]

    def read(item: int) -> int:
        with lock:
            begun[0] += 1
        return 10

    ahead = prefetched(range(300), read, threads=threads, size=lambda size: size, budget=40)
    for taken, _ in enumerate(ahead, start=1):
        assert begun[0] <= taken + 4 + 2 * threads
    assert begun[0] == 300


def test_a_consumer_that_stops_leaves_nothing_behind() -> None:
    read: list[int] = []
    ahead = prefetched(range(1000), lambda item: read.append(item) or item, threads=1, size=lambda _: 1, budget=4)
    assert next(ahead)[0] == 0
    ahead.close()
    assert len(read) <= 8
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tokaudio-reader")]


def test_errors_of_the_reader_are_raised() -> None:
    def fail(item: int) -> int:
        raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        list(prefetched([1], fail, threads=1, size=lambda _: 1, budget=1))
