"""Disks that are full or read-only: one line, nothing lost, and before a model is loaded where it can be known."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.corpus.disks import read_only_disk, small_disk
from tests.corpus.support import encode_here, tree
from tokaudio.cli.failures import ENVIRONMENT, exit_code
from tokaudio.corpus.shards import remove_temporaries
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.errors import OutputError


def test_a_disk_that_fills_up_loses_nothing(
    tmp_path: Path, sounds: Path, reference: Path, tokenize: TokenizeBatch
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk) as number:
        # Room for the plan and a few shards.
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(4 * 2**20 - 17 * 4_096) if number == 28 else b"")
        with pytest.raises(OutputError) as caught:
            encode_here(sounds, disk / "out", tokenize, items=5 if number == 28 else 40)
        assert exit_code(caught.value) == ENVIRONMENT
        assert str(caught.value).count("\n") == 0 and ".tmp-" not in str(caught.value)
        assert number != 28 or re.search(r"; free about 0\.\d MB, or write elsewhere$", str(caught.value))
        assert ("the disk is full" if number == 28 else "larger than allowed") in str(caught.value)
        whole = tree(reference)
        for path in (disk / "out").glob("part-*"):
            assert path.read_bytes() == whole[path.name]
        assert not list((disk / "out").glob(".*tmp-*"))
        ballast.unlink()
        if number == 28:
            encode_here(sounds, disk / "out", tokenize, items=5)
            assert tree(disk / "out") == whole


def test_a_disk_that_cannot_be_written_is_found_before_the_model_is_loaded(
    tmp_path: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(self: TokenizeBatch) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(TokenizeBatch, "load", load)
    with read_only_disk(tmp_path / "disk"), pytest.raises(OutputError) as caught:
        encode_here(sounds, tmp_path / "disk/out", TokenizeBatch())
    assert exit_code(caught.value) == ENVIRONMENT
    assert str(caught.value).startswith(f"{tmp_path}/disk/out")
    if shutil.which("mount"):
        with small_disk(tmp_path / "full") as number:
            (tmp_path / "full/ballast").write_bytes(bytes(4 * 2**20 - 8_192) if number == 28 else b"")
            with pytest.raises((OutputError, AssertionError), match=r"full|larger|loaded") as found:
                encode_here(sounds, tmp_path / "full/out", TokenizeBatch())
            assert number != 28 or exit_code(found.value) == ENVIRONMENT


def test_only_files_of_the_dead_are_removed(tmp_path: Path) -> None:
    for name in (".part-00001.parquet.tmp-7-a", ".part-00002.parquet.tmp-77-b", "part-00001.parquet", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / ".part-00003.npz-shard.tmp-7-c").mkdir()
    remove_temporaries(tmp_path, process="7")
    assert set(tree(tmp_path)) == {".part-00002.parquet.tmp-77-b", "part-00001.parquet", ".hidden"}
    remove_temporaries(tmp_path, name="part-00002.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "part-00001.parquet"]
