"""A cut file is always noticed, a whole one never suspected."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokaudio.audio.integrity import declared_shortfall
from tokaudio.audio.io import AudioReader, audio_info, read_audio
from tokaudio.errors import AudioError

FRAMES = 30_001
PCM = ["pcm.wav", "float.wav", "long.rf64", "pcm.aiff", "float.aifc", "pcm.w64", "pcm.au", "pcm.nist"]
PACKED = ["pcm.caf", "pcm.flac", "vorbis.ogg", "opus.opus", "layer3.mp3"]


@pytest.mark.parametrize("name", PCM + PACKED)
def test_whole_files_are_whole(seeds: Path, name: str) -> None:
    assert declared_shortfall(seeds / name) is None
    samples, rate = read_audio(seeds / name)
    assert samples.shape == (2, FRAMES)
    assert rate == 24000
    info = audio_info(seeds / name)
    assert (info.frames, info.truncated, info.duration) == (FRAMES, False, FRAMES / 24000)


@pytest.mark.parametrize("name", PCM + PACKED)
def test_every_cut_is_refused(seeds: Path, tmp_path: Path, name: str) -> None:
    data = (seeds / name).read_bytes()
    cuts = np.random.default_rng(len(name)).integers(1, len(data), 200)
    path = tmp_path / name
    for cut in [*cuts, len(data) - 1]:
        path.write_bytes(data[:cut])
        with pytest.raises(AudioError) as caught:
            read_audio(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        # FLAC declares no length of its last frame, and the first four bytes of any format say nothing yet.
        late = name == "pcm.flac" and cut > len(data) * 0.9
        if cut >= 16 and not late:
            assert "truncated" in str(caught.value)
            assert declared_shortfall(path) is not None


@pytest.mark.parametrize("name", [*PCM, "pcm.flac", "layer3.mp3"])
def test_allow_truncated_keeps_what_is_there(seeds: Path, tmp_path: Path, name: str) -> None:
    data = (seeds / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: len(data) * 2 // 3])
    with AudioReader(path, allow_truncated=True) as reader:
        kept = np.concatenate(list(reader.blocks(777)), axis=1)
        assert reader.truncated
    whole = read_audio(seeds / name)[0].numpy()
    assert 0.5 * FRAMES < kept.shape[1] < 0.7 * FRAMES
    assert np.array_equal(kept, whole[:, : kept.shape[1]])
    other = read_audio(path, allow_truncated=True)[0].numpy()
    assert np.array_equal(other, kept)
    assert audio_info(path).truncated


def wav(size: int, body: bytes, before: bytes = b"", after: bytes = b"", riff: int | None = None) -> bytes:
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    rest = b"WAVE" + before + fmt + b"data" + struct.pack("<I", size) + body + after
    return b"RIFF" + struct.pack("<I", len(rest) if riff is None else riff) + rest


BODY = struct.pack("<300h", *range(300))
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT\x0e\0\0\0Lavf59.27.100\0"


@pytest.mark.parametrize(
    "data",
    [
        wav(600, BODY),
        wav(600, BODY, before=LIST),
        wav(600, BODY, after=LIST),
        wav(600, BODY, after=LIST)[:-7],
        wav(600, BODY, before=b"odd " + struct.pack("<I", 3) + b"abc\0"),
        wav(600, BODY, riff=0xFFFFFFFF),
        wav(0xFFFFFFFF, BODY, before=LIST, riff=0xFFFFFFFF),
        wav(0, BODY, riff=0),
        wav(0x7FFFF000, BODY, riff=0x7FFFF024),
        wav(0x80000000, BODY, riff=0x80000024),
        wav(0xFFFFFFFF - 36, BODY, riff=0xFFFFFFFF),
    ],
    ids=["plain", "list before", "list after", "cut tag", "odd", "riff", "ffmpeg", "zero", "sox", "arecord", "less 36"],
)
def test_wav_as_found_in_the_wild(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    assert declared_shortfall(path) is None
    assert (read_audio(path)[0][0, :300] * 32768).tolist() == list(range(300))


def test_wav_of_no_samples_and_a_tag(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for data in (wav(0, b""), wav(0, b"", after=LIST), wav(0, b"", before=LIST, riff=0)):
        path.write_bytes(data)
        assert audio_info(path).frames == 0
        with pytest.raises(AudioError, match="holds no samples; record"):
            read_audio(path)


def test_wav_lacking_samples_before_a_tag() -> None:
    assert declared_shortfall(io.BytesIO(wav(800, BODY, after=LIST))) == (
        "its header declares 800 bytes of samples, 634 are there"
    )


def test_wav_lacking_samples_behind_a_chunk_of_odd_length() -> None:
    data = wav(800, BODY, before=b"odd " + struct.pack("<I", 3) + b"abc\0")
    assert declared_shortfall(io.BytesIO(data)) == "its header declares 800 bytes of samples, 600 are there"


def test_rifx_and_other_riff() -> None:
    big = b"RIFX" + struct.pack(">I", 1000) + b"WAVE" + b"data" + struct.pack(">I", 600)
    assert declared_shortfall(io.BytesIO(big + bytes(599))) is not None
    assert declared_shortfall(io.BytesIO(big + bytes(600))) is None
    assert declared_shortfall(io.BytesIO(b"RIFF" + struct.pack("<I", 1000) + b"AVI LIST")) is None
    assert declared_shortfall(io.BytesIO(b"FORM" + struct.pack(">I", 1000) + b"ILBMBMHD")) is None


@pytest.mark.parametrize(("name", "at", "width"), [("pcm.w64", 96, 8), ("pcm.au", 8, 4)])
def test_open_lengths_of_pipes(seeds: Path, tmp_path: Path, name: str, at: int, width: int) -> None:
    data = bytearray((seeds / name).read_bytes())
    if name == "pcm.w64":
        at = data.index(b"data\xf3\xac\xd3\x11") + 16
        data[at : at + 8] = struct.pack("<Q", 2**63 - 1)
        data[16:24] = b"\xff" * 8
    else:
        data[at : at + width] = b"\xff" * width
    path = tmp_path / name
    path.write_bytes(data)
    assert declared_shortfall(path) is None
    assert read_audio(path)[0].shape == (2, FRAMES)


def test_aiff_whose_frames_exceed_its_data(seeds: Path) -> None:
    data = bytearray((seeds / "pcm.aiff").read_bytes())
    at = data.index(b"COMM") + 10
    data[at : at + 4] = struct.pack(">I", FRAMES + 5)
    assert "declares 120024 bytes of samples, 120004" in str(declared_shortfall(io.BytesIO(data)))
    data[at : at + 4] = struct.pack(">I", FRAMES)
    data.extend(b"ANNO\0\0\0\x03abc\0")
    assert declared_shortfall(io.BytesIO(data)) is None


def test_aiff_of_a_pipe(seeds: Path) -> None:
    data = bytearray((seeds / "pcm.aiff").read_bytes())
    for at in (4, data.index(b"COMM") + 10, data.index(b"SSND") + 4):
        data[at : at + 4] = bytes(4)
    assert declared_shortfall(io.BytesIO(data)) is None


def test_flac_of_a_pipe_has_no_declared_length(seeds: Path, tmp_path: Path) -> None:
    data = bytearray((seeds / "pcm.flac").read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path = tmp_path / "pipe.flac"
    path.write_bytes(data)
    whole = read_audio(seeds / "pcm.flac")[0]
    for frames in (1000, FRAMES, 65536):
        with AudioReader(path) as reader:
            assert reader.declared_frames is None
            blocks = list(reader.blocks(frames))
        assert np.array_equal(np.concatenate(blocks, axis=1), whole.numpy())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match="truncated or damaged: decoding stops at sample"):
        read_audio(path)


def test_flac_cut_between_frames(seeds: Path, tmp_path: Path) -> None:
    data = (seeds / "pcm.flac").read_bytes()
    starts = [i for i in range(len(data) - 1) if data[i] == 0xFF and data[i + 1] == 0xF8]
    path = tmp_path / "a.flac"
    path.write_bytes(data[: starts[-1]])
    assert "declares 30001 samples, at most" in str(declared_shortfall(path))


def test_flac_with_tags_around_it(seeds: Path, tmp_path: Path) -> None:
    data = (seeds / "pcm.flac").read_bytes()
    tag = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
    id3v1 = b"TAG" + bytes(125)
    path = tmp_path / "a.flac"
    path.write_bytes(tag + data + id3v1)
    assert declared_shortfall(path) is None
    path.write_bytes(tag + data[:-5000] + id3v1)
    assert declared_shortfall(path) is not None


def test_ogg_ends(seeds: Path, tmp_path: Path) -> None:
    data = (seeds / "vorbis.ogg").read_bytes()
    pages = [i for i in range(len(data)) if data[i : i + 4] == b"OggS"]
    assert declared_shortfall(io.BytesIO(data[: pages[-1]])) == "its last page is missing"
    assert declared_shortfall(io.BytesIO(data[: pages[-1] + 30])) == "it ends inside a page"
    assert declared_shortfall(io.BytesIO(data + b"TAG" + bytes(125))) is None


def test_chained_ogg_is_refused(seeds: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.ogg"
    path.write_bytes((seeds / "vorbis.ogg").read_bytes() + (seeds / "opus.opus").read_bytes())
    with pytest.raises(AudioError, match="several Ogg streams in a row"):
        read_audio(path)


def test_mp4_boxes() -> None:
    ftyp = struct.pack(">I", 16) + b"ftypM4A \0\0\0\0"
    moov = struct.pack(">I", 24) + b"moov" + bytes(16)
    mdat = struct.pack(">I", 108) + b"mdat" + bytes(100)
    long = struct.pack(">I4sQ", 1, b"mdat", 116) + bytes(100)
    free = struct.pack(">I", 8) + b"free"
    open_end = bytes(4) + mdat[4:]
    for whole in (ftyp + moov + mdat, ftyp + free + mdat + moov, ftyp + long + moov + free, ftyp + moov + open_end):
        assert declared_shortfall(io.BytesIO(whole)) is None
    assert "bytes" in str(declared_shortfall(io.BytesIO((ftyp + moov + mdat)[:-1])))
    assert declared_shortfall(io.BytesIO(ftyp + mdat)) == "it ends before its index (moov)"


def test_forged_lengths_end_quickly() -> None:
    guid = bytes.fromhex("726966662e91cf11a5d628db04c10000")
    assert declared_shortfall(io.BytesIO(guid + b"\xff" * 8 + bytes(16) + bytes(16) + b"\xf0" * 8)) is None
    zeros = b"RIFF\xff\xff\xff\xffWAVE" + bytes(1 << 20)
    assert declared_shortfall(io.BytesIO(zeros)) is None
    assert declared_shortfall(io.BytesIO(b"caff\0\1\0\0chan" + b"\x7f" * 8)) is not None


def test_unknown_files_are_not_judged() -> None:
    for data in (b"", b"hello", bytes(1000), b"NIST_1A\n   1024\nno fields\n"):
        assert declared_shortfall(io.BytesIO(data)) is None


def test_written_headers_agree_with_soundfile(tmp_path: Path) -> None:
    for container, subtype in [("WAV", "MS_ADPCM"), ("WAV", "ULAW"), ("AIFF", "ULAW"), ("WAVEX", "PCM_24")]:
        path = tmp_path / f"{subtype}.{container}"
        soundfile.write(path, np.zeros(1001), 8000, subtype, format=container)
        assert declared_shortfall(path) is None
        assert read_audio(path)[0].shape[1] >= 1001
