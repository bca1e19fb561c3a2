"""Outputs that cannot be written: one line, the documented exit code, and nothing left behind."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile

from tests.cli.support import Cli, names, voice, without_root_powers

COMMANDS = [("encode", "in.wav", ".npz"), ("decode", "in.npz", ".wav"), ("roundtrip", "in.wav", ".flac")]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("command", "source", "suffix"), COMMANDS)
class TestSingleOutput:
    """Each command that writes a file, with outputs that cannot be."""

    def refused(self, cli: Cli, place: Path, command: str, source: str, output: str, code: int, problem: str) -> None:
        """Run, and check that the output is named and that nothing has changed."""
        before = {name: (place / name).lstat().st_mtime_ns for name in names(place)}
        done = cli(command, source, output)
        (line,) = done.failures
        assert (done.code, done.out) == (code, "")
        assert line.startswith(f"tokaudio: {output}: ")
        assert problem in line
        assert "; " in line
        assert {name: (place / name).lstat().st_mtime_ns for name in names(place)} == before

    def test_directory_missing(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        self.refused(cli, place, command, source, f"no/such/out{suffix}", 2, "directory does not exist")

    def test_exists(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        Path(f"out{suffix}").write_text("precious")
        self.refused(cli, place, command, source, f"out{suffix}", 2, "exists already")
        assert Path(f"out{suffix}").read_text() == "precious"
        assert cli(command, "-f", source, f"out{suffix}").code == 0
        assert Path(f"out{suffix}").stat().st_size > 100
        assert stat.S_IMODE(Path(f"out{suffix}").stat().st_mode) & 0o600 == 0o600

    def test_dangling_link_exists_too(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        Path(f"out{suffix}").symlink_to("nowhere")
        self.refused(cli, place, command, source, f"out{suffix}", 2, "exists already")

    def test_is_a_directory(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        Path(f"out{suffix}").mkdir()
        self.refused(cli, place, command, source, f"out{suffix}", 2, "is a directory")
        done = cli(command, "-f", source, f"out{suffix}")
        assert (done.code, len(done.failures)) == (2, 1)

    def test_is_a_device(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        Path(f"out{suffix}").symlink_to("/dev/full")
        done = cli(command, "-f", source, f"out{suffix}")
        assert done.code == 2
        assert "not a regular file" in done.failures[0]
        assert Path(f"out{suffix}").is_symlink()

    def test_part_of_the_path_is_a_file(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        self.refused(cli, place, command, source, f"in.wav/out{suffix}", 2, "directory does not exist")

    def test_unknown_suffix(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        self.refused(cli, place, command, source, "out.txt", 2, "suffix")

    def test_name_too_long(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        self.refused(cli, place, command, source, "x" * 300 + suffix, 2, "too long")

    def test_read_only_directory(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        Path("ro").mkdir()
        Path("ro").chmod(0o555)
        with without_root_powers():
            self.refused(cli, place, command, source, f"ro/out{suffix}", 3, "permission")

    def test_read_only_file_system(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        done = cli(command, source, f"/proc/self/out{suffix}")
        assert done.code in (2, 3)  # the kernel says that there is no such file
        assert done.failures[0].startswith(f"tokaudio: /proc/self/out{suffix}: ")

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
    def test_disk_full_at_the_end(
        self,
        cli: Cli,
        place: Path,
        monkeypatch: pytest.MonkeyPatch,
        number: int,
        command: str,
        source: str,
        suffix: str,
    ) -> None:
        def full(descriptor: int) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            self.refused(cli, place, command, source, f"out{suffix}", 3, "; ")

    def test_disk_full_while_writing(self, cli: Cli, place: Path, command: str, source: str, suffix: str) -> None:
        with largest_file(400):
            self.refused(cli, place, command, source, f"out{suffix}", 3, "; ")

    def test_the_input_is_never_overwritten(
        self, cli: Cli, place: Path, command: str, source: str, suffix: str
    ) -> None:
        Path(f"link{suffix}").symlink_to(place / source)
        before = Path(source).read_bytes()
        done = cli(command, "-f", source, f"link{suffix}")
        assert done.code == 2
        assert "is an input too" in done.failures[0]
        assert Path(source).read_bytes() == before


def test_full_disk_ends_a_batch(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("src/deep").mkdir(parents=True)
    for index in range(4):
        shutil.copy("in.wav", f"src/deep/{index}.wav")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        done = cli("encode", "src", "-o", "out")
    assert done.code == 3
    assert len(done.failures) < 4
    assert "not tried: " in done.out
    assert not Path("out").exists()


def test_existing_outputs_of_a_batch_are_kept_and_the_rest_is_done(cli: Cli, place: Path) -> None:
    Path("src").mkdir()
    Path("out").mkdir()
    for index in range(3):
        soundfile.write(f"src/{index}.wav", voice(0.2, 16_000), 16_000)
    Path("out/1.npz").write_text("precious")
    done = cli("encode", "src", "-o", "out")
    assert done.code == 1
    assert done.failures == ["tokaudio: out/1.npz: exists already; choose another name, or overwrite it with -f"]
    assert Path("out/1.npz").read_text() == "precious"
    assert names(Path("out")) == ["0.npz", "1.npz", "2.npz"]
    assert cli("encode", "-f", "src", "-o", "out").code == 0
    assert Path("out/1.npz").stat().st_size > 100


def test_a_folder_that_cannot_be_listed_is_reported(cli: Cli, place: Path) -> None:
    Path("src/locked").mkdir(parents=True)
    shutil.copy("in.wav", "src/a.wav")
    Path("src/locked").chmod(0)
    with without_root_powers():
        done = cli("encode", "src", "-o", "out")
    assert done.code == 1
    assert done.failures[0].startswith("tokaudio: src/locked: cannot be listed")
    assert names(Path("out")) == ["a.npz"]


def test_batch_into_a_read_only_folder(cli: Cli, place: Path) -> None:
    Path("src").mkdir()
    Path("ro").mkdir()
    shutil.copy("in.wav", "src/a.wav")
    Path("ro").chmod(0o555)
    with without_root_powers():
        done = cli("encode", "src", "-o", "ro/new")
    assert done.code == 1
    assert "permission" in done.failures[0]
    assert names(Path("ro")) == []
