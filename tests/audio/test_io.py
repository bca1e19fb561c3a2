"""Reading: every file is read to its end or refused in one line."""

from __future__ import annotations

import builtins
import os
import socket
import subprocess
import sys
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.audio.io import AudioInfo, AudioReader, audio_info, read_audio
from tokaudio.audio.opening import foreign_kind, open_regular
from tokaudio.errors import AudioError, MissingDependencyError

FORMATS = ["pcm.wav", "pcm.flac", "vorbis.ogg", "opus.opus", "layer3.mp3"]


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def refusal(path: str | os.PathLike[str]) -> str:
    """The one line with which a file is refused."""
    before = open_files()
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert open_files() == before
    line = str(caught.value)
    assert line.isprintable()
    assert line.count("; ") >= 1
    assert Path(os.fspath(path)).name.isprintable() is (Path(os.fspath(path)).name in line)
    return line


@pytest.mark.parametrize("name", FORMATS)
@given(block=st.integers(50, 40_000), start=st.integers(0, 30_001), frames=st.none() | st.integers(0, 30_001))
@settings(max_examples=12, deadline=None)
def test_blocks_and_ranges_are_slices_of_the_whole(
    seeds: Path, name: str, block: int, start: int, frames: int | None
) -> None:
    whole = read_audio(seeds / name)[0].numpy()
    with AudioReader(seeds / name) as reader:
        blocks = list(reader.blocks(block, start=start, frames=frames))
    expected = whole[:, start : None if frames is None else start + frames]
    assert all(b.dtype == np.float32 and b.flags.c_contiguous for b in blocks)
    assert all(b.shape == (2, block) for b in blocks[:-1])
    assert np.array_equal(np.concatenate([np.zeros((2, 0), np.float32), *blocks], axis=1), expected)


def test_samples_are_those_of_the_file(seeds: Path, signal: np.ndarray) -> None:
    samples, rate = read_audio(seeds / "float.wav")
    assert samples.dtype == torch.float32
    assert rate == 24000
    assert np.array_equal(samples.numpy().T, signal)
    part, _ = read_audio(seeds / "float.wav", start=30_000, frames=100)
    assert np.array_equal(part.numpy().T, signal[30_000:])


def test_info(seeds: Path) -> None:
    assert audio_info(seeds / "pcm.flac") == AudioInfo(24000, 2, 30_001, "FLAC", "PCM_16", False)
    assert AudioInfo(8000, 1, None, "FLAC", "PCM_16", False).duration is None


def test_two_calls_of_blocks_go_on(seeds: Path, signal: np.ndarray) -> None:
    with AudioReader(seeds / "float.wav") as reader:
        first = next(reader.blocks(100))
        second = next(reader.blocks(100, start=50))
    assert np.array_equal(np.concatenate([first, second], axis=1).T, np.concatenate([signal[:100], signal[150:250]]))
    reader.close()


def test_bad_ranges(seeds: Path) -> None:
    with AudioReader(seeds / "pcm.wav") as reader:
        for arguments in ({"block_frames": 0}, {"start": -1}, {"frames": -1}):
            with pytest.raises(AudioError, match="give a positive block"):
                list(reader.blocks(**arguments))
    with pytest.raises(AudioError, match=r"holds no samples in the range start=40000, frames=None"):
        read_audio(seeds / "pcm.wav", start=40_000)


def test_names_of_every_kind(seeds: Path, tmp_path: Path) -> None:
    names = [b"\xff\xfe.wav", "\N{PARTY POPPER} é.wav".encode(), b"a\nb\t'\".wav", b"-f.wav", b"a" * 251 + b".wav"]
    for raw in names:
        path = tmp_path / os.fsdecode(raw)
        path.write_bytes((seeds / "pcm.wav").read_bytes())
        assert read_audio(path)[0].shape == (2, 30_001)
        path.write_bytes(b"hello")
        assert "not an audio file" in refusal(path)


def test_special_files(tmp_path: Path) -> None:
    fifo, folder, link, loop = (tmp_path / f"{name}.wav" for name in ("fifo", "folder", "link", "loop"))
    os.mkfifo(fifo)
    folder.mkdir()
    link.symlink_to("nowhere.wav")
    loop.symlink_to(loop)
    assert "is a pipe; write the audio to a file" in refusal(fifo)
    assert "is a directory; name a file in it" in refusal(folder)
    assert "the link points to a file that does not exist" in refusal(link)
    assert "the links go round" in refusal(loop)
    assert "is a device" in refusal("/dev/zero")
    assert "no such file; check the path" in refusal(tmp_path / "none.wav")
    assert "cannot be opened" in refusal(tmp_path / ("a" * 300))
    assert "cannot be opened" in refusal("a\0b.wav")
    for name in ("https://example.org/a.wav", "pipe:cat a.wav", "s3://bucket/a.flac"):
        assert "URLs and pipes are not read" in refusal(name)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s"))
        assert "is a socket" in refusal(tmp_path / "s")


def test_a_file_that_becomes_a_pipe_is_not_waited_for(
    seeds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    os.mkfifo(path)
    regular = (seeds / "pcm.wav").stat()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: regular)
    with pytest.raises(AudioError, match="is a pipe"):
        open_regular(path)


def test_unreadable_and_failing_disks(seeds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    def fail(*_: object) -> str:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", deny)
        with pytest.raises(AudioError, match="no permission to read it; run chmod"):
            read_audio(seeds / "pcm.wav")
    monkeypatch.setattr("tokaudio.audio.opening.declared_shortfall", fail)
    assert "cannot be opened (Input/output error)" in refusal(seeds / "pcm.wav")


def test_files_that_are_not_audio(seeds: Path, tmp_path: Path) -> None:
    text = b"hello world, this is a text\n" * 100
    for suffix in ("wav", "mp3", "gsm", "vox", "au", "raw", "opus"):
        path = tmp_path / f"text.{suffix}"
        path.write_bytes(text)
        assert "not an audio file of a known format" in refusal(path)
    path.write_bytes(b"")
    assert "the file is empty" in refusal(path)
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    assert "not an audio file" in refusal(path)
    data = bytearray((seeds / "pcm.wav").read_bytes())
    data[20] = 200
    path.write_bytes(data)
    assert "damaged, or in an encoding that is not read" in refusal(path)


def write(path: Path, samples: np.ndarray, rate: int = 16000, subtype: str = "FLOAT") -> Path:
    soundfile.write(path, samples, rate, subtype)
    return path


def test_unusable_samples(tmp_path: Path) -> None:
    samples = np.zeros(100_000, dtype=np.float32)
    for value, word in ((np.nan, "is nan"), (np.inf, "is inf"), (-np.inf, "is -inf"), (1e30, "divide by 32768")):
        samples[90_000] = value
        line = refusal(write(tmp_path / "bad.wav", samples))
        assert word in line
        assert "sample 90000 " in line or value == 1e30


def test_rates_and_channels(tmp_path: Path) -> None:
    for rate in (1, 999, 768_001):
        path = tmp_path / "rate.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(bytes(200))
        assert f"the sample rate of {rate} Hz is outside 1000 to 768000 Hz" in refusal(path)
    assert "64 channels, but 1 to 32" in refusal(write(tmp_path / "c.wav", np.zeros((10, 64))))
    assert read_audio(write(tmp_path / "d.wav", np.zeros((10, 32)), 384_000))[0].shape == (32, 10)


def test_shortest_files(tmp_path: Path) -> None:
    assert read_audio(write(tmp_path / "one.wav", np.ones(1)))[0].tolist() == [[1.0]]
    assert "holds no samples; record or export it again" in refusal(write(tmp_path / "zero.wav", np.zeros(0)))
    assert "holds no samples" in refusal(write(tmp_path / "zero.aiff", np.zeros(0)))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_encodings(tmp_path: Path, subtype: str) -> None:
    samples = np.linspace(-0.9, 0.9, 500)
    read = read_audio(write(tmp_path / "a.wav", samples, subtype=subtype))[0][0].numpy()
    assert np.abs(read - samples).max() < (0.03 if subtype in ("PCM_U8", "ULAW", "ALAW") else 1e-6)


def test_foreign_formats_name_torchcodec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name.startswith("torchcodec"):
            raise OSError("libtorchcodec.so: cannot open shared object file")
        return plain(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x10ftypM4A \0\0\0\0" + b"\0\0\0\x10moov" + bytes(8))
    with pytest.raises(MissingDependencyError, match=r"a\.m4a: M4A needs torchcodec.*pip install torchcodec"):
        read_audio(path)


class FakeDecoder:
    """Stands in for torchcodec's, with a second of stereo at 8 kHz."""

    metadata = SimpleNamespace(codec="aac")

    def __init__(self, file: BinaryIO) -> None:
        self.head = file.read(8)

    def get_all_samples(self) -> SimpleNamespace:
        if self.head[4:] != b"ftyp":
            raise RuntimeError("decodeAVFrame, /a/b.cpp:1436, Invalid data found")
        data = torch.arange(16_000, dtype=torch.float32).reshape(2, 8000) / 16_000
        return SimpleNamespace(data=data, sample_rate=8000)


def test_foreign_formats_are_read_through_torchcodec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", SimpleNamespace(AudioDecoder=FakeDecoder))
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x10ftypM4A \0\0\0\0" + b"\0\0\0\x10moov" + bytes(8))
    assert audio_info(path) == AudioInfo(8000, 2, 8000, "M4A", "AAC", False)
    samples, rate = read_audio(path, start=10, frames=20)
    assert rate == 8000
    assert samples.equal(torch.arange(16_000).reshape(2, 8000)[:, 10:30] / 16_000)
    assert read_audio(path)[0].shape == (2, 8000)
    path.write_bytes(b"\xff\xf1\x50\x80" + bytes(100))
    assert "AAC that FFmpeg cannot decode (Invalid data found)" in refusal(path)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x20ftypisom", "MP4"),
        (b"\xff\xf1\x50\x80", "AAC"),
        (b"\x1a\x45\xdf\xa3\x01", "WebM"),
        (b"wvpk", "WavPack"),
        (b"OggS" + bytes(24) + b"Speex   ", "OGG of this codec"),
        (b"OggS" + bytes(24) + b"\x01vorbis", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"hello", None),
    ],
)
def test_foreign_kinds(head: bytes, kind: str | None) -> None:
    assert foreign_kind(head) == kind


def test_decoders_stay_silent(seeds: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray((seeds / "layer3.mp3").read_bytes())
    for at in range(2000, len(data), 997):
        data[at : at + 40] = bytes(40)
    path = tmp_path / "damaged.mp3"
    path.write_bytes(data)
    soundfile.SoundFile(path).read()
    assert "Note" in capfd.readouterr().err, "libmpg123 is quiet now: quiet_stderr can go"
    with AudioReader(path, allow_truncated=True) as reader:
        list(reader.blocks())
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_mutants_are_read_or_refused(seeds: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    path = tmp_path / "mutant"
    files = [file.read_bytes() for file in sorted(seeds.iterdir())]
    before = open_files()
    for turn in range(400):
        data = bytearray(files[turn % len(files)])
        for _ in range(random.integers(1, 6)):
            data[random.integers(200 if turn % 2 else len(data))] = random.integers(256)
        if turn % 5 == 0:
            at, to = random.integers(len(data), size=2)
            data = data[:at] + data[to:]
        path.write_bytes(data)
        try:
            assert torch.isfinite(read_audio(path, allow_truncated=bool(turn % 3))[0]).all()
        except (AudioError, MissingDependencyError) as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    assert open_files() == before


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    path = tmp_path / "long.w64"
    with soundfile.SoundFile(path, "w", 48000, 2, "PCM_16", format="W64") as file:
        for _ in range(60):
            file.write(np.zeros((480_000, 2), dtype=np.int16))
    code = (
        "import sys, resource; from tokaudio.audio.io import AudioReader\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with AudioReader(sys.argv[1]) as reader:\n"
        "    blocks = reader.blocks(); next(blocks); before = peak()\n"
        "    total = 65536 + sum(block.shape[1] for block in blocks)\n"
        "print(total, peak() - before)"
    )
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    total, growth = map(int, result.stdout.split())
    assert total == 60 * 480_000
    assert growth < 8_000, "KiB beyond the first block"
