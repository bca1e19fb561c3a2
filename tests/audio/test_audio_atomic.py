"""Output files appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tokaudio.audio.atomic import AtomicFile, output_error
from tokaudio.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_success_leaves_only_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with AtomicFile(path) as output:
        assert output.temporary.name.startswith(f".a.bin.tmp-{os.getpid()}-")
        assert output.temporary.parent == tmp_path
        output.temporary.write_bytes(b"whole")
        assert not path.exists()
    assert names(tmp_path) == ["a.bin"]
    assert path.read_bytes() == b"whole"


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), AtomicFile(path, overwrite=True) as output:
        output.temporary.write_bytes(b"new")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["a.bin"]
    assert path.read_bytes() == b"old"


def test_existing_files_and_missing_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"a\.bin: exists already; choose another name, or overwrite \(-f\)"):
        AtomicFile(path)
    with pytest.raises(OutputError, match="is a directory"):
        AtomicFile(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="directory does not exist; create it"):
        AtomicFile(tmp_path / "no" / "a.bin")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(OutputError, match="exists already"):
        AtomicFile(tmp_path / "dangling")
    monkeypatch.chdir(tmp_path)
    with AtomicFile("plain.bin") as output:
        output.temporary.write_bytes(b"x")
    assert (tmp_path / "plain.bin").exists()


def test_a_name_taken_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with pytest.raises(OutputError, match="exists already"), AtomicFile(path):
        path.write_bytes(b"theirs")
    assert names(tmp_path) == ["a.bin"]
    assert path.read_bytes() == b"theirs"


def test_long_and_odd_names(tmp_path: Path) -> None:
    for name in ("a" * 251 + ".wav", os.fsdecode(b"\xff.wav"), "é" * 120 + ".wav"):
        with AtomicFile(tmp_path / name) as output:
            output.temporary.write_bytes(b"x")
        assert (tmp_path / name).exists()
    assert len(names(tmp_path)) == 3
    with pytest.raises(OutputError, match="file name is too long"):
        AtomicFile(tmp_path / ("a" * 300), overwrite=True)
    with pytest.raises(OutputError, match="null"):
        AtomicFile("a\0b", overwrite=True).__enter__()


def test_the_file_is_flushed_before_it_is_renamed_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, events = tmp_path / "a.bin", []
    monkeypatch.setattr(os, "fsync", lambda fd: events.append((Path(f"/dev/fd/{fd}").is_dir(), path.exists())))
    with AtomicFile(path):
        pass
    assert events == [(False, False), (True, True)]


def test_a_full_disk_at_the_last_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"a\.bin: the disk is full; free some space"), AtomicFile(tmp_path / "a.bin"):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "read-only; write elsewhere"),
        (errno.EACCES, "no permission"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EFBIG, "larger than allowed; raise the limit"),
        (errno.EIO, r"cannot be written \(Input/output error\)"),
    ],
)
def test_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OutputError, match=words) as caught, AtomicFile(tmp_path / "a.bin"):
        pass
    assert caught.value.errno == number
    assert output_error("a", OSError("odd")).errno is None
