"""Audio that cannot be used: one line that names the file and the remedy, and nothing written."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.support import Cli, names, voice, without_root_powers
from tokaudio import Tokens


def float_wav(samples: list[float]) -> Callable[[Path], None]:
    """Return a maker of a float WAV file, which soundfile would write too, had it not its own opinion on NaN."""

    def make(path: Path) -> None:
        soundfile.write(path, np.array([0.0] * 5_000 + samples, dtype=np.float32), 16_000, subtype="FLOAT")

    return make


def header(path: Path, *, channels: int = 1, rate: int = 16_000, data: int = 0, declared: int | None = None) -> None:
    """Write a 16-bit WAV file with `data` bytes of silence after a header that declares `declared`."""
    block = 2 * channels
    layout = struct.pack("<HHIIHH", 1, channels, rate, min(rate * block, 2**32 - 1), block, 16)
    size = data if declared is None else declared
    chunks = b"fmt " + struct.pack("<I", 16) + layout + b"data" + struct.pack("<I", size)
    path.write_bytes(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVE" + chunks + bytes(data))


def truncated(path: Path) -> None:
    """Write the first half of a WAV file."""
    soundfile.write(path, voice(1.0, 16_000), 16_000)
    path.write_bytes(path.read_bytes()[:16_000])


def truncated_flac(path: Path) -> None:
    """Write the first half of a FLAC file, under a .wav name."""
    soundfile.write(path, voice(1.0, 16_000), 16_000, format="FLAC")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def unreadable(path: Path) -> None:
    """Write a good file that nobody may read."""
    soundfile.write(path, voice(0.1, 16_000), 16_000)
    path.chmod(0)


BAD = {
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "header only": (lambda path: header(path, declared=32_000), "truncated"),
    "zero samples": (header, "no samples"),
    "truncated": (truncated, "truncated"),
    "truncated flac": (truncated_flac, "truncated"),
    "nan": (float_wav([float("nan")]), "sample 5000 is nan"),
    "inf": (float_wav([float("-inf")]), "sample 5000 is -inf"),
    "1e30": (float_wav([1e30]), "peak is 1e+30"),
    "text": (lambda path: path.write_text("To be, or not to be\n" * 100), "not an audio file"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "link points to a file that does not exist"),
    "fifo": (lambda path: os.mkfifo(path), "is a pipe"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "circular": (lambda path: path.symlink_to(path.name), "round in a circle"),
    "64 channels": (lambda path: header(path, channels=64, data=12_800), "64 channels"),
    "1 Hz": (lambda path: header(path, rate=1, data=200), "1 Hz"),
    "2 GHz": (lambda path: header(path, rate=2_000_000_000, data=200), "2000000000 Hz"),
    "unreadable": (unreadable, "no permission"),
}


@pytest.mark.parametrize("kind", BAD)
def test_single_bad_file_is_refused(cli: Cli, place: Path, kind: str) -> None:
    make, problem = BAD[kind]
    make(place / "bad.wav")
    before = names(place)
    for command, output in (("encode", "out.npz"), ("roundtrip", "out.wav")):
        with without_root_powers():
            done = cli(command, "bad.wav", output)
        line = done.failure
        assert (done.code, done.out) == (2, ""), line
        assert line.startswith("tokaudio: bad.wav: ")
        assert problem in line
        assert "; " in line
        assert names(place) == before


def test_bad_files_in_a_folder_are_reported_and_the_good_one_is_done(cli: Cli, place: Path) -> None:
    Path("src/folder.wav").mkdir(parents=True)
    for index, (make, _) in enumerate(BAD.values()):
        make(Path("src", f"{index:02}.wav"))
    shutil.copy("in.wav", "src/good.wav")
    with without_root_powers():
        done = cli("encode", "src", "-o", "out", "-j", 2)
    assert done.code == 1
    assert sorted(line.split(": ")[1] for line in done.failures) == [
        *(f"src/{index:02}.wav" for index in range(len(BAD))),
        "src/folder.wav",
    ]
    assert "encoded 1 file, 0.0001417 h, 208 tokens, " in done.out
    assert f"{len(BAD) + 1} failures" in done.out
    assert names(Path("out")) == ["good.npz"]


def test_directory_where_a_file_is_meant(cli: Cli, place: Path) -> None:
    Path("d.wav").mkdir()
    done = cli("encode", "d.wav", "out.npz")
    assert done.code == 2
    assert done.failures == ["tokaudio: d.wav: is a directory; name a folder for the output: -o FOLDER"]


@pytest.mark.parametrize("command", ["encode", "decode", "roundtrip", "info"])
def test_missing_file(cli: Cli, place: Path, command: str) -> None:
    output = {"encode": ["out.npz"], "decode": ["out.wav"], "roundtrip": ["out.wav"], "info": []}[command]
    done = cli(command, "nope.wav", *output)
    assert done.code == 2
    assert done.failures == ["tokaudio: nope.wav: no such file; check the path"]
    done = cli("encode", "nope.wav", "in.wav", "-o", "out")
    assert (done.code, len(done.failures)) == (1, 1)


def test_truncated_file_can_be_accepted(cli: Cli, place: Path) -> None:
    truncated(place / "cut.wav")
    done = cli("encode", "--allow-truncated", "cut.wav", "out.npz")
    assert done.code == 0
    assert done.failures == ["tokaudio: cut.wav: is cut off; only what is there was encoded"]
    tokens = Tokens.load("out.npz")
    assert tokens.num_samples.tolist() == [(16_000 - 44) // 2]
    assert tokens.provenance["source_truncated"] == "yes"


def test_name_that_is_no_text_works(cli: Cli, place: Path) -> None:
    name = os.fsdecode(b"h\xe9 \n.wav")
    shutil.copy("in.wav", name)
    assert cli("encode", name, name + ".npz").code == 0
    assert cli("decode", name + ".npz", name + ".flac").code == 0
    assert soundfile.info(os.fsencode(name + ".flac")).frames == 8160
    for option in ([], ["--json"]):
        done = cli("info", name + ".npz", *option)
        assert done.code == 0
        assert "h\\udce9 \\n.wav.npz" in done.out
    (line,) = cli("encode", name, name + ".npz").failures
    assert line.startswith("tokaudio: h\\udce9 \\n.wav.npz: exists already")
    Path("src").mkdir()
    shutil.copy(name, Path("src", name))
    assert cli("encode", "src", "-o", "out").code == 0
    assert names(Path("out")) == [os.fsdecode(b"h\xe9 \n.npz")]


def test_debug_shows_the_traceback(cli: Cli, place: Path) -> None:
    Path("bad.wav").write_bytes(b"")
    done = cli("encode", "--debug", "bad.wav", "out.npz")
    assert done.code == 2
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("tokaudio: bad.wav: the file is empty")
    assert "Traceback" in cli("encode", "--debug", "in.wav", "in.npz").err
