"""A header that says two things about the sound is refused: its codes would be those of another sound."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokaudio.audio.contradictions import contradiction
from tokaudio.audio.io import read_audio
from tokaudio.errors import AudioError

FMT = {"pcm.wav": 20, "float.wav": 20, "pcm.w64": 64}


def changed(path: Path, at: int, form: str, value: int) -> Path:
    """Write a number over a copy of a file."""
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, at, value)
    copy = path.with_name(f"changed{path.suffix}")
    copy.write_bytes(content)
    return copy


@pytest.mark.parametrize("name", FMT)
@pytest.mark.parametrize(("field", "form", "value"), [(4, "<I", 48_000), (2, "<H", 1), (14, "<H", 8), (8, "<I", 9)])
def test_a_changed_field_of_a_wave_header_is_refused(
    seeds: Path, tmp_path: Path, name: str, field: int, form: str, value: int
) -> None:
    (tmp_path / name).write_bytes((seeds / name).read_bytes())
    path = changed(tmp_path / name, FMT[name] + field, form, value)
    with pytest.raises(AudioError, match=r"its header says .* and also .*; copy it again"):
        read_audio(path)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_another_rate_of_flac_is_refused(seeds: Path, tmp_path: Path, rate: int) -> None:
    content = bytearray((seeds / "pcm.flac").read_bytes())
    content[18:21] = (rate << 4 | content[20] & 15).to_bytes(3, "big")
    (tmp_path / "a.flac").write_bytes(content)
    with pytest.raises(AudioError, match=f"its header says {rate} Hz, and its first frame 24000 Hz"):
        read_audio(tmp_path / "a.flac")


@pytest.mark.parametrize(("field", "form"), [(8, "<I"), (12, "<H")])
def test_fields_left_at_zero_say_nothing(seeds: Path, tmp_path: Path, field: int, form: str) -> None:
    (tmp_path / "pcm.wav").write_bytes((seeds / "pcm.wav").read_bytes())
    with changed(tmp_path / "pcm.wav", FMT["pcm.wav"] + field, form, 0).open("rb") as file:
        assert contradiction(file) is None


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000, 384_000])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_24"),
        ("WAV", "ULAW"),
        ("WAV", "MS_ADPCM"),
        ("WAV", "GSM610"),
        ("WAVEX", "PCM_24"),
        ("RIFX", "PCM_16"),
        ("RF64", "FLOAT"),
        ("W64", "DOUBLE"),
        ("FLAC", "PCM_16"),
    ],
)
def test_what_soundfile_writes_says_one_thing(tmp_path: Path, rate: int, container: str, subtype: str) -> None:
    options = {"format": "WAV", "endian": "BIG"} if container == "RIFX" else {"format": container}
    soundfile.write(tmp_path / "a", np.zeros(500), rate, subtype, **options)
    assert contradiction(io.BytesIO((tmp_path / "a").read_bytes())) is None


def test_floats_of_cool_edit_and_other_files_are_not_judged() -> None:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 16_000, 128_000, 8, 24)
    assert contradiction(io.BytesIO(b"RIFF\0\0\0\0WAVE" + fmt)) is None
    for content in (b"", b"RIFF", b"RIFF\0\0\0\0WAVEfmt ", b"riff", b"fLaC", b"hello" * 100):
        assert contradiction(io.BytesIO(content)) is None
