"""Files and the digests that name them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hub_server import git_blob
from tokaudio import digests
from tokaudio.digests import check_file, is_digest, matches, sha256_of
from tokaudio.errors import CheckpointError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file.bin").write_bytes(b"weights" * 1000)
    return tmp_path / "file.bin"


@given(st.binary(max_size=100), st.integers(8, 64))
def test_every_name_of_the_content_fits_and_no_other(tmp_path_factory: pytest.TempPathFactory, content: bytes, n: int):
    path = tmp_path_factory.getbasetemp() / "drawn.bin"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    assert sha256_of(path) == sha256
    for name in (sha256[:n] if n != 40 else sha256, git_blob(content), hashlib.sha1(content).hexdigest()):
        assert matches(path, name)
        assert not matches(path, name[:-1] + ("0" if name[-1] != "0" else "1"))


def test_large_files_are_read_in_blocks(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "large").write_bytes(content)
    assert sha256_of(tmp_path / "large") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("text", ["", "abc", "0123456", "g" * 64, "A" * 64, "0" * 65, "main"])
def test_what_is_no_digest_is_refused(path: Path, text: str) -> None:
    assert not is_digest(text)
    with pytest.raises(ValueError, match="is no digest"):
        matches(path, text)


def test_one_of_several_digests_is_enough(path: Path) -> None:
    right = sha256_of(path)
    check_file(path, "0" * 64, right)
    check_file(path)
    with pytest.raises(CheckpointError, match=rf"^{path}: is damaged or half-downloaded \(7,000 bytes.*; rename it$"):
        check_file(path, "0" * 64, "1" * 64, remedy="rename it")


def test_a_right_file_is_remembered_until_it_or_the_question_changes(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps, right = tmp_path / "deep" / "stamps", sha256_of(path)
    read: list[str] = []
    monkeypatch.setattr(digests, "matches", lambda path, digest: read.append(digest) or matches(path, digest))
    for _ in range(3):
        check_file(path, right, stamps=stamps)
    assert len(read) == 1
    with pytest.raises(CheckpointError):
        check_file(path, "0" * 64, stamps=stamps)
    check_file(path, right, stamps=stamps)
    assert read[1:] == ["0" * 64], "a refusal leaves what was remembered"
    os.utime(path, (1, 1))
    check_file(path, right, stamps=stamps)
    assert len(read) == 3
    path.write_bytes(b"other")
    with pytest.raises(CheckpointError):
        check_file(path, right, stamps=stamps)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null"])
def test_a_damaged_stamp_counts_for_nothing(path: Path, tmp_path: Path, content: bytes) -> None:
    check_file(path, sha256_of(path), stamps=tmp_path)
    (tmp_path / "file.bin.json").write_bytes(content)
    with pytest.raises(CheckpointError):
        check_file(path, "0" * 64, stamps=tmp_path)
    check_file(path, sha256_of(path), stamps=tmp_path)


def test_where_nothing_can_be_written_files_are_checked_all_the_same(path: Path) -> None:
    check_file(path, sha256_of(path), stamps=path / "in-a-file")
    with pytest.raises(CheckpointError):
        check_file(path, "0" * 64, stamps=path / "in-a-file")
