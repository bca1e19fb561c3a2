"""Forty inputs of which most mean harm: each gives codes or its reason, and the counts add up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.cli.support import voice, without_root_powers
from tests.cli.test_bad_audio import BAD
from tests.corpus.support import encode_here
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.storage.formats import shard_format


def sound(samples: np.ndarray, rate: int = 16_000, **options: str) -> Callable[[Path], None]:
    """Return a maker of a file."""
    return lambda path: soundfile.write(path, samples, rate, **options)


ONE = np.ones(4_000, np.float32)
TONE = voice(0.2, 16_000)
GOOD: dict[str, Callable[[Path], None]] = {
    "one sample": sound(ONE[:1]),
    "denormals": sound(ONE * 1e-40, subtype="FLOAT"),
    "direct current": sound(ONE * 0.5),
    "silence": sound(ONE * 0),
    "clipped": sound(np.sign(TONE)),
    "8 kHz": sound(TONE, 8_000),
    "384 kHz": sound(voice(0.1, 384_000), 384_000),
    "8 channels": sound(voice(0.1, 16_000, 8)),
    "opposite phases": sound(np.hstack([TONE, -TONE])),
    "24 bits": sound(TONE, subtype="PCM_24"),
    "32 bits": sound(TONE, subtype="PCM_32"),
    "64 bits": sound(TONE, subtype="DOUBLE"),
    "mu-law": sound(TONE, subtype="ULAW"),
    "rf64": sound(TONE, format="RF64"),
    "flac called wav": sound(TONE, format="FLAC"),
    "ogg called wav": sound(TONE, format="OGG"),
    "8 bits": sound(TONE, subtype="PCM_U8"),
    "aiff called wav": sound(TONE, format="AIFF"),
    "w64 called wav": sound(TONE, format="W64"),
    "caf called wav": sound(TONE, format="CAF"),
    "mp3 called wav": sound(voice(0.5, 16_000), format="MP3"),
    "11 channels at 44.1 kHz": sound(voice(0.1, 44_100, 11), 44_100),
}
NAMES = [
    "caf\udce9.wav",
    "line\nbreak.wav",
    "tab\t.wav",
    '"quoted".wav',
    "-o.wav",
    "\U0001f600.wav",
    251 * "x" + ".wav",
]
NAMES += ["\u00e9.wav", "e\u0301.wav", "A.wav", "a.wav", "sub/a.wav", "a.flac"]


def test_every_input_is_ok_or_failed_with_its_reason(tmp_path: Path, tokenize: TokenizeBatch) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name, (make, _) in BAD.items():
        make(source / f"bad {name}.wav")
    (source / "bad folder.wav").mkdir()
    for name, make in GOOD.items():
        make(source / f"good {name}.wav")
    with without_root_powers():
        summary = encode_here(source, tmp_path / "out", tokenize)
    assert summary.listed == len(BAD) + 1 + len(GOOD) >= 40
    assert (summary.ok, summary.failed, summary.skipped) == (len(GOOD), len(BAD) + 1, 0)
    failed = [json.loads(line) for line in (tmp_path / "out/.tokaudio/failed.jsonl").read_text().splitlines()]
    reasons = {line["key"]: line["reason"] for line in failed}
    for name, (_, words) in BAD.items():
        reason = reasons[f"bad {name}.wav"]
        assert words in reason and reason.startswith(f"{source}/bad {name}.wav: ") and "; " in reason
    assert "is a directory" in reasons["bad folder.wav"]
    form = shard_format("parquet")
    kept = {row.key: row for shard in form.shards(tmp_path / "out") for row in form.read_shard(shard)}
    assert sorted(kept) == sorted(f"good {name}.wav" for name in GOOD)
    assert all(row.num_frames > 0 for row in kept.values())


def test_names_of_every_kind_come_through(tmp_path: Path, tokenize: TokenizeBatch) -> None:
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    sound(TONE)(tmp_path / "a.wav")
    for name in NAMES:
        shutil.copy(tmp_path / "a.wav", source / name)
    (source / "caf\udce9.wav").write_bytes(b"")
    summary = encode_here(source, tmp_path / "out", tokenize, items=4)
    assert (summary.listed, summary.ok, summary.failed) == (len(NAMES), len(NAMES) - 1, 1)
    form = shard_format("parquet")
    kept = {row.key for shard in form.shards(tmp_path / "out") for row in form.read_shard(shard)}
    assert kept == {name for name in NAMES if "\udce9" not in name}
    failed = json.loads((tmp_path / "out/.tokaudio/failed.jsonl").read_text())
    assert failed["path"] == f"{source}/caf\udce9.wav"
    assert failed["reason"].endswith("caf\\udce9.wav: the file is empty; record or copy it again")
    # The list of failures is a manifest.
    shutil.copy(tmp_path / "a.wav", failed["path"])
    again = encode_here(tmp_path / "out/.tokaudio/failed.jsonl", tmp_path / "again", tokenize)
    assert (again.ok, again.failed) == (1, 0)
