"""Hostile names in manifests, keys of shards and lists of files: nothing is written elsewhere, nothing hangs."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.corpus.support import encode_here
from tests.hub_server import Hub
from tests.safety.hostile_names import NAMES, REMOTE
from tests.storage.random_rows import example
from tests.storage.test_megatron import laid_out
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.errors import TokaudioError
from tokaudio.hub import fetch_folder
from tokaudio.storage.formats import FORMAT_NAMES, shard_format

SPECIAL = ["/dev/zero", "fifo.wav", "loop.wav", "folder.wav", "dangling.wav", "socket.wav"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with special files and one sound."""
    folder = tmp_path / "source"
    folder.mkdir()
    os.mkfifo(folder / "fifo.wav")
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "dangling.wav").symlink_to("nowhere.wav")
    (folder / "folder.wav").mkdir()
    os.mknod(folder / "socket.wav", 0o140644)
    soundfile.write(folder / "good.wav", np.zeros(2_000), 16_000)
    return folder


def test_there_are_forty_names() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 40


def test_hostile_paths_in_a_manifest_fail_alone(
    tmp_path: Path, source: Path, tokenize: TokenizeBatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = [{"path": name, "key": f"key {number}"} for number, name in enumerate([*SPECIAL, *NAMES])]
    rows += [{"path": "good.wav", "key": name} for name in NAMES]
    (source / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    before = tree_of_names(tmp_path)
    summary = encode_here(source / "all.jsonl", tmp_path / "out", tokenize)
    assert (summary.ok, summary.failed) == (len(NAMES), len(SPECIAL) + len(NAMES))
    failed = [json.loads(line) for line in (tmp_path / "out/.tokaudio/failed.jsonl").read_text().splitlines()]
    assert all(line["reason"].isprintable() and "; " in line["reason"] for line in failed)
    remote = [
        line["reason"] for line in failed if line["key"] in {f"key {len(SPECIAL) + NAMES.index(n)}" for n in REMOTE}
    ]
    assert sum("URLs and pipes are not read" in reason for reason in remote) == 3
    form = shard_format("parquet")
    kept = {row.key for shard in form.shards(tmp_path / "out") for row in form.read_shard(shard)}
    assert kept == {row["key"] for row in rows[-len(NAMES) :]}
    assert {name for name in tree_of_names(tmp_path) - before if not name.startswith("out")} == set()
    assert capfd.readouterr().err == ""


def tree_of_names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_hostile_keys_stay_within_their_shard(tmp_path: Path, name: str) -> None:
    info, (row, *_) = laid_out("flatten") if name == "megatron" else example()
    form, inside = shard_format(name), tmp_path / "inside"
    inside.mkdir()
    rows = [dataclasses.replace(row, key=key) for key in NAMES]
    form.write_shard(inside / f"part{form.suffix}", rows, info)
    assert [found.key for found in form.read_shard(inside / f"part{form.suffix}")] == NAMES
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert [path.name for path in inside.iterdir()] == [f"part{form.suffix}"]
    assert not (inside / f"part{form.suffix}").is_dir() or all(
        p.is_file() for p in (inside / f"part{form.suffix}").iterdir()
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name.isprintable()])
def test_hostile_lists_of_files_write_nothing_outside_the_cache(
    hub: Hub, cache: Path, tmp_path: Path, name: str
) -> None:
    hub.add("some/one", {"config.json": b"{}", name: b"evil"})
    before = {path for path in tmp_path.rglob("*") if cache not in path.parents}
    try:
        folder = fetch_folder("some/one", files=lambda names: list(names))
    except TokaudioError as error:
        assert str(error).isprintable()
    else:
        assert (folder / "config.json").read_bytes() == b"{}"
    outside = {path for path in tmp_path.rglob("*") if cache not in path.parents} - before - {cache}
    assert not outside
    within = [path for path in cache.rglob("*") if path.is_file()]
    assert all(cache.resolve() in path.resolve().parents for path in within)
    assert not Path("/tmp/evil").exists() and not Path("/evil").exists() and not Path("evil").exists()
