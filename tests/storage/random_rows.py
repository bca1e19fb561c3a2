"""Datasets of random rows: ragged lengths, 1 to 32 codebooks of 2 to 65,536 codes and more, strides, all options."""

import numpy as np
from hypothesis import strategies as st

from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage.dataset_info import DatasetInfo, ExtraInfo
from tokaudio.storage.rows import TokenRow

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
COLUMNS = {
    "string": TEXT,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
}
EXTRAS = ("float32", "int64", "bool", "float16", "uint8")


@st.composite
def infos(draw, **fixed):
    largest = draw(st.sampled_from([2, 8, 1024, 65_536, 70_000]))
    count = draw(st.sampled_from([1, 2, 3, 8, 32]))
    books = [CodebookSpec(draw(st.integers(1, largest)), draw(st.sampled_from([1, 1, 1, 2, 4]))) for _ in range(count)]
    books[-1] = CodebookSpec(largest)
    names = draw(st.lists(st.sampled_from(["text", "größe", "speaker id", "n", "λ"]), unique=True, max_size=3))
    extras = draw(st.lists(st.sampled_from(["frame_pitch", "item_speaker", "other"]), unique=True, max_size=2))
    options = {
        "fingerprint": draw(st.sampled_from(["", "0123abcd"])),
        "provenance": draw(st.sampled_from([{}, {"resampler": "soxr HQ"}])),
        "columns": {name: draw(st.sampled_from(sorted(COLUMNS))) for name in names},
        "extras": {
            name: ExtraInfo(draw(st.sampled_from(EXTRAS)), draw(st.sampled_from([(), (3,), (2, 2), (0,)])))
            for name in extras
        },
        "depth": draw(st.booleans()),
    }
    return DatasetInfo(TokenizerSpec("toy", "compression", 16_000, 320, tuple(books)), **(options | fixed))


@st.composite
def datasets(draw, max_rows=4, **fixed):
    """Draw an info and rows that `checked` leaves as they are."""
    info = draw(infos(**fixed))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    keys = draw(st.lists(TEXT.filter(bool), unique=True, max_size=max_rows))
    return info, [draw(rows(info, key, random)) for key in keys]


@st.composite
def rows(draw, info, key, random):
    frames = draw(st.sampled_from([0, 1, 2, 7, 60]))
    spec = info.spec
    codes = np.stack(
        [np.repeat(random.integers(0, b.size, -(-frames // b.stride)), b.stride)[:frames] for b in spec.codebooks]
    ).astype(info.code_dtype)
    extras = {}
    for name, extra in info.extras.items():
        shape = (frames, *extra.shape) if name.startswith("frame_") else extra.shape
        extras[name] = random.integers(0, 2, shape).astype(extra.dtype)
    columns = {name: draw(st.none() | COLUMNS[kind]) for name, kind in info.columns.items()}
    start = draw(st.none() | st.floats(0, 1e6))
    depth = None
    if info.depth:
        depth = np.repeat(random.integers(0, spec.num_codebooks + 1, 15), 4)[:frames].astype(np.uint16)
        codes[np.arange(spec.num_codebooks)[:, None] >= depth] = 0
    samples = draw(st.integers(0, 2**40))
    source = draw(TEXT)
    return TokenRow(key, codes, samples, spec.sample_rate, source, start, None, columns, depth, extras)


def example():
    """Return one dataset of three rows that has every part."""
    books = (CodebookSpec(64, 2, "semantic"), CodebookSpec(1024), CodebookSpec(1024))
    info = DatasetInfo(
        TokenizerSpec("toy", "compression", 16_000, 320, books),
        "0123abcd",
        {"resampler": "soxr HQ"},
        {"text": "string", "snr": "number", "speaker": "integer", "clean": "boolean"},
        {"frame_pitch": ExtraInfo("float32"), "item_speaker": ExtraInfo("float32", (4,))},
        True,
    )
    random = np.random.default_rng(1)
    made = []
    for number, frames in enumerate((50, 0, 33)):
        slow = np.repeat(random.integers(0, 64, -(-frames // 2)), 2)[:frames]
        codes = np.vstack([slow[None], random.integers(0, 1024, (2, frames))]).astype(np.uint16)
        columns = {"text": "grüße, 世界", "snr": 0.1 + number, "speaker": number, "clean": number == 1 or None}
        extras = {"frame_pitch": random.random(frames, np.float32), "item_speaker": random.random(4, np.float32)}
        depth = np.full(frames, 3, np.uint16)
        codes[2, :4], depth[:4] = 0, 2
        key, start = ("a/b.c", "größe", "c" * 300)[number], (None, 0.0, 1.5)[number]
        made.append(TokenRow(key, codes, 320 * frames, 16_000, "d/a.wav", start, 2.5, columns, depth, extras))
    return info, made
