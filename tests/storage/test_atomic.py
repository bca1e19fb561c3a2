"""Files appear whole or not at all, and nothing is overwritten by accident."""

import errno
import os

import pytest

from tokaudio.errors import OutputError
from tokaudio.storage import _atomic
from tokaudio.storage._atomic import atomic_file


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def write(path, content=b"new", **options):
    with atomic_file(path, **options) as stream:
        stream.write(content)


def refused(path, word, folder, **options):
    before = names(folder)
    with pytest.raises(OutputError) as caught:
        write(path, **options)
    message = str(caught.value)
    assert word in message and message.isprintable() and "; " in message
    assert names(folder) == before


def test_existing_files_need_overwrite(tmp_path):
    path = tmp_path / "a.bin"
    write(path, b"old")
    refused(path, "it exists", tmp_path)
    assert path.read_bytes() == b"old"
    write(path, overwrite=True)
    assert path.read_bytes() == b"new" and names(tmp_path) == ["a.bin"]


def test_file_created_meanwhile_is_kept(tmp_path):
    path = tmp_path / "a.bin"
    with pytest.raises(OutputError, match="it exists"), atomic_file(path) as stream:
        stream.write(b"new")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs" and names(tmp_path) == ["a.bin"]


def test_without_hard_links_files_are_renamed(tmp_path, monkeypatch):
    def link(*_):
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr(os, "link", link)
    write(tmp_path / "a.bin")
    assert names(tmp_path) == ["a.bin"]
    refused(tmp_path / "a.bin", "it exists", tmp_path)
    with pytest.raises(OutputError, match="it exists"), atomic_file(tmp_path / "b.bin"):
        (tmp_path / "b.bin").write_bytes(b"theirs")
    assert (tmp_path / "b.bin").read_bytes() == b"theirs"


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_errors_in_the_block_leave_nothing(tmp_path, error):
    with pytest.raises(type(error)), atomic_file(tmp_path / "a.bin") as stream:
        stream.write(b"half")
        assert [name.startswith(".a.bin.tmp-") for name in names(tmp_path)] == [True]
        raise error
    assert not names(tmp_path)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, monkeypatch, failing):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, failing, full)
    refused(path, "the disk is full", tmp_path, overwrite=True)
    assert path.read_bytes() == b"old"


def test_dev_full_is_not_replaced_and_a_full_device_is_reported(tmp_path, monkeypatch):
    refused("/dev/full", "not a regular file", tmp_path, overwrite=True)
    real_open = os.open
    monkeypatch.setattr(_atomic.os, "open", lambda path, *rest: real_open("/dev/full", os.O_WRONLY))
    with pytest.raises(OutputError, match="the disk is full"):
        write(tmp_path / "a.bin")


def test_impossible_places_are_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    refused(tmp_path / "none" / "a.bin", "folder does not exist", tmp_path)
    refused(tmp_path / "file" / "a.bin", "not a folder", tmp_path)
    refused(tmp_path / "folder", "it is a folder", tmp_path, overwrite=True)
    refused(tmp_path / "fifo", "not a regular file", tmp_path, overwrite=True)
    refused(tmp_path / "link", "dangling link", tmp_path)
    refused(tmp_path / ("x" * 300), "too long", tmp_path)
    refused(f"{tmp_path}/a\0b", "NUL", tmp_path)


@pytest.mark.parametrize(
    ("number", "word"), [(errno.EACCES, "no permission"), (errno.EROFS, "read-only"), (errno.EIO, "cannot be written")]
)
def test_refused_opens_are_one_line(tmp_path, monkeypatch, number, word):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_atomic.os, "open", refuse)
    refused(tmp_path / "a.bin", word, tmp_path)


def test_read_only_file_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "a.bin").write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    refused(tmp_path / "a.bin", "it is read-only", tmp_path, overwrite=True)


def test_longest_names_can_be_written(tmp_path):
    for name in ("x" * 255, "é" * 127):
        write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"new"


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.bin")
    finally:
        os.umask(before)
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o640
