"""Writing: rounded, clipped, whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.audio.io import audio_info, read_audio
from tokaudio.audio.writer import AudioWriter, write_audio
from tokaudio.errors import AudioError, OutputError, UnknownNameError

SUFFIXES = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "AIF": ("AIFF", "PCM_16"),
    "w64": ("W64", "PCM_16"),
}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    tone = (0.5 * np.sin(np.arange(40_000) * 0.1)).astype(np.float32)
    with AudioWriter(path, 16000, 2) as writer:
        for block in np.split(np.stack([tone, -tone]), [1, 7000, 7000, 39_000], axis=1):
            writer.write(block)
    assert (writer.frames, writer.clipped) == (40_000, 0)
    info = audio_info(path)
    assert (info.format, info.subtype, info.sample_rate, info.channels, info.frames, info.truncated) == (
        *SUFFIXES[suffix],
        16000,
        2,
        40_000,
        False,
    )
    read = read_audio(path)[0].numpy()
    assert np.abs(read[0] - tone)[2000:-2000].max() < (0.05 if suffix in ("ogg", "opus", "mp3") else 1 / 65000)
    assert names(tmp_path) == [path.name]


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=200))
@settings(max_examples=25, deadline=None)
def test_int16_survives_the_round_trip(tmp_path_factory: pytest.TempPathFactory, values: list[int]) -> None:
    path = tmp_path_factory.mktemp("w") / "a.wav"
    write_audio(path, torch.tensor([values], dtype=torch.float32) / 32768, 8000)
    assert soundfile.read(path, dtype="int16")[0].tolist() == values


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_U8", 8), ("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 32)])
def test_rounding_is_to_nearest_and_never_wraps(tmp_path: Path, subtype: str, bits: int) -> None:
    step = 2.0 ** (1 - bits)
    samples = np.array([[0.4 * step, 0.6 * step, -0.4 * step, -0.6 * step, 1.0, -1.0, 1.5, -64.0]])
    with AudioWriter(tmp_path / "a.wav", 8000, 1, subtype=subtype.lower()) as writer:
        writer.write(samples)
    assert writer.clipped == 2
    read = soundfile.read(tmp_path / "a.wav", dtype="float64")[0] / step
    top = 2 ** (bits - 1)
    assert read.tolist() == [0, 1, 0, -1, top - 1, -top, top - 1, -top]


def test_floats_are_kept_as_they_are(tmp_path: Path) -> None:
    samples = torch.tensor([[1.5, -3.25, 0.1]])
    write_audio(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav")[0].equal(samples)
    with AudioWriter(tmp_path / "b.ogg", 8000, 1) as writer:
        writer.write(np.full((1, 9000), 1.5, dtype=np.float32))
    assert writer.clipped == 9000
    assert read_audio(tmp_path / "b.ogg")[0].mean() < 1.05


def test_a_minute_of_vorbis_in_one_call(tmp_path: Path) -> None:
    code = (
        "import sys, numpy; from tokaudio.audio.writer import write_audio\n"
        "write_audio(sys.argv[1], numpy.zeros((1, 60 * 22050), numpy.float32), 22050)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.ogg"], check=True)
    assert audio_info(tmp_path / "a.ogg").frames == 60 * 22050


def test_existing_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, np.zeros((1, 10), np.float32), 8000)
    with pytest.raises(OutputError, match="exists already"):
        write_audio(path, np.zeros((1, 20), np.float32), 8000)
    assert audio_info(path).frames == 10
    write_audio(path, np.zeros((1, 20), np.float32), 8000, overwrite=True)
    assert audio_info(path).frames == 20


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), AudioWriter(tmp_path / "a.wav", 8000, 1) as writer:
        writer.write(np.zeros((1, 10), np.float32))
        raise RuntimeError("stop")
    with pytest.raises(AudioError, match=r"sample 8001 is nan"):
        write_audio(tmp_path / "b.flac", np.where(np.arange(9000) == 8001, np.nan, 0.0)[None], 8000)
    for suffix in ("flac", "opus", "mp3"):
        with pytest.raises(AudioError, match="cannot hold zero samples; write"):
            write_audio(tmp_path / f"c.{suffix}", np.zeros((1, 0)), 8000)
    assert names(tmp_path) == []
    writer.abort()
    writer.close()
    with pytest.raises(AudioError, match="the file is closed"):
        writer.write(np.zeros((1, 10), np.float32))


@pytest.mark.parametrize("shape", [(10,), (1, 10), (3, 10), (2, 2, 2)])
def test_blocks_of_another_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with AudioWriter(tmp_path / "a.wav", 8000, 2) as writer:
        with pytest.raises(AudioError, match=r"write floats \[2, n\]"):
            writer.write(np.zeros(shape, np.float32))
        with pytest.raises(AudioError, match="int16"):
            writer.write(np.zeros((2, 4), np.int16))
    with pytest.raises(AudioError, match="1 axes"):
        write_audio(tmp_path / "b.wav", np.zeros(10, np.float32), 8000)


def test_formats_that_do_not_exist(tmp_path: Path) -> None:
    for name in ("a.m4a", "a", ".wav"):
        with pytest.raises(UnknownNameError, match="use one of wav flac ogg opus mp3 aiff aif w64"):
            AudioWriter(tmp_path / name, 8000, 1)
    with pytest.raises(UnknownNameError, match="FLAC has no subtype 'FLOAT'; use one of PCM_S8, PCM_16, PCM_24"):
        AudioWriter(tmp_path / "a.flac", 8000, 1, subtype="FLOAT")
    with pytest.raises(AudioError, match="opus cannot hold 44100 Hz; resample to one of 8000, 12000"):
        AudioWriter(tmp_path / "a.opus", 44100, 1)
    with pytest.raises(AudioError, match="mp3 cannot hold 96000 Hz"):
        AudioWriter(tmp_path / "a.mp3", 96000, 1)
    with pytest.raises(AudioError, match="at most 2 channels, not 3"):
        AudioWriter(tmp_path / "a.mp3", 48000, 3)
    with pytest.raises(AudioError, match="outside"):
        AudioWriter(tmp_path / "a.wav", 999, 1)
    with pytest.raises(AudioError, match="ogg cannot hold 384000 Hz; resample to 192000 Hz or less"):
        AudioWriter(tmp_path / "a.ogg", 384_000, 1)
    assert names(tmp_path) == []


LIMITED = """
import resource, signal, sys
import numpy
from tokaudio.audio.writer import AudioWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for suffix in ("wav", "flac", "ogg", "mp3", "aiff", "w64"):
    for blocks in (*range(1, 16), 60):
        try:
            with AudioWriter(f"{sys.argv[1]}/{blocks}.{suffix}", 16000, 1) as writer:
                for turn in range(blocks):
                    writer.write(numpy.random.default_rng(turn).uniform(-0.5, 0.5, (1, 1600)))
        except OSError as error:
            print(type(error).__name__, error)
"""


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    refused = {Path(line.split()[1].rstrip(":")).name for line in lines}
    assert all(line.startswith("OutputError ") and "larger than allowed; raise the limit" in line for line in lines)
    for suffix in ("wav", "flac", "ogg", "mp3", "aiff", "w64"):
        assert f"1.{suffix}" not in refused
        assert f"60.{suffix}" in refused
        for blocks in (*range(1, 16), 60):
            path = tmp_path / f"{blocks}.{suffix}"
            if path.name not in refused:
                assert read_audio(path)[0].shape == (1, blocks * 1600)
    written = {f"{blocks}.{suffix}" for suffix in SUFFIXES for blocks in (*range(1, 16), 60)} - refused
    assert set(names(tmp_path)) == {name for name in written if not name.endswith(("AIF", "opus"))}


@pytest.mark.parametrize("when", ["write", "close"])
def test_the_reason_is_the_one_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    def fail(*_: object) -> None:
        raise soundfile.LibsndfileError(2)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for fsync, words in ((full, "the disk is full; free some space"), (os.fsync, "cannot be written (a write failed)")):
        writer = AudioWriter(tmp_path / "a.wav", 8000, 1)
        monkeypatch.setattr(writer._file, when, fail)
        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(OutputError) as caught:
            writer.write(np.zeros((1, 10), np.float32))
            writer.close()
        assert words in str(caught.value)
        assert names(tmp_path) == []
        monkeypatch.undo()
