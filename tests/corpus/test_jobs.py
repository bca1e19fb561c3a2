"""Whole jobs in this process: what they write, what they refuse, what they go on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.support import voice
from tests.corpus.support import RATE, encode_here, tree, write_sounds
from tests.tokenizers.conftest import make_codec
from tokaudio.corpus import encoding
from tokaudio.corpus.encoding import InputEncoder
from tokaudio.corpus.engines.local import encode_corpus
from tokaudio.corpus.job import Job
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.corpus.worker import Worker
from tokaudio.errors import CorpusError, OutputError
from tokaudio.storage.dataset_info import read_info
from tokaudio.storage.formats import shard_format
from tokaudio.storage.rows import TokenRow

PARQUET = shard_format("parquet")


def rows(out: Path, form: str = "parquet") -> dict[str, TokenRow]:
    made = shard_format(form)
    return {row.key: row for shard in made.shards(out) for row in made.read_shard(shard)}


def test_every_row_is_what_the_tokenizer_gives_for_the_file(reference: Path, sounds: Path) -> None:
    found = rows(reference)
    assert list(found) == sorted(path.name for path in sounds.iterdir())
    for name, row in list(found.items())[::5]:
        tokens = make_codec().encode(sounds / name)
        assert np.array_equal(row.codes, tokens.codes[0].numpy())
        assert (row.num_samples, row.sample_rate, row.source) == (int(tokens.num_samples[0]), RATE, name)
    info = read_info(reference)
    assert (info.num_rows, info.fingerprint) == (40, make_codec().fingerprint)
    assert info.num_samples == sum(row.num_samples for row in found.values())
    assert "soxr" in info.provenance["resampler"]


@pytest.mark.parametrize("form", ["webdataset", "npz"])
def test_other_formats_hold_the_same_rows(
    tmp_path: Path, sounds: Path, reference: Path, tokenize: TokenizeBatch, form: str
) -> None:
    encode_here(sounds, tmp_path / "out", tokenize, items=15, form=form)
    assert rows(tmp_path / "out", form) == rows(reference)
    before = tree(tmp_path / "out")
    encode_here(sounds, tmp_path / "out", tokenize, items=15, form=form)
    assert tree(tmp_path / "out") == before


def test_readers_batches_and_ranks_change_no_byte(
    tmp_path: Path, sounds: Path, reference: Path, tokenize: TokenizeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    small = TokenizeBatch(tokenize.tokenizer, batch_seconds=0.3)
    options = EncodeOptions(small, sharding=Sharding(items=5), readers=1)
    encode_corpus(sounds, tmp_path / "out", options, workers=0)
    assert tree(tmp_path / "out") == tree(reference)


def test_sound_that_is_streamed_has_the_codes_of_the_whole(
    tmp_path: Path, sounds: Path, reference: Path, tokenize: TokenizeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_LONGEST_SECONDS", 0.1)
    encode_here(sounds, tmp_path / "out", tokenize, items=5)
    assert tree(tmp_path / "out") == tree(reference)


def test_segments_and_columns_pass_through(tmp_path: Path, tokenize: TokenizeBatch) -> None:
    soundfile.write(tmp_path / "a.wav", voice(2.0, 8_000), 8_000)
    lines = [
        {"path": "a.wav", "start": 0.5, "end": 1.25, "text": "eins\n", "speaker": "x", "n": 1},
        {"path": "a.wav", "start": 1.25, "text": None, "n": 2},
        {"path": "a.wav", "start": 1.9, "end": 2.4},
    ]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, lines[0]]))
    summary = encode_here(tmp_path / "all.jsonl", tmp_path / "out", tokenize)
    assert (summary.listed, summary.ok, summary.failed, summary.skipped) == (4, 2, 1, 1)
    first, second = rows(tmp_path / "out").values()
    assert (first.key, first.start, first.end, first.num_samples) == ("a.wav#0.5-1.25", 0.5, 1.25, 3_000)
    assert dict(first.columns) == {"text": "eins\n", "speaker": "x", "n": 1}
    assert (second.num_samples, second.columns["text"], second.columns["n"]) == (3_000, None, 2)
    whole = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
    assert np.array_equal(first.codes, make_codec().encode(whole[4_000:10_000], 8_000).codes[0].numpy())
    failed = json.loads((tmp_path / "out/.tokaudio/failed.jsonl").read_text())
    assert failed["path"] == str(tmp_path / "a.wav") and failed["start"] == 1.9
    assert "the segment ends at 2.4 s, and the file at 2.000 s" in failed["reason"]


def test_failures_are_listed_and_can_be_tried_again(
    tmp_path: Path, sounds: Path, reference: Path, tokenize: TokenizeBatch
) -> None:
    mended = shutil.copytree(sounds, tmp_path / "in")
    for name in ("003.wav", "004.wav", "031.wav"):
        (mended / name).write_bytes(b"")
    out = tmp_path / "out"
    summary = encode_here(mended, out, tokenize, items=5)
    assert (summary.ok, summary.failed) == (37, 3)
    lines = [json.loads(line) for line in (out / ".tokaudio/failed.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == ["003.wav", "004.wav", "031.wav"]
    assert all("the file is empty; record or copy it again" in line["reason"] for line in lines)
    before = tree(out)
    # Without being told so, nothing is tried again.
    shutil.copy(sounds / "003.wav", mended / "003.wav")
    assert encode_here(mended, out, tokenize, items=5).failed == 3 and tree(out) == before
    assert encode_here(mended, out, tokenize, items=5, retry=True).failed == 2
    # Shards without failures are left alone, and rows that were right are not encoded again.
    assert (out / "part-00001.parquet").read_bytes() == before["part-00001.parquet"]
    shutil.copytree(sounds, mended, dirs_exist_ok=True)
    assert encode_here(mended, out, tokenize, items=5, retry=True).failed == 0
    # The job remembers where it was begun; all else is that of a job without failures.
    same = {name: content for name, content in tree(reference).items() if name.startswith("part")}
    assert {name: content for name, content in tree(out).items() if name.startswith("part")} == same
    assert (out / ".tokaudio/failed.jsonl").read_bytes() == b""
    assert (out / ".tokaudio/journal.jsonl").read_bytes() == tree(reference)[".tokaudio/journal.jsonl"]


def test_only_what_failed_is_encoded_again(
    tmp_path: Path, sounds: Path, tokenize: TokenizeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = shutil.copytree(sounds, tmp_path / "in")
    (mended / "004.wav").write_bytes(b"")
    encode_here(mended, tmp_path / "out", tokenize, items=5)
    tried: list[str] = []
    real = InputEncoder.encode

    def encode(self: InputEncoder, inputs: list[object]) -> object:
        tried.extend(one.key for one in inputs)  # type: ignore[attr-defined]
        return real(self, inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(InputEncoder, "encode", encode)
    encode_here(mended, tmp_path / "out", tokenize, items=5, retry=True)
    assert tried == ["004.wav"]


def test_shards_without_a_row_have_no_file(tmp_path: Path, tokenize: TokenizeBatch) -> None:
    source = write_sounds(tmp_path / "in", 4)
    for name in ("002.wav", "003.wav"):
        (source / name).write_bytes(b"")
    summary = encode_here(source, tmp_path / "out", tokenize, items=2)
    assert (summary.ok, summary.failed, summary.shards) == (2, 2, 2)
    assert [path.name for path in PARQUET.shards(tmp_path / "out")] == ["part-00000.parquet"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"num_codebooks": 2}, "was begun with num_codebooks 3, and this is 2; encode to another folder"),
        ({"allow_truncated": True}, "was begun with allow_truncated False"),
        ({"tokenizer": "mini-codec"}, "was begun with tokenizer 'tiny', and this is 'mini-codec'"),
    ],
)
def test_a_job_is_not_gone_on_with_under_other_options(
    tmp_path: Path, sounds: Path, reference: Path, tokenize: TokenizeBatch, options: dict[str, object], problem: str
) -> None:
    out = shutil.copytree(reference, tmp_path / "out")
    other = TokenizeBatch(**{"tokenizer": tokenize.tokenizer, **options})  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match=problem):
        encode_here(sounds, out, other, items=5)
    assert tree(out) == tree(reference)


def test_a_job_is_not_gone_on_with_for_other_inputs(
    tmp_path: Path, sounds: Path, reference: Path, tokenize: TokenizeBatch
) -> None:
    out = shutil.copytree(reference, tmp_path / "out")
    with pytest.raises(CorpusError, match="was begun with other shards"):
        encode_here(sounds, out, tokenize, items=6)
    more = shutil.copytree(sounds, tmp_path / "in")
    shutil.copy(more / "001.wav", more / "999.wav")
    with pytest.raises(CorpusError, match=r"was begun with other inputs \(40; these are 41\)"):
        encode_here(more, out, tokenize, items=5)
    with pytest.raises(CorpusError, match="--format megatron: needs a layout"):
        from tokaudio.corpus.shards import corpus_format

        corpus_format("megatron")
    assert tree(out) == tree(reference)


def test_inputs_may_have_moved(tmp_path: Path, sounds: Path, reference: Path, tokenize: TokenizeBatch) -> None:
    moved = shutil.copytree(sounds, tmp_path / "moved")
    out = shutil.copytree(reference, tmp_path / "out")
    (out / "_SUCCESS").unlink()
    journal = (out / ".tokaudio/journal.jsonl").read_bytes().splitlines(keepends=True)
    (out / ".tokaudio/journal.jsonl").write_bytes(b"".join(journal[:-2]))
    encode_here(moved, out, tokenize, items=5)
    assert tree(out) == tree(reference)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, sounds: Path, tokenize: TokenizeBatch) -> None:
    (tmp_path / "thesis.tex").write_text("all there is")
    with pytest.raises(CorpusError, match="holds other files; name a new folder"):
        encode_here(sounds, tmp_path, tokenize)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        encode_here(sounds, tmp_path / "file", tokenize)


def test_steps_come_in_the_order_that_a_power_cut_needs(tmp_path: Path, sounds: Path, tokenize: TokenizeBatch) -> None:
    told: list[str] = []
    with Job.prepare(sounds, tmp_path / "out", sharding=Sharding(items=20), step=told.append) as job:
        Worker(job, EncodeOptions(tokenize)).run()
    shard = ["begun", "written", "flushed", "renamed", "synced", "journalled"]
    assert told[:-6] == ["listed", "begun with", *shard, *shard]
    assert told[-6] == "compacted" and told[-1] == "put _SUCCESS"


def test_a_device_that_is_short_of_memory_costs_no_job(
    tmp_path: Path, sounds: Path, tokenize: TokenizeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: TokenizeBatch, clips: list[object]) -> list[Exception]:
        return [MemoryError() for _ in clips] if len(clips) > 1 else real(self, clips)  # type: ignore[arg-type]

    real = TokenizeBatch.tokens
    monkeypatch.setattr(TokenizeBatch, "tokens", full)
    summary = encode_here(sounds, tmp_path / "out", tokenize, items=20)
    lines = [json.loads(line) for line in (tmp_path / "out/.tokaudio/failed.jsonl").read_text().splitlines()]
    assert summary.failed == len(lines) == 40
    assert all(line["environment"] and "not enough memory" in line["reason"] for line in lines)
