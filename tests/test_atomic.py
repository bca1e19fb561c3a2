"""Files appear whole or not at all, nothing is overwritten by accident, and errors are one line."""

from __future__ import annotations

import errno
import os
import resource
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from tokaudio.atomic import AtomicFile, AtomicFolder, atomic_stream, atomic_write, output_error
from tokaudio.errors import OutputError
from tokaudio.tokenizers import Tokenizer
from tokaudio.tokenizers.self_check import write_self_check
from tokaudio.training.loop import Loop, Schedule
from tokaudio.training.pool import write_pool


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def by_name(path: str | os.PathLike[str], content: bytes = b"new", *, overwrite: bool = False) -> None:
    with AtomicFile(path, overwrite=overwrite) as output:
        output.temporary.write_bytes(content)


def by_stream(path: str | os.PathLike[str], content: bytes = b"new", *, overwrite: bool = False) -> None:
    atomic_write(path, content, overwrite=overwrite)


# What holds for both, the path and the stream, is tested with each.
WRITERS = [pytest.param(by_name, id="path"), pytest.param(by_stream, id="stream")]
Write = Callable[..., None]
each = pytest.mark.parametrize("write", WRITERS)


def failing(number: int) -> Callable[..., int]:
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@contextmanager
def refused(folder: Path, number: int | None, words: str) -> Iterator[None]:
    """Expect one printable line that says so, the number of the cause, and no change in a folder."""
    before = names(folder)
    with pytest.raises(OutputError) as caught:
        yield
    message = str(caught.value)
    assert words in message and message.isprintable() and "; " in message
    assert caught.value.errno == number
    assert names(folder) == before


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_success_leaves_only_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with AtomicFile(path) as output:
        assert output.temporary.name.startswith(f".a.bin.tmp-{os.getpid()}-")
        assert output.temporary.parent == tmp_path
        output.temporary.write_bytes(b"whole")
        assert not path.exists()
    assert names(tmp_path) == ["a.bin"]
    assert path.read_bytes() == b"whole"
    assert path.stat().st_nlink == 1


def test_a_stream_reads_seeks_and_may_be_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with atomic_stream(path) as stream:
        stream.write(b"0123456789" * 5_000)
        stream.seek(3)
        stream.write(b"x")
        stream.seek(2)
        assert stream.read(3) == b"2x4"
        assert [name.startswith(".a.bin.tmp-") for name in names(tmp_path)] == [True]
        stream.close()
    assert names(tmp_path) == ["a.bin"]
    assert path.read_bytes() == b"012x456789" + b"0123456789" * 4_999
    assert stream.closed


@each
def test_existing_files_need_overwrite(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "a.bin"
    write(path, b"old")
    with refused(tmp_path, errno.EEXIST, "a.bin: exists already; choose another name, or allow overwriting (-f)"):
        write(path)
    assert path.read_bytes() == b"old"
    write(path, overwrite=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("number", [None, errno.EOPNOTSUPP, errno.EPERM])
def test_a_name_taken_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None) -> None:
    if number:
        monkeypatch.setattr(os, "link", failing(number))
    path = tmp_path / "a.bin"
    with pytest.raises(OutputError, match="exists already"), AtomicFile(path):
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a.bin"]


def test_a_name_taken_at_the_last_moment_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, link = tmp_path / "a.bin", os.link

    def late(source: Path, target: Path) -> None:
        path.write_bytes(b"theirs")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(OutputError, match="exists already"):
        atomic_write(path, b"ours")
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a.bin"]


def test_without_hard_links_files_are_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EOPNOTSUPP))
    atomic_write(tmp_path / "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_other_errors_of_linking_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.ENOSPC))
    with refused(tmp_path, errno.ENOSPC, "the disk is full"):
        atomic_write(tmp_path / "a.bin", b"new")


@pytest.mark.parametrize("opened", [AtomicFile, atomic_stream])
@pytest.mark.parametrize("error", [ValueError("broken"), FileNotFoundError(errno.ENOENT, "x"), KeyboardInterrupt()])
def test_errors_in_the_block_pass_and_leave_the_old_file(tmp_path: Path, opened: Write, error: BaseException) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error)) as caught, opened(path, overwrite=True):
        raise error
    assert caught.value is error
    assert names(tmp_path) == ["a.bin"]
    assert path.read_bytes() == b"old"


@each
def test_impossible_places_are_refused(tmp_path: Path, write: Write) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    link = "the link points to a file that does not exist; mend or remove the link"
    cases = [
        ("none/a.bin", errno.ENOENT, "its directory does not exist; create it"),
        ("file/a.bin", errno.ENOTDIR, "a part of its path is not a directory"),
        ("folder", errno.EISDIR, "is a directory; name a file in it"),
        ("fifo", errno.EEXIST, "is not a regular file"),
        ("link", errno.EEXIST, link),
        ("x" * 300, errno.ENAMETOOLONG, "the name is too long"),
        ("a\0b", errno.EINVAL, "the name holds a null character"),
    ]
    for name, number, words in cases:
        for overwrite in (False, True):
            with refused(tmp_path, number, f"{name}: {words}".replace("\0", "\\x00")):
                write(f"{tmp_path}/{name}", overwrite=overwrite)
    with refused(tmp_path, errno.EEXIST, "not a regular file"):
        write("/dev/full", overwrite=True)
    with refused(tmp_path, errno.ENOENT, "cannot be written (No such file or directory); write elsewhere"):
        write("/proc/self/a.bin")


@each
def test_relative_paths_stay_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    monkeypatch.chdir(tmp_path)
    with refused(tmp_path, errno.ENOENT, "no/a.bin: its"):
        write("no/a.bin")
    write("a.bin")
    (tmp_path / "b").mkdir()
    with AtomicFile("c.bin"):
        monkeypatch.chdir(tmp_path / "b")
    assert names(tmp_path) == ["a.bin", "b", "c.bin"]


def test_read_only_files_are_not_replaced_but_links_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    (tmp_path / "link").symlink_to("a.bin")
    atomic_write(tmp_path / "link", b"new", overwrite=True)
    assert not (tmp_path / "link").is_symlink()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with refused(tmp_path, errno.EACCES, "is read-only; choose another name"):
        atomic_write(path, b"new", overwrite=True)
    assert path.read_bytes() == b"old"


@each
def test_longest_and_odd_names_can_be_written(tmp_path: Path, write: Write) -> None:
    given = ["x" * 255, "é" * 127, "a" * 251 + ".wav", os.fsdecode(b"\xff.wav"), " ", "a\nb", "..."]
    for name in given:
        write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"new"
    assert names(tmp_path) == sorted(given)
    with AtomicFile(tmp_path / ("é" * 120)) as output:
        assert output.temporary.name.startswith("." + "é" * 90 + ".tmp-")


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a.bin", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("overwrite", [False, True])
@each
def test_the_file_is_flushed_before_it_is_put_in_place_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write, overwrite: bool
) -> None:
    path, events = tmp_path / "a.bin", []

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        events.append((Path(f"/dev/fd/{descriptor}").is_dir() or status.st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write(path, overwrite=overwrite)
    assert events == [(3, False), (True, True)]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_folders_that_cannot_be_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fsync(descriptor: int) -> None:
        if Path(f"/dev/fd/{descriptor}").is_dir():
            failing(number)()

    monkeypatch.setattr(os, "fsync", fsync)
    if number == errno.EIO:
        with pytest.raises(OutputError, match="cannot be written"):
            atomic_write(tmp_path / "a.bin", b"new")
    else:
        atomic_write(tmp_path / "a.bin", b"new")
    assert names(tmp_path) == ["a.bin"]


REASONS = {
    errno.EROFS: "the file system is read-only; write elsewhere",
    errno.EACCES: "no permission to write there; write elsewhere, or run chmod u+w",
    errno.EPERM: "no permission to write there; write elsewhere, or run chmod u+w",
    errno.ENOSPC: "the disk is full; free some space or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
    errno.EFBIG: "the file is larger than allowed; raise the limit",
    errno.EIO: "cannot be written (Input/output error); write elsewhere",
}


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize(("number", "words"), REASONS.items())
@each
def test_whatever_fails_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write, number: int, words: str, step: str
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, failing(number))
    with refused(tmp_path, number, f"a.bin: {words}"):
        write(path, overwrite=True)
    assert path.read_bytes() == b"old"


def test_errors_without_a_number_or_words() -> None:
    assert output_error("a", OSError("odd")).errno is None
    assert str(output_error("a", OSError("odd"))) == "a: cannot be written (odd); write elsewhere"
    assert isinstance(output_error("a", PermissionError(errno.EACCES, "")), OSError)


def test_a_device_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: real_open("/dev/full", os.O_RDWR))
    with refused(tmp_path, errno.ENOSPC, "the disk is full"):
        atomic_write(tmp_path / "a.bin", b"new")


def use_zip(stream: zipfile.IO[bytes]) -> None:
    with zipfile.ZipFile(stream, "w") as container, container.open("a", "w") as member:
        member.write(bytes(100_000))


def save_much(stream: zipfile.IO[bytes]) -> None:
    torch.save({"a": torch.zeros(100_000)}, stream)


def go_on(stream: zipfile.IO[bytes]) -> None:
    with pytest.raises(OutputError):
        stream.write(bytes(100_000))


@pytest.mark.parametrize("use", [use_zip, save_much, go_on, lambda stream: stream.write(bytes(20_005))])
def test_a_disk_that_takes_no_more(tmp_path: Path, use: Callable[..., object]) -> None:
    """Also where a library says so in words of its own, or not at all."""
    with (
        largest_file(20_000),
        refused(tmp_path, errno.EFBIG, "a.bin: the file is larger than allowed"),
        atomic_stream(tmp_path / "a.bin") as stream,
    ):
        use(stream)


def test_what_is_given_up_is_not_flushed(tmp_path: Path) -> None:
    with largest_file(0), pytest.raises(KeyboardInterrupt), atomic_stream(tmp_path / "a.bin") as stream:
        stream.write(b"in the buffer")
        raise KeyboardInterrupt
    assert names(tmp_path) == []
    assert stream.closed


def test_errors_of_closing_are_told(tmp_path: Path) -> None:
    with refused(tmp_path, errno.EBADF, "cannot be written"), atomic_stream(tmp_path / "a.bin") as stream:
        os.close(stream.fileno())


class Nothing:
    """A training that has no state."""

    def state(self) -> dict[str, torch.Tensor]:
        return {"weight": torch.ones(3)}


def save_checkpoint(folder: Path) -> None:
    Loop(folder, Nothing(), Schedule(1)).save()  # type: ignore[arg-type]


USERS = {
    "tokenizer": lambda folder: Tokenizer.from_pretrained("mini-codec").save_pretrained(folder),
    "self-check": lambda folder: write_self_check(Tokenizer.from_pretrained("mini-codec"), folder),
    "pool": lambda folder: write_pool(folder, [("a", "b", np.zeros(800, np.float32))], 16_000),
    "checkpoint": save_checkpoint,
}


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
def test_folders_are_written_file_by_file_and_can_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: Callable[[Path], object]
) -> None:
    for _ in range(2):
        user(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert before and not any(name.startswith(".") for name in before)
    with monkeypatch.context() as patch, refused(tmp_path, errno.ENOSPC, "the disk is full"):
        patch.setattr(os, "fsync", failing(errno.ENOSPC))
        user(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def write_folder(path: Path, content: str, *, overwrite: bool = False, steps: list[str] | None = None) -> None:
    with AtomicFolder(path, overwrite=overwrite, step=None if steps is None else steps.append) as output:
        output.temporary.mkdir()
        (output.temporary / "b.txt").write_text(content)
        assert not (path / "b.txt").exists() or (path / "b.txt").read_text() != content


def test_a_folder_appears_whole_and_replaces_another_only_where_it_may(tmp_path: Path) -> None:
    steps: list[str] = []
    write_folder(tmp_path / "a", "one", steps=steps)
    assert steps == ["written", "flushed", "renamed", "synced"]
    with refused(tmp_path, errno.EEXIST, "exists already"):
        write_folder(tmp_path / "a", "two")
    assert (tmp_path / "a/b.txt").read_text() == "one"
    (tmp_path / "a/old.txt").touch()
    write_folder(tmp_path / "a", "two", overwrite=True)
    assert names(tmp_path) == ["a"] and names(tmp_path / "a") == ["b.txt"]
    assert (tmp_path / "a/b.txt").read_text() == "two"


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), AtomicFolder(tmp_path / "a") as output:
        output.temporary.mkdir()
        raise KeyError
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with refused(tmp_path, errno.EEXIST, "is no folder"):
            write_folder(tmp_path / name, "one", overwrite=True)
    assert names(tmp_path) == ["file", "link"]


def test_a_folder_that_another_process_makes_meanwhile_is_kept(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"), AtomicFolder(tmp_path / "a") as output:
        output.temporary.mkdir()
        (tmp_path / "a").mkdir()
        (tmp_path / "a/theirs").touch()
    assert names(tmp_path) == ["a"] and names(tmp_path / "a") == ["theirs"]
